/** Everything that a sink can answer, and what follows from it. */
import * as grpc from "@grpc/grpc-js";
import { describe, expect, test } from "vitest";
import { partialSuccess, rpcStatus } from "../forward/otlp-requests.ts";
import { eventually } from "../system/observation.ts";
import { sinkKinds } from "./sinks.ts";
import type { Answer, SinkKind } from "./sinks.ts";
import { conclude, kept, quick, Trial } from "./trial.ts";

interface Failing {
  readonly name: string;
  readonly answer: Answer;
  readonly state: "retrying" | "held";
}

const plain = { "content-type": "text/plain" };
const http = (status: number, headers: Record<string, string> = {}): Answer["http"] => ({
  status,
  headers: { ...plain, ...headers },
  body: "the sink's own words",
});
const rpc = (code: grpc.status, statusDetails?: Uint8Array): Answer["grpc"] => ({
  code,
  details: "the sink's own words",
  ...(statusDetails === undefined ? {} : { statusDetails }),
});
const { UNAVAILABLE, RESOURCE_EXHAUSTED } = grpc.status;

/** Retry-After, and what each protocol calls it; `delayMs` where it is to be obeyed. */
const waits: readonly { name: string; header: string; delayMs?: number }[] = [
  { name: "of 1 s", header: "1", delayMs: 1000 },
  { name: "as a date", header: "", delayMs: 1000 },
  { name: "of 0 s", header: "0", delayMs: 0 },
  { name: "in the past", header: "Sun, 06 Nov 1994 08:49:37 GMT", delayMs: 0 },
  { name: "below zero", header: "-5", delayMs: -5000 },
  { name: "with nonsense", header: "soon; 3 minutes" },
];

const retried: readonly Failing[] = [
  { name: "429 / UNAVAILABLE", answer: { http: http(429), grpc: rpc(UNAVAILABLE) } },
  { name: "503 / ABORTED", answer: { http: http(503), grpc: rpc(grpc.status.ABORTED) } },
  { name: "502 / CANCELLED", answer: { http: http(502), grpc: rpc(grpc.status.CANCELLED) } },
  { name: "504 / DATA_LOSS", answer: { http: http(504), grpc: rpc(grpc.status.DATA_LOSS) } },
  {
    name: "503 / OUT_OF_RANGE",
    answer: { http: http(503), grpc: rpc(grpc.status.OUT_OF_RANGE) },
  },
  ...waits.map(({ name, header, delayMs }) => ({
    name: `503 with Retry-After ${name} / RESOURCE_EXHAUSTED with such a RetryInfo`,
    answer: {
      http: http(503, { "retry-after": header === "" ? inSeconds(2) : header }),
      grpc: rpc(RESOURCE_EXHAUSTED, rpcStatus("", delayMs ?? 0)),
    },
  })),
].map((scenario) => ({ ...scenario, state: "retrying" }));

function inSeconds(count: number): string {
  return new Date(Date.now() + count * 1000).toUTCString();
}

const { UNAUTHENTICATED, PERMISSION_DENIED, NOT_FOUND, UNIMPLEMENTED, INTERNAL, UNKNOWN } =
  grpc.status;

const held: readonly Failing[] = [
  { name: "401 / UNAUTHENTICATED", answer: { http: http(401), grpc: rpc(UNAUTHENTICATED) } },
  { name: "403 / PERMISSION_DENIED", answer: { http: http(403), grpc: rpc(PERMISSION_DENIED) } },
  { name: "404 / NOT_FOUND", answer: { http: http(404), grpc: rpc(NOT_FOUND) } },
  { name: "415 / UNIMPLEMENTED", answer: { http: http(415), grpc: rpc(UNIMPLEMENTED) } },
  { name: "500 / INTERNAL", answer: { http: http(500), grpc: rpc(INTERNAL) } },
  { name: "507 / UNKNOWN", answer: { http: http(507), grpc: rpc(UNKNOWN) } },
].map((scenario) => ({ ...scenario, state: "held" }));

describe.each(sinkKinds)("$name sink, answers that pass", (kind) => {
  test.for([...retried, ...held])("$name", async ({ answer, state }, context) => {
    const { sink, trial } = await begin(kind);
    sink.answer(answer);
    await trial.sendAll(4);
    await trial.waitUntil(state, statusOf(kind, answer));
    expect(trial.sidecar.stderr()).toContain("the sink's own words");
    await trial.kill();
    await trial.sendAll(2);
    await trial.waitUntil(state, statusOf(kind, answer));
    sink.answer(undefined);
    await trial.settle();
    expect(await trial.query("sink_rejected")).toEqual([]);
    expect(await conclude(trial, context)).toMatchObject(kept);
  });
});

/** A sidecar that has delivered something. */
async function begin(kind: SinkKind) {
  const sink = await kind.open();
  const more = { timeout: "2s", retry_on_failure: quick };
  const exporters = kind.exporters(`127.0.0.1:${sink.port}`, more);
  const trial = await Trial.start({ exporters }, sink);
  await trial.sendAll(1);
  await trial.settle();
  return { sink, trial };
}

function statusOf(kind: SinkKind, answer: Answer): RegExp {
  if (kind.name === "HTTP") return new RegExp(`HTTP ${(answer.http as { status: number }).status}`);
  return new RegExp(grpc.status[(answer.grpc as { code: grpc.status }).code]);
}

interface Refusing {
  readonly name: string;
  readonly answer: Answer;
  /** What the record says. */
  readonly reason: RegExp;
  readonly items: number | null;
  /** The sink kept the request, or the rest of it. */
  readonly isTaken?: boolean;
}

