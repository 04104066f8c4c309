import { closeSync, mkdtempSync, openSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { logQueueBytesMax } from "../../src/limits.ts";
import { LogDestination } from "../../src/service/log-destination.ts";
import type { WriteDone } from "../../src/service/log-destination.ts";
import { limitedLog, openLog } from "../../src/service/log.ts";
import { describeError } from "../../src/service/logged-error.ts";
import { answerOfError } from "../../src/service/preparing/messages.ts";

test("one JSON object a line, from the chosen level on", () => {
  const path = join(mkdtempSync(join(tmpdir(), "spanseal-log-")), "log");
  const descriptor = openSync(path, "w");
  const { log, flush } = openLog("warn", descriptor);
  log.info({}, "not this one");
  log.warn({ signal: "traces", error: new Error("disk full") }, "recording failed");
  flush();
  closeSync(descriptor);
  const lines = readFileSync(path, "utf8").trim().split("\n");
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0]!)).toMatchObject({
    level: "warn",
    signal: "traces",
    error: { type: "Error", message: "disk full" },
    msg: "recording failed",
  });
});

test("lines that cannot be written are counted, and told of when lines can be written again", async () => {
  const writes: { readonly text: string; readonly done: WriteDone }[] = [];
  const lost: number[] = [];
  const destination = new LogDestination(
    2,
    (lines) => lost.push(lines),
    (_, bytes, done) => writes.push({ text: bytes.toString(), done }),
  );
  const full = Object.assign(new Error("no space left"), { code: "ENOSPC" });
  destination.write("one\n");
  await nextTurn();
  destination.write("two\n");
  destination.write("three\n");
  writes[0]!.done(full, 0);
  writes[1]!.done(null, 5);
  writes[2]!.done(full, 0);
  expect(lost).toEqual([]);
  destination.write("four\n");
  await nextTurn();
  writes[3]!.done(null, 6);
  expect(lost).toEqual([3]);
  expect(writes.map(({ text }) => text)).toEqual(["one\n", "two\nthree\n", "hree\n", "\nfour\n"]);
});

test("more than a bounded wait of a reader is lost", async () => {
  const lost: number[] = [];
  const waiting: WriteDone[] = [];
  const destination = new LogDestination(
    2,
    (lines) => lost.push(lines),
    (_, bytes, done) => waiting.push(() => done(null, bytes.length)),
  );
  destination.write("first\n");
  await nextTurn();
  for (let lines = 0; lines < 3; lines++) destination.write("x".repeat(logQueueBytesMax / 2));
  waiting[0]!(null, 0);
  expect(lost).toEqual([1]);
});

test("an error that may quote what it could not parse stands without its message", () => {
  let parse: unknown;
  try {
    JSON.parse("my secret");
  } catch (error) {
    parse = error;
  }
  const described = describeError(new Error("reading state", { cause: parse }));
  expect(JSON.stringify(described)).not.toContain("secret");
  expect(described).toMatchObject({ message: "reading state", cause: { type: "SyntaxError" } });
  const fromThread = answerOfError(parse);
  expect(JSON.stringify(fromThread)).not.toContain("secret");
  expect(fromThread).toMatchObject({ defect: expect.stringMatching(/^SyntaxError: .* at /) });
});

test("causes end somewhere, and what is no error is told by its type only", () => {
  const loop = new Error("loop");
  loop.cause = loop;
  expect(JSON.stringify(describeError(loop)).match(/"loop"/g)).toHaveLength(5);
  expect(describeError("a secret text")).toEqual({ type: "string" });
});

test("what senders cause is logged so often a second, the rest is counted", () => {
  const written: string[] = [];
  const write = (fields: object, message: string): void => {
    written.push(`${message} ${JSON.stringify(fields)}`);
  };
  let time = 5000;
  const log = { debug: write, info: write, warn: write, error: write };
  const limited = limitedLog(log, () => time);
  for (let count = 0; count < 100; count += 1) limited.error({}, "refused");
  expect(written).toHaveLength(20);
  time += 1000;
  limited.error({}, "refused");
  expect(written.slice(20)).toEqual([
    'more messages than are logged in a second {"dropped":80}',
    "refused {}",
  ]);
});
