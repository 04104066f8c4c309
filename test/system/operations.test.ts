/** What an operator relies on: probes, numbers, an end that loses nothing, and new keys. */
import { connect } from "node:net";
import type { Socket } from "node:net";
import * as grpc from "@grpc/grpc-js";
import { expect, onTestFinished, test } from "vitest";
import { spanseal } from "../cli/command.ts";
import { startHttpSink } from "../forward/http-sink-server.ts";
import { startSidecar } from "../service/sidecar-process.ts";
import type { SidecarProcess } from "../service/sidecar-process.ts";
import {
  eventually,
  expectVerified,
  ledgerOf,
  metricsOf,
  readinessWith,
  recordsIn,
  recordsOf,
} from "./observation.ts";
import {
  grpcOf,
  logRequest,
  metricRequest,
  oneCall,
  portOf,
  postTo,
  requestsWith,
  send,
  toolCall,
  traceRequest,
} from "./telemetry.ts";

const config = ["--config", "spanseal.yaml"];

test("the numbers of /metrics are those of the traffic", async () => {
  const sink = await startHttpSink();
  onTestFinished(() => sink.close());
  const sidecar = await startSidecar({
    config: { exporters: { otlp_http: { endpoint: sink.url } } },
  });
  const personal = { "gen_ai.tool.call.result": "jane.roe@example.com and joe@example.com" };
  const traces = traceRequest([
    toolCall({ id: 1, members: personal }),
    toolCall({ id: 2 }),
    { name: "GET /" },
  ]);
  const logs = logRequest(["call me at jane.roe@example.com", "nothing"]);
  const metrics = metricRequest(["a", "b", "c"]);
  expect((await postTo(sidecar, "traces", traces)).status).toBe(200);
  expect((await postTo(sidecar, "traces", traces)).status).toBe(200);
  expect((await postTo(sidecar, "traces", "{")).status).toBe(400);
  expect((await postTo(sidecar, "logs", logs)).status).toBe(200);
  expect((await grpcOf(sidecar)("metrics", metrics)).code).toBe(grpc.status.OK);
  expect((await grpcOf(sidecar)("traces", Buffer.from("x"))).code).toBe(
    grpc.status.INVALID_ARGUMENT,
  );
  // The repeat is forwarded too: whether its plain span was, nothing knows.
  await eventually(() => expect(sink.taken).toHaveLength(4));
  await spanseal(["publish", ...config], { cwd: sidecar.cwd });
  const { length } = await recordsOf(sidecar);
  const seen = await metricsOf(sidecar);
  const http = (name: string, signal: string): string =>
    `spanseal_received_${name}_total{signal="${signal}",transport="http"}`;
  const wanted: Record<string, number> = {
    [http("requests", "traces")]: 3,
    [http("requests", "logs")]: 1,
    [http("items", "traces")]: 6,
    [http("items", "logs")]: 2,
    [http("bytes", "traces")]: 2 * traces.length + 1,
    'spanseal_received_items_total{signal="metrics",transport="grpc"}': 3,
    'spanseal_rejected_requests_total{code="malformed",transport="http"}': 1,
    'spanseal_rejected_requests_total{code="malformed",transport="grpc"}': 1,
    'spanseal_records_total{result="appended"}': 2,
    'spanseal_records_total{result="repeated"}': 2,
    'spanseal_records_total{result="conflict"}': 0,
    'spanseal_redactions_total{class="email"}': 5,
    spanseal_commit_duration_seconds_count: 4,
    'spanseal_forwarded_requests_total{signal="traces",result="sent"}': 2,
    'spanseal_forwarded_requests_total{signal="logs",result="sent"}': 1,
    'spanseal_forwarded_requests_total{signal="metrics",result="sent"}': 1,
    'spanseal_forward_queue_bytes{signal="traces"}': 0,
    'spanseal_ledger_state{state="open"}': 1,
    spanseal_ledger_records: length,
    spanseal_published_records: length,
    spanseal_root_lag_records: 0,
    spanseal_root_lag_seconds: 0,
    spanseal_ready: 1,
  };
  expect(Object.fromEntries(Object.keys(wanted).map((name) => [name, seen.get(name)]))).toEqual(
    wanted,
  );
  expect(await sidecar.stop()).toBe(0);
});