const megabytes = (count: number): Buffer => Buffer.alloc(count * 1024 * 1024, "x");
const taking = (response: Uint8Array): Answer => sinkKinds[0]!.taking(response);

const refusing: readonly Refusing[] = [
  {
    name: "400 / INVALID_ARGUMENT",
    answer: { http: http(400), grpc: rpc(grpc.status.INVALID_ARGUMENT) },
    reason: /^rejected: the sink's own words$/,
    items: 1,
  },
  {
    name: "413 / RESOURCE_EXHAUSTED without RetryInfo",
    answer: { http: http(413), grpc: rpc(RESOURCE_EXHAUSTED) },
    reason: /^rejected: the sink's own words$/,
    items: 1,
  },
  {
    name: "partial success",
    answer: taking(partialSuccess(1, "one was too old")),
    reason: /^partial: one was too old$/,
    items: 1,
    isTaken: true,
  },
  {
    name: "partial success without a message",
    answer: taking(partialSuccess(1, "")),
    reason: /^partial$/,
    items: 1,
    isTaken: true,
  },
  {
    name: "taken, with an answer of 5 MiB",
    answer: taking(megabytes(5)),
    reason: /^unreadable: the answer is longer than 4194304 bytes$/,
    items: null,
    isTaken: true,
  },
];

describe.each(sinkKinds)("$name sink, answers for good", (kind) => {
  test.for(refusing)("$name", async ({ answer, reason, items, isTaken = false }, context) => {
    const { sink, trial } = await begin(kind);
    const before = trial.acknowledged.length;
    sink.script([answer, answer]);
    await trial.send(3);
    await eventually(async () => expect(await trial.query("sink_rejected")).toHaveLength(2));
    const named = trial.acknowledged.slice(before, before + 2);
    await trial.kill();
    await trial.send(2);
    await trial.settle(isTaken ? [] : named);
    const rejected = await trial.query("sink_rejected");
    expect(rejected.map(({ body }) => body)).toMatchObject(
      [0, 1].map(() => ({
        signal: "traces",
        item_count: items,
        reason: expect.stringMatching(reason) as string,
      })),
    );
    // Each names the records of its request.
    const actions = await trial.query("action");
    const about = rejected.map(({ body }) =>
      actions.filter(({ index }) => index >= Number(body["first"]) && index < Number(body["end"])),
    );
    expect(about.map((found) => found.map(({ body }) => nameIn(body)))).toEqual(
      named.map((label) => [`${label}.`]),
    );
    const verdict = await conclude(trial, context, {
      refused: isTaken ? [] : named,
      recordedAs: `2 × sink_rejected (${reason.source.match(/[a-z]+/)![0]})`,
    });
    expect(verdict).toMatchObject(kept);
  });
});

function nameIn(body: Readonly<Record<string, unknown>>): string {
  return (body["trace"] as { name: string }).name;
}

const accepting: readonly { name: string; answer: Answer }[] = [
  { name: "a warning without a rejection", answer: taking(partialSuccess(0, "please upgrade")) },
  { name: "bytes that are no protobuf", answer: taking(Buffer.from([0xff, 0xff, 0xff, 0x07])) },
  {
    name: "a page of HTML as 200 / an unknown field",
    answer: {
      http: { status: 200, headers: { "content-type": "text/html" }, body: "<html>hi</html>" },
      grpc: { code: grpc.status.OK, response: Buffer.from([0xfa, 0x3f, 0x01, 0x61]) },
    },
  },
  {
    name: "slow, but in time",
    answer: {
      http: { status: 200, delayMs: 300 },
      grpc: { code: grpc.status.OK, response: Buffer.alloc(0), delayMs: 300 },
    },
  },
];

describe.each(sinkKinds)("$name sink, taken with", (kind) => {
  test.for(accepting)("$name", async ({ answer }, context) => {
    const { sink, trial } = await begin(kind);
    sink.script([answer, answer]);
    await trial.send(4);
    await trial.settle();
    expect(await trial.query("sink_rejected")).toEqual([]);
    expect(await conclude(trial, context)).toMatchObject({ ...kept, duplicates: 0 });
  });

  test("slow, beyond the timeout", async (context) => {
    const { sink, trial } = await begin(kind);
    sink.answer({
      http: { status: 200, delayMs: 60_000 },
      grpc: { code: grpc.status.OK, response: Buffer.alloc(0), delayMs: 60_000 },
    });
    await trial.send(3);
    await trial.waitUntil("retrying", /timeout|DEADLINE_EXCEEDED/);
    await trial.kill();
    sink.answer(undefined);
    await trial.settle();
    expect(await conclude(trial, context)).toMatchObject(kept);
  });
});

describe("HTTP sink, redirects", () => {
  test.for([301, 302, 303, 307, 308])("%i is not followed", async (status, context) => {
    const { sink, trial } = await begin(sinkKinds[0]!);
    const elsewhere = await sinkKinds[0]!.open();
    const location = `http://127.0.0.1:${elsewhere.port}/v1/traces`;
    sink.answer({ http: { status, headers: { location } }, grpc: rpc(UNKNOWN) });
    await trial.send(2);
    await trial.waitUntil("held", new RegExp(`HTTP ${status}`));
    await trial.kill();
    await trial.waitUntil("held", new RegExp(`HTTP ${status}`));
    expect(elsewhere.arrived()).toBe(0);
    sink.answer(undefined);
    await trial.settle();
    expect(elsewhere.arrived()).toBe(0);
    expect(await conclude(trial, context)).toMatchObject(kept);
  });
});
