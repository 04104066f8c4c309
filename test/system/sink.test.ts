/** The operator's sink, from end to end: what it is sent, in which order, and what it may do. */
import { join } from "node:path";
import * as grpc from "@grpc/grpc-js";
import { expect, onTestFinished, test } from "vitest";
import type { Signal } from "../../src/audit/otlp/schema.ts";
import { spanseal } from "../cli/command.ts";
import { startGrpcSink } from "../forward/grpc-sink-server.ts";
import { startHttpSink } from "../forward/http-sink-server.ts";
import type { HttpSinkServer } from "../forward/http-sink-server.ts";
import { partialSuccess } from "../forward/otlp-requests.ts";
import { decode } from "../redact/support.ts";
import { startSidecar } from "../service/sidecar-process.ts";
import type { SidecarProcess } from "../service/sidecar-process.ts";
import { attributes, encodeOtlp } from "../support/otlp-writer.ts";
import type { Plain } from "../support/otlp-writer.ts";
import {
  eventually,
  expectVerified,
  ledgerOf,
  metricsOf,
  readinessOf,
  readinessWith,
  recordsIn,
  recordsOf,
} from "./observation.ts";
import {
  grpcOf,
  logRequest,
  oneCall,
  postTo,
  requestName,
  requestsWith,
  resourceSpans,
  send,
  signals,
  toolCall,
  traceRequest,
} from "./telemetry.ts";

const quick = { initial_interval: "10ms", max_interval: "40ms" };

async function openSink(port?: number): Promise<HttpSinkServer> {
  const sink = await startHttpSink(port === undefined ? {} : { port });
  onTestFinished(() => sink.close());
  return sink;
}

function httpTo(sink: HttpSinkServer, more: Plain = {}): Plain {
  return { exporters: { otlp_http: { endpoint: sink.url, retry_on_failure: quick, ...more } } };
}

interface SpanSeen {
  readonly name: string;
  readonly attributes: Readonly<Record<string, unknown>>;
}

/** Spans of a request, read by another library than ours. */
function spansIn(bytes: Uint8Array): SpanSeen[] {
  const request = decode("traces", bytes) as {
    resourceSpans: { scopeSpans: { spans: { name: string; attributes: KeyValue[] }[] }[] }[];
  };
  return request.resourceSpans
    .flatMap(({ scopeSpans }) => scopeSpans.flatMap(({ spans }) => spans))
    .map((span) => ({
      name: span.name,
      attributes: Object.fromEntries(span.attributes.map(({ key, value }) => [key, plain(value)])),
    }));
}

interface KeyValue {
  readonly key: string;
  readonly value: Value;
}

type Value = Readonly<Record<string, unknown>>;

function plain(value: Value): unknown {
  const array = value["arrayValue"] as { values: Value[] } | undefined;
  return array === undefined ? Object.values(value)[0] : array.values.map(plain);
}

const personal = '{"to":"jane.roe@example.com"}';

function expectRedacted(received: Readonly<Record<Signal, Uint8Array>>): void {
  for (const signal of signals) {
    const text = Buffer.from(received[signal]).toString("latin1");
    expect(text).toContain("[REDACTED:email]");
    expect(text).not.toContain("jane.roe");
  }
}

async function expectStamped(sidecar: SidecarProcess, traces: Uint8Array): Promise<void> {
  const [record] = await recordsOf(sidecar, "action");
  const [span] = spansIn(traces);
  expect(span!.attributes).toMatchObject({
    "spanseal.record.id": [record!.id],
    "spanseal.redaction.count": "1",
  });
}

test("HTTP: three signals arrive redacted, spans with the id of their record", async () => {
  const sink = await openSink();
  const headers = { authorization: "Bearer of-the-sink" };
  const sidecar = await startSidecar({ config: httpTo(sink, { headers }) });
  const sent = requestsWith(personal, 1);
  for (const signal of signals) {
    expect((await postTo(sidecar, signal, sent[signal])).status).toBe(200);
  }
  await eventually(() => expect(sink.taken).toHaveLength(3));
  for (const { path, signal, headers: got } of sink.taken) {
    expect(path).toBe(`/v1/${signal}`);
    expect(got).toMatchObject({ ...headers, "content-encoding": "gzip" });
  }
  const bySignal = Object.fromEntries(sink.taken.map(({ signal, bytes }) => [signal, bytes]));
  const received = bySignal as Record<Signal, Buffer>;
  expectRedacted(received);
  await expectStamped(sidecar, received.traces);
  expect(await sidecar.stop()).toBe(0);
  expect(sidecar.stderr()).not.toContain("of-the-sink");
});