/** A request over a socket of its own, of which only a part has been sent. */
interface SlowRequest {
  readonly socket: Socket;
  /** The rest of the body. */
  readonly rest: Uint8Array;
  /** What was answered, when the connection ends. */
  readonly answer: Promise<string>;
}

async function beginSlowly(sidecar: SidecarProcess, body: Uint8Array): Promise<SlowRequest> {
  const socket = connect(portOf(sidecar.ready.endpoints.http), "127.0.0.1");
  onTestFinished(() => {
    socket.destroy();
  });
  socket.on("error", () => undefined);
  const head =
    "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n" +
    `connection: close\r\nexpect: 100-continue\r\ncontent-length: ${body.length}\r\n\r\n`;
  socket.write(head);
  // The receiver has the head: from here on the request is in flight.
  await new Promise((resolve) => socket.once("data", resolve));
  socket.write(body.subarray(0, 100));
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  const answer = new Promise<string>((resolve) =>
    socket.once("close", () => resolve(Buffer.concat(chunks).toString("latin1"))),
  );
  return { socket, rest: body.subarray(100), answer };
}

interface Sent {
  readonly acknowledged: readonly string[];
  /** The answer that ended it; 0 where nobody listened any more. */
  readonly lastStatus: number;
}

/** Sends calls one after another until one is not taken. */
async function sendUntilRefused(sidecar: SidecarProcess, from: number): Promise<Sent> {
  const acknowledged: string[] = [];
  for (let id = from; ; id++) {
    const lastStatus = await send(sidecar, oneCall({ id })).catch(() => 0);
    if (lastStatus !== 200) return { acknowledged, lastStatus };
    acknowledged.push(`call ${id}`);
  }
}

async function callsIn(ledger: string): Promise<string[]> {
  return (await recordsIn(ledger, "action")).map(({ body }) => body.trace.name);
}

test("SIGTERM under load: what was in flight is finished, what was accepted is durable", async () => {
  const sidecar = await startSidecar();
  const senders = [1000, 2000, 3000].map((from) => sendUntilRefused(sidecar, from));
  const slow = await beginSlowly(sidecar, oneCall({ id: 1 }));
  await eventually(async () => expect((await recordsOf(sidecar)).length).toBeGreaterThan(20));
  const stopped = sidecar.stop();
  const draining = await readinessWith(sidecar, 503);
  expect(draining.reasons).toContain("shutting down");
  slow.socket.write(slow.rest);
  expect(await slow.answer).toMatch(/^HTTP\/1\.1 200 /);
  const sent = await Promise.all(senders);
  const acknowledged = sent.flatMap((one) => one.acknowledged);
  // What is not taken is to be sent again: to the next sidecar.
  for (const { lastStatus } of sent) expect([0, 503]).toContain(lastStatus);
  expect(await stopped).toBe(0);
  const recorded = new Set(await callsIn(ledgerOf(sidecar)));
  expect([...acknowledged, "call 1"].filter((name) => !recorded.has(name))).toEqual([]);

  const again = await startSidecar({ cwd: sidecar.cwd });
  expect(again.stderr()).not.toContain("unclean");
  const opened = await recordsOf(again, "opened");
  expect(opened.map(({ body }) => [body.boot, body.clean])).toEqual([
    [1, true],
    [2, true],
  ]);
  expect(await again.stop()).toBe(0);
  await expectVerified(sidecar.cwd);
});

test("a sender that never finishes does not hold the end up beyond 10 s", async () => {
  const sink = await startHttpSink();
  onTestFinished(() => sink.close());
  sink.otherwise = "hang";
  const sidecar = await startSidecar({
    config: { exporters: { otlp_http: { endpoint: sink.url } } },
  });
  expect(await send(sidecar, oneCall({ id: 1 }))).toBe(200);
  await eventually(() => expect(sink.arrived).toBe(1));
  const stuck = await beginSlowly(sidecar, oneCall({ id: 2 }));
  // One that takes longer ends itself by a signal, and has no exit code.
  expect(await sidecar.stop()).toBe(0);
  expect(await stuck.answer).not.toMatch(/^HTTP\/1\.1 200 /);
  expect(await callsIn(ledgerOf(sidecar))).toEqual(["call 1"]);
  // Nothing is lost to the sink either: it is sent at the next start.
  sink.otherwise = { status: 200 };
  const again = await startSidecar({
    cwd: sidecar.cwd,
    config: { exporters: { otlp_http: { endpoint: sink.url } } },
  });
  await eventually(() => expect(sink.names).toEqual(["call 1"]));
  expect(again.stderr()).not.toContain("unclean");
  expect(await again.stop()).toBe(0);
});

