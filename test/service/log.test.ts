import { closeSync, mkdtempSync, openSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { describeError, limitedLog, openLog } from "../../src/service/log.ts";

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