test("gRPC: three signals arrive redacted, spans with the id of their record", async () => {
  const sink = await startGrpcSink();
  onTestFinished(() => sink.close());
  const otlp_grpc = {
    endpoint: sink.address,
    tls: { insecure: true },
    headers: { "x-tenant": "acme" },
  };
  const sidecar = await startSidecar({ config: { exporters: { otlp_grpc } } });
  const sent = requestsWith(personal, 1);
  const received: Partial<Record<Signal, Buffer>> = {};
  for (const signal of signals) {
    expect((await grpcOf(sidecar)(signal, sent[signal])).code).toBe(grpc.status.OK);
    await eventually(() => expect(sink.requests).toHaveLength(Object.keys(received).length + 1));
    received[signal] = sink.requests.at(-1)!;
  }
  expect(sink.metadata.map((metadata) => metadata.get("x-tenant"))).toEqual(
    signals.map(() => ["acme"]),
  );
  expectRedacted(received as Record<Signal, Buffer>);
  await expectStamped(sidecar, received.traces!);
  expect(await sidecar.stop()).toBe(0);
});

/** Spans that become records, others, personal data, and a field that no version of OTLP has. */
function mixedRequest(stampOf?: (span: number) => Plain[]): Uint8Array {
  const calls = [1, 2, 3].map((id) => {
    const call = toolCall({ id, members: { "gen_ai.tool.call.arguments": personal } });
    const stamp = stampOf?.(id) ?? [];
    return { ...call, attributes: [...(call["attributes"] as Plain[]), ...stamp] };
  });
  const other = { name: "GET jane.roe@example.com", attributes: attributes({ "http.route": "/" }) };
  const spans = [calls[0]!, other, calls[1]!, calls[2]!];
  const known = encodeOtlp(requestName.traces, { resourceSpans: [resourceSpans(spans)] });
  return Buffer.concat([known, Buffer.from([0xfa, 0x3f, 0x03, 0x61, 0x62, 0x63])]);
}

test("redaction off: what came is forwarded, stamps apart, and a record says so", async () => {
  const sink = await openSink();
  const config = { ...httpTo(sink), redaction: { packs: [] } };
  const sidecar = await startSidecar({ config });
  const body = mixedRequest();
  expect(await send(sidecar, body)).toBe(200);
  const logs = logRequest([personal]);
  expect((await postTo(sidecar, "logs", logs)).status).toBe(200);
  await eventually(() => expect(sink.taken).toHaveLength(2));
  const ids = (await recordsOf(sidecar, "action")).map(({ id }) => id);
  expect(ids).toHaveLength(3);
  const stamped = mixedRequest((span) => attributes({ "spanseal.record.id": [ids[span - 1]] }));
  const taken = new Map(sink.taken.map(({ signal, bytes }) => [signal, bytes]));
  expect(taken.get("traces")).toEqual(stamped);
  expect(taken.get("logs")).toEqual(Buffer.from(logs));
  const [off] = await recordsOf(sidecar, "redaction_off");
  expect(off).toMatchObject({ namespace: "spanseal", tenant: "system" });
  expect(off!.index).toBeLessThan((await recordsOf(sidecar, "action"))[0]!.index);
  expect(await sidecar.stop()).toBe(0);
});

test("redaction and stamps off: byte for byte what came", async () => {
  const sink = await openSink();
  const { exporters } = httpTo(sink) as { exporters: Plain };
  const config = { exporters: { ...exporters, stamp: false }, redaction: { packs: [] } };
  const sidecar = await startSidecar({ config });
  const body = mixedRequest();
  expect(await send(sidecar, body)).toBe(200);
  await eventually(() => expect(sink.taken).toHaveLength(1));
  expect(sink.taken[0]!.bytes).toEqual(Buffer.from(body));
  expect(await recordsOf(sidecar, "action")).toHaveLength(3);
  expect(await recordsOf(sidecar, "redaction_off")).toHaveLength(1);
  await sidecar.stop();
});