test("health and readiness of a sidecar that is well, on an endpoint of their own", async () => {
  const sidecar = await startSidecar();
  const health = await sidecar.operations("/healthz");
  expect([health.status, await health.json()]).toEqual([200, { status: "ok" }]);
  const ready = await sidecar.operations("/readyz");
  expect([ready.status, await ready.json()]).toEqual([
    200,
    { status: "ready", reasons: [], warnings: [] },
  ]);
  for (const path of ["/healthz", "/metrics"]) {
    expect((await fetch(`http://${sidecar.ready.endpoints.http}${path}`)).status).toBe(404);
  }
  expect((await sidecar.operations("/v1/traces")).status).toBe(404);
  await sidecar.stop();
});

async function rotate(sidecar: SidecarProcess, which: "chain" | "log"): Promise<number> {
  const { cwd } = sidecar;
  const rotated = await spanseal(["keys", "rotate", which, ...config, "--json"], { cwd });
  expect(rotated).toMatchObject({ code: 0, stderr: "" });
  return (JSON.parse(rotated.stdout) as { index: number }).index;
}

test("keys are rotated while serving; the old key still leads an auditor to the end", async () => {
  const sidecar = await startSidecar();
  const { cwd } = sidecar;
  let id = 0;
  const over = new AbortController();
  const load = (async () => {
    const statuses = new Set<number>();
    while (!over.signal.aborted) statuses.add(await send(sidecar, oneCall({ id: id++ })));
    return [...statuses];
  })();
  const indexes: number[] = [];
  for (const which of ["chain", "log", "chain"] as const) {
    indexes.push(await rotate(sidecar, which));
    await spanseal(["publish", ...config], { cwd });
  }
  over.abort();
  expect(await load).toEqual([200]);
  const rotations = await recordsOf(sidecar, "key_rotated");
  expect(rotations.map(({ index, body }) => [index, body.purpose])).toEqual([
    [indexes[0], "chain"],
    [indexes[1], "log"],
    [indexes[2], "chain"],
  ]);
  expect((await recordsOf(sidecar, "action")).length).toBe(id);
  expect(await sidecar.stop()).toBe(0);

  const again = await startSidecar({ cwd });
  expect(await send(again, oneCall({ id: id++ }))).toBe(200);
  expect(await again.stop()).toBe(0);
  const told = await spanseal(["keys", "public", ...config], { cwd });
  const vkeys = told.stdout.trim().split("\n");
  expect(vkeys).toHaveLength(2);
  expect(vkeys).toEqual([sidecar.ready.public_key, again.ready.public_key]);
  await expectVerified(cwd, "--level", "full");
  const [oldKey, newKey] = vkeys as [string, string];
  await expectVerified(cwd, "--no-chain-key", "--public-key", oldKey, newKey);
  await expectVerified(cwd, "--no-chain-key", "--public-key", oldKey);
});

test("all three signals go through both transports, compressed or not", async () => {
  const sidecar = await startSidecar();
  const sent = requestsWith("text", 1);
  for (const [signal, body] of Object.entries(sent) as ["traces", Uint8Array][]) {
    const zipped = new Uint8Array(
      await new Response(
        new Blob([Buffer.from(body)]).stream().pipeThrough(new CompressionStream("gzip")),
      ).arrayBuffer(),
    );
    const plain = await postTo(sidecar, signal, body);
    const answered = await postTo(sidecar, signal, zipped, { "content-encoding": "gzip" });
    expect([plain.status, answered.status]).toEqual([200, 200]);
    expect((await grpcOf(sidecar)(signal, body)).code).toBe(grpc.status.OK);
  }
  expect(await recordsOf(sidecar, "action")).toHaveLength(1);
  expect(await sidecar.stop()).toBe(0);
});
