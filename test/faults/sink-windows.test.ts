/**
 * The moments in which the OpenTelemetry Collector can lose what its queue held, as its code and
 * its users' reports tell of them. Each is named for what happens there.
 */
import { readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { partialSuccess, rpcStatus } from "../forward/otlp-requests.ts";
import { spanseal } from "../cli/command.ts";
import { eventually, ledgerOf, readinessOf } from "../system/observation.ts";
import { Gate } from "./gate.ts";
import { sinkKinds } from "./sinks.ts";
import type { Answer, SinkKind } from "./sinks.ts";
import { conclude, kept, quick, Trial } from "./trial.ts";

const unavailable: Answer = { http: { status: 503 }, grpc: { code: 14, details: "not now" } };
const unauthorized: Answer = { http: { status: 401 }, grpc: { code: 16, details: "who?" } };
const tooLarge: Answer = { http: { status: 413 }, grpc: { code: 8, details: "too large" } };

interface Setting {
  readonly retry?: Readonly<Record<string, string>>;
}

async function begin(kind: SinkKind, { retry = quick }: Setting = {}) {
  const sink = await kind.open();
  const gate = await Gate.open({ port: sink.port, taken: () => sink.taken() });
  const more = { timeout: "1s", retry_on_failure: retry };
  const exporters = kind.exporters(`127.0.0.1:${gate.port}`, more);
  const trial = await Trial.start({ exporters }, sink);
  return { sink, gate, trial };
}

describe.each(sinkKinds)("$name sink, where the Collector loses", (kind) => {
  test("killed with requests that were acknowledged and not yet sent", async (context) => {
    const { gate, trial } = await begin(kind);
    await gate.break("mute");
    await trial.sendAll(100);
    await trial.kill();
    await gate.mend();
    expect(await conclude(trial, context)).toMatchObject(kept);
  });

  test("killed again and again during one outage", async (context) => {
    const { gate, trial } = await begin(kind);
    await gate.break("closed");
    for (let round = 0; round < 6; round++) {
      await trial.sendAll(5);
      await trial.kill();
    }
    await gate.mend();
    expect(await conclude(trial, context)).toMatchObject(kept);
  });

  test("killed again and again while the backlog is sent", async (context) => {
    const { sink, gate, trial } = await begin(kind);
    await gate.break("closed");
    await trial.send(60);
    sink.answer({
      http: { status: 200, delayMs: 30 },
      grpc: { code: 0, response: Buffer.alloc(0), delayMs: 30 },
    });
    await gate.mend();
    for (let round = 0; round < 4; round++) {
      const before = sink.taken();
      await eventually(() => expect(sink.taken()).toBeGreaterThan(before + 2));
      await trial.kill();
    }
    sink.answer(undefined);
    expect(await conclude(trial, context)).toMatchObject(kept);
  });

  test("retried a hundred times: nothing is given up", async (context) => {
    const { sink, trial } = await begin(kind);
    sink.answer(unavailable);
    await trial.send(3);
    await eventually(() => expect(sink.arrived()).toBeGreaterThan(100));
    expect(await trial.query("sink_rejected")).toEqual([]);
    sink.answer(undefined);
    expect(await conclude(trial, context)).toMatchObject({ ...kept, duplicates: 0 });
  });

  test("retried beyond max_elapsed_time: given up, with a record", async (context) => {
    const { sink, trial } = await begin(kind, { retry: { ...quick, max_elapsed_time: "1s" } });
    sink.answer(unavailable);
    await trial.send(2);
    const expired = await eventually(async () => {
      const found = await trial.query("sink_rejected");
      expect(found).toHaveLength(2);
      return found;
    });
    expect(expired[0]!.body["reason"]).toMatch(/^expired/);
    sink.answer(undefined);
    const refused = [...trial.acknowledged];
    await trial.send(2);
    const recordedAs = "2 × sink_rejected (expired)";
    expect(await conclude(trial, context, { refused, recordedAs })).toMatchObject(kept);
  });

  test("shut down while the sink is down, in a wait between attempts", async (context) => {
    const { gate, trial } = await begin(kind, { retry: { initial_interval: "1h" } });
    await gate.break("closed");
    await trial.sendAll(5);
    await trial.waitUntil("retrying", /ECONNREFUSED/);
    await trial.restart();
    await trial.waitUntil("retrying", /ECONNREFUSED/);
    await gate.mend();
    await trial.restart();
    expect(await conclude(trial, context)).toMatchObject(kept);
  });

  test("shut down while the sink is down, in the middle of an attempt", async (context) => {
    const { gate, trial } = await begin(kind);
    await gate.break("mute");
    await trial.sendAll(5);
    await trial.restart();
    await trial.sendAll(2);
    await gate.mend();
    await trial.restart();
    expect(await conclude(trial, context)).toMatchObject(kept);
  });

  test("shut down while the sink refuses credentials", async (context) => {
    const { sink, trial } = await begin(kind);
    sink.answer(unauthorized);
    await trial.sendAll(5);
    await trial.waitUntil("held", /401|UNAUTHENTICATED/);
    await trial.restart();
    await trial.waitUntil("held", /401|UNAUTHENTICATED/);
    sink.answer(undefined);
    expect(await conclude(trial, context)).toMatchObject(kept);
  });

  test("the queue's metadata are damaged", async (context) => {
    const { gate, trial } = await begin(kind);
    await gate.break("closed");
    await trial.send(20);
    await trial.sidecar.stop("SIGKILL");
    const cursor = join(ledgerOf(trial.sidecar), "spool/traces/cursor");
    const bytes = readFileSync(cursor);
    bytes[20]! ^= 1;
    writeFileSync(cursor, bytes);
    const refused = await spanseal(["serve", "--config", "spanseal.yaml"], {
      cwd: trial.sidecar.cwd,
    });
    expect(refused.code).toBe(3);
    expect(refused.stderr).toMatch(/spool's cursor .* is damaged\nhint: remove the file/);
    expect(readFileSync(cursor)).toEqual(bytes);
    renameSync(cursor, `${cursor}.damaged`);
    await trial.kill();
    await gate.mend();
    const recordedAs = "start refused, with the remedy";
    expect(await conclude(trial, context, { recordedAs })).toMatchObject(kept);
  });

  test("an entry of the queue is damaged", async (context) => {
    const { gate, trial } = await begin(kind);
    await gate.break("closed");
    await trial.send(20);
    await trial.sidecar.stop("SIGKILL");
    const folder = join(ledgerOf(trial.sidecar), "spool/traces");
    const segment = join(
      folder,
      readdirSync(folder).find((name) => name !== "cursor")!,
    );
    const whole = readFileSync(segment);
    const damaged = Buffer.from(whole);
    damaged[Math.floor(damaged.length / 2)]! ^= 1;
    writeFileSync(segment, damaged);
    const refused = await spanseal(["serve", "--config", "spanseal.yaml"], {
      cwd: trial.sidecar.cwd,
    });
    expect(refused.code).toBe(3);
    expect(refused.stderr).toMatch(/spool/);
    expect(readFileSync(segment)).toEqual(damaged);
    writeFileSync(segment, whole);
    await trial.kill();
    await gate.mend();
    const recordedAs = "start refused, nothing changed";
    expect(await conclude(trial, context, { recordedAs })).toMatchObject(kept);
  });

  test("refused for good (413): a record, and the next", async (context) => {
    const { sink, trial } = await begin(kind);
    sink.script([tooLarge]);
    await trial.send(3);
    await eventually(async () => expect(await trial.query("sink_rejected")).toHaveLength(1));
    const refused = trial.acknowledged.slice(0, 1);
    const recordedAs = "1 × sink_rejected (rejected)";
    expect(await conclude(trial, context, { refused, recordedAs })).toMatchObject(kept);
  });

  test("taken in part: a record with the count", async (context) => {
    const { sink, trial } = await begin(kind);
    sink.script([kind.taking(partialSuccess(1, "too old"))]);
    await trial.send(3);
    const [partial] = await eventually(async () => {
      const found = await trial.query("sink_rejected");
      expect(found).toHaveLength(1);
      return found;
    });
    expect(partial!.body).toMatchObject({ item_count: 1, reason: "partial: too old" });
    const recordedAs = "1 × sink_rejected (partial)";
    expect(await conclude(trial, context, { recordedAs })).toMatchObject(kept);
  });

  test("Retry-After of a century: obeyed for an hour at most, and not beyond a start", async (context) => {
    const { sink, trial } = await begin(kind);
    const seconds = 3_155_760_000;
    sink.answer({
      http: { status: 503, headers: { "retry-after": String(seconds) } },
      grpc: { code: 14, details: "no", statusDetails: rpcStatus("no", seconds * 1000) },
    });
    await trial.send(2);
    await trial.waitUntil("retrying", /wants 3600 s/);
    sink.answer(undefined);
    expect((await readinessOf(trial.sidecar)).code).toBe(200);
    await trial.restart();
    expect(await conclude(trial, context)).toMatchObject({ ...kept, duplicates: 0 });
  });

  test("the name of the sink cannot be resolved, until it is written right", async (context) => {
    const sink = await kind.open();
    const configOf = (host: string) => ({
      exporters: kind.exporters(`${host}:${sink.port}`, { retry_on_failure: quick }),
    });
    const trial = await Trial.start(configOf("no-such-host.invalid"), sink);
    await trial.sendAll(5);
    await trial.waitUntil("retrying", /ENOTFOUND|EAI_AGAIN/);
    await trial.kill(configOf("localhost"));
    expect(await conclude(trial, context)).toMatchObject(kept);
  });

  test("compression refused, until it is switched off", async (context) => {
    const { sink, gate, trial } = await begin(kind);
    sink.answer({
      http: { status: 415, headers: { "content-type": "text/plain" }, body: "no gzip here" },
      grpc: { code: 12, details: "no gzip here" },
    });
    await trial.sendAll(5);
    await trial.waitUntil("held", /no gzip here/);
    sink.answer(undefined);
    const more = { compression: "none", retry_on_failure: quick };
    await trial.kill({ exporters: kind.exporters(`127.0.0.1:${gate.port}`, more) });
    expect(await conclude(trial, context)).toMatchObject(kept);
  });
});