test("a rejection by the sink becomes a record, and the next request is sent", async () => {
  const sink = await openSink();
  const text = { "content-type": "text/plain" };
  sink.script = [
    { status: 400, headers: text, body: "attribute of joe@example.com is wrong" },
    { status: 413, headers: text, body: "too long" },
    {
      status: 200,
      headers: { "content-type": "application/x-protobuf" },
      body: partialSuccess(1, "one was too old"),
    },
  ];
  const sidecar = await startSidecar({ config: httpTo(sink) });
  const two = (id: number): Uint8Array =>
    traceRequest([toolCall({ id }), toolCall({ id: id + 1 })]);
  for (const id of [10, 20, 30, 40]) expect(await send(sidecar, two(id))).toBe(200);
  await eventually(() => expect(sink.names).toEqual(["call 30", "call 31", "call 40", "call 41"]));
  await eventually(async () => expect(await recordsOf(sidecar, "sink_rejected")).toHaveLength(3));
  const rejected = await recordsOf(sidecar, "sink_rejected");
  const actions = await recordsOf(sidecar, "action");
  const about = (status: string, reason: RegExp, item_count: number, request: number): object => ({
    namespace: "spanseal",
    tenant: "system",
    body: {
      status,
      item_count,
      reason: expect.stringMatching(reason) as string,
      signal: "traces",
      sink: sink.url,
      first: actions[2 * request]!.index,
      end: actions[2 * request + 1]!.index + 1,
    },
  });
  expect(rejected).toMatchObject([
    about("HTTP 400", /^rejected: attribute of \[REDACTED:email\] is wrong$/, 2, 0),
    about("HTTP 413", /^rejected: too long$/, 2, 1),
    about("HTTP 200", /^partial: one was too old$/, 1, 2),
  ]);
  const metrics = await metricsOf(sidecar);
  expect(metrics.get('spanseal_forwarded_requests_total{signal="traces",result="rejected"}')).toBe(
    3,
  );
  expect(await sidecar.stop()).toBe(0);
  await expectVerified(sidecar.cwd);
});

test("a gRPC sink's INVALID_ARGUMENT becomes a record too", async () => {
  const sink = await startGrpcSink();
  onTestFinished(() => sink.close());
  sink.script = [{ code: grpc.status.INVALID_ARGUMENT, details: "no such field" }];
  const otlp_grpc = { endpoint: sink.address, tls: { insecure: true } };
  const sidecar = await startSidecar({ config: { exporters: { otlp_grpc } } });
  for (const id of [1, 2]) expect(await send(sidecar, oneCall({ id }))).toBe(200);
  await eventually(() => expect(sink.names).toEqual(["call 2"]));
  const [rejected] = await recordsOf(sidecar, "sink_rejected");
  expect(rejected!.body).toMatchObject({
    status: "INVALID_ARGUMENT",
    reason: "rejected: no such field",
    sink: sink.address,
  });
  await sidecar.stop();
});

test("401 holds one signal's queue, shows everywhere, and goes on when it is mended", async () => {
  const sink = await openSink();
  const sidecar = await startSidecar({ config: httpTo(sink) });
  sink.otherwise = { status: 401 };
  for (const id of [1, 2, 3]) expect(await send(sidecar, oneCall({ id }))).toBe(200);
  const held = await readinessWith(sidecar, 503);
  expect(held.reasons).toMatch(/forwarding of traces is held: HTTP 401/);
  const told = await spanseal(["status", "--config", "spanseal.yaml"], { cwd: sidecar.cwd });
  expect(told.code).toBe(1);
  expect(told.stdout).toMatch(/^because +forwarding of traces is held: HTTP 401/m);
  expect(told.stdout).toMatch(/^traces +held, 0 sent, 3 waiting/m);
  // Recording goes on meanwhile: forwarding comes after it.
  expect(await send(sidecar, oneCall({ id: 4 }))).toBe(200);
  sink.otherwise = { status: 200 };
  await eventually(() => expect(sink.names).toEqual(["call 1", "call 2", "call 3", "call 4"]));
  await readinessWith(sidecar, 200);
  expect(await recordsOf(sidecar, "sink_rejected")).toEqual([]);
  expect(await sidecar.stop()).toBe(0);
});

/** `count` calls whose names tell their order. */
function names(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, at) => `call ${from + at}`);
}

async function sendCalls(sidecar: SidecarProcess, count: number, from = 0): Promise<void> {
  for (let id = from; id < from + count; id++) {
    expect(await send(sidecar, oneCall({ id }))).toBe(200);
  }
}

test("a sink that is away and comes back gets everything in order", async () => {
  const sink = await openSink();
  const sidecar = await startSidecar({ config: httpTo(sink) });
  await sendCalls(sidecar, 5);
  await eventually(() => expect(sink.names).toEqual(names(5)));
  await sink.close();
  await sendCalls(sidecar, 20, 5);
  await eventually(async () =>
    expect((await readinessOf(sidecar)).warnings).toContain("forwarding of traces is retrying"),
  );
  const back = await openSink(sink.port);
  await eventually(() => expect(back.names).toEqual(names(20, 5)));
  expect((await readinessOf(sidecar)).warnings).toBe("");
  expect(await sidecar.stop()).toBe(0);
});

test("a sink that stumbles gets each request at least once, in order", async () => {
  const sink = await openSink();
  sink.script = ["refuse", { status: 503 }, "half-response", { status: 429 }, { status: 502 }];
  const sidecar = await startSidecar({ config: httpTo(sink) });
  await sendCalls(sidecar, 10);
  await eventually(() => expect(new Set(sink.names).size).toBe(10));
  expect([...new Set(sink.names)]).toEqual(names(10));
  expect(await recordsOf(sidecar, "sink_rejected")).toEqual([]);
  await sidecar.stop();
});

test.for(["SIGTERM", "SIGKILL"] as const)("a backlog outlives %s", async (signal) => {
  const sink = await openSink();
  const config = httpTo(sink);
  await sink.close();
  const sidecar = await startSidecar({ config });
  await sendCalls(sidecar, 10);
  const logs = logRequest(["a log"]);
  expect((await postTo(sidecar, "logs", logs)).status).toBe(200);
  await sidecar.stop(signal);
  const back = await openSink(sink.port);
  const again = await startSidecar({ cwd: sidecar.cwd, config });
  await eventually(() => expect(back.taken).toHaveLength(11));
  const traces = back.taken.filter((request) => request.signal === "traces");
  expect(traces.flatMap((request) => request.names)).toEqual(names(10));
  expect(back.taken.find((request) => request.signal === "logs")!.bytes).toEqual(Buffer.from(logs));
  expect(await again.stop()).toBe(0);
  expect(await recordsIn(ledgerOf(again), "action")).toHaveLength(10);
  await expectVerified(sidecar.cwd);
});

/** Larger than half of the smallest queue. */
function bulky(id: number): Uint8Array {
  return oneCall({ id, members: { "gen_ai.tool.call.result": "long ".repeat(120_000) } });
}

test("a full spool refuses senders until there is room, and other signals go on", async () => {
  const sink = await openSink();
  sink.otherwise = { status: 503 };
  const queue = { sending_queue: { queue_size: "1MiB" } };
  const sidecar = await startSidecar({ config: httpTo(sink, queue) });
  expect(await send(sidecar, bulky(1))).toBe(200);
  const full = await postTo(sidecar, "traces", bulky(2));
  expect(full.status).toBe(503);
  expect(Number(full.headers.get("retry-after"))).toBeGreaterThan(0);
  const outcome = await grpcOf(sidecar)("traces", bulky(2));
  expect(outcome.code).toBe(grpc.status.UNAVAILABLE);
  expect(outcome.status?.retryDelaySeconds).toBeGreaterThan(0);
  expect((await postTo(sidecar, "logs", logRequest(["a log"]))).status).toBe(200);
  expect(await recordsOf(sidecar, "action")).toHaveLength(1);
  sink.otherwise = { status: 200 };
  await eventually(async () => expect(await send(sidecar, bulky(2))).toBe(200));
  await eventually(() =>
    expect(sink.names.filter((name) => name.startsWith("call"))).toEqual(["call 1", "call 2"]),
  );
  expect(await sidecar.stop()).toBe(0);
});

test("on_full: suspend goes on recording, and records what was not forwarded", async () => {
  const sink = await openSink();
  sink.otherwise = { status: 503 };
  const queue = { sending_queue: { queue_size: "1MiB", on_full: "suspend" } };
  const sidecar = await startSidecar({ config: httpTo(sink, queue) });
  for (const id of [1, 2, 3]) expect(await send(sidecar, bulky(id))).toBe(200);
  await eventually(async () =>
    expect(await recordsOf(sidecar, "forwarding_suspended")).toHaveLength(1),
  );
  expect((await readinessOf(sidecar)).warnings).toContain("forwarding of traces is suspended");
  sink.otherwise = { status: 200 };
  await eventually(async () =>
    expect(await recordsOf(sidecar, "forwarding_suspended")).toHaveLength(2),
  );
  expect(await send(sidecar, oneCall({ id: 4 }))).toBe(200);
  await eventually(() => expect(sink.names).toEqual(["call 1", "call 4"]));
  const actions = await recordsOf(sidecar, "action");
  expect(actions).toHaveLength(4);
  const [begin, end] = await recordsOf(sidecar, "forwarding_suspended");
  const leftOut = { first: actions[1]!.index, signal: "traces", sink: sink.url };
  expect(begin!.body).toMatchObject({ ...leftOut, phase: "start", request_count: 0 });
  expect(end!.body).toMatchObject({
    ...leftOut,
    phase: "end",
    request_count: 2,
    item_count: 2,
    end: actions[2]!.index + 1,
    counts_complete: true,
    since_time: begin!.body.since_time,
  });
  expect(await sidecar.stop()).toBe(0);
  await expectVerified(sidecar.cwd);
});

test("requests of a signal that has no sink any more are told of, kept, and sent once it has one", async () => {
  const sink = await openSink();
  sink.otherwise = { status: 503 };
  const first = await startSidecar({ config: httpTo(sink) });
  const { cwd } = first;
  const requests = requestsWith(personal, 1);
  for (const signal of signals) await postTo(first, signal, requests[signal]);
  await first.stop();
  const onlyTraces = { exporters: { otlp_http: { traces_endpoint: `${sink.url}/v1/traces` } } };
  for (const [config, unsent] of [
    [onlyTraces, ["logs", "metrics"]],
    [{}, ["traces", "logs", "metrics"]],
  ] as const) {
    const sidecar = await startSidecar({ cwd, config });
    const { code, warnings } = await readinessOf(sidecar);
    expect(code).toBe(200);
    const told = unsent.map(
      (signal) =>
        `no sink is configured for ${signal}, but the spool ` +
        `${join(ledgerOf(sidecar), "spool", signal)} holds unsent requests (1): ` +
        "configure one again, or move the folder aside to give up what it holds",
    );
    expect(warnings).toBe(told.join("\n"));
    const { stdout } = await spanseal(["status", "--config", "spanseal.yaml"], { cwd });
    for (const place of [sidecar.stderr(), stdout]) {
      for (const message of told) expect(place).toContain(message);
    }
    const metrics = await metricsOf(sidecar);
    const waiting = unsent.map((signal) =>
      metrics.get(`spanseal_forward_queue_requests{signal="${signal}"}`),
    );
    expect(waiting).toEqual(unsent.map(() => 1));
    await sidecar.stop();
  }
  sink.otherwise = { status: 200 };
  const again = await startSidecar({ cwd, config: httpTo(sink) });
  await eventually(() =>
    expect(sink.taken.map(({ signal }) => signal).toSorted()).toEqual(signals.toSorted()),
  );
  expect(await readinessOf(again)).toMatchObject({ warnings: "" });
  await again.stop();
});
