import { expect, onTestFinished, test } from "vitest";
import type { SignalStatus } from "../../src/forward/forwarder.ts";
import { createMetrics } from "../../src/service/metrics.ts";
import { startOperations } from "../../src/service/operations.ts";
import type { SidecarState } from "../../src/service/state.ts";

const traces: SignalStatus = {
  state: "sending",
  reason: undefined,
  sinceUnixMs: 0,
  sent: 5,
  sentBytes: 500,
  rejected: 1,
  rejectedItems: 2,
  retries: 0,
  lastError: undefined,
  queueBytes: 77,
  queueBytesMax: 1000,
  isFull: false,
  queueEntries: 1,
  oldestAgeMs: 3,
  skipped: 0,
};

const idle = { chainCount: 2, queuedRequests: 0, queuedBytes: 0, checkpointSize: 10 };

const state: SidecarState = {
  unsent: [],
  pid: 1,
  startedAt: "2026-11-21T00:00:00.000Z",
  draining: false,
  ledger: { state: "open", directory: "/l", origin: "o/1", size: 12, ...idle },
  publish: {
    bucket: "/b",
    publishedSize: 10,
    lagMs: 1500,
    lagRecords: 2,
    pendingRoots: 0,
    halted: false,
  },
  forward: { sink: "http://127.0.0.1:1", signals: { traces } },
  endpoints: {},
  publicKey: "o/1+00000000+AA==",
};

async function start(observe: () => SidecarState): Promise<{
  get: (path: string, init?: RequestInit) => Promise<Response>;
  metrics: ReturnType<typeof createMetrics>;
}> {
  const metrics = createMetrics(observe);
  const endpoint = { host: "127.0.0.1", port: 0 };
  const operations = await startOperations({ endpoint, observe, metrics });
  onTestFinished(() => operations.close());
  const base = `http://127.0.0.1:${operations.endpoint.port}`;
  return { get: (path, init) => fetch(`${base}${path}`, init), metrics };
}

test("health and readiness of a sidecar that is well", async () => {
  const { get } = await start(() => state);
  const health = await get("/healthz");
  expect([health.status, await health.json()]).toEqual([200, { status: "ok" }]);
  const ready = await get("/readyz?verbose");
  expect([ready.status, await ready.json()]).toEqual([
    200,
    { status: "ready", reasons: [], warnings: [] },
  ]);
});

test("what mends itself or was chosen is a warning", async () => {
  const { get } = await start(() => ({
    ...state,
    publish: { ...state.publish, lastError: "EACCES" },
    forward: {
      sink: "s",
      signals: {
        traces: { ...traces, state: "retrying", reason: "HTTP 503" },
        logs: { ...traces, state: "suspended", reason: "the queue is full" },
      },
    },
  }));
  const ready = await get("/readyz");
  expect([ready.status, await ready.json()]).toEqual([
    200,
    {
      status: "ready",
      reasons: [],
      warnings: [
        "publishing is tried again: EACCES",
        "forwarding of traces is retrying: HTTP 503",
        "forwarding of logs is suspended: the queue is full",
      ],
    },
  ]);
});

test.for<[string, Partial<SidecarState>, string]>([
  ["draining", { draining: true }, "shutting down"],
  [
    "ledger",
    { ledger: { ...state.ledger, state: "recovering", reason: "the disk is full" } },
    "the ledger is recovering: the disk is full",
  ],
  [
    "bucket",
    { publish: { ...state.publish, lagMs: 9000, lagMsMax: 5000, lastError: "EACCES" } },
    "the bucket is behind by more than publish.max_lag: EACCES",
  ],
  [
    "sink",
    { forward: { sink: "s", signals: { traces: { ...traces, state: "held", reason: "401" } } } },
    "forwarding of traces is held: 401",
  ],
  [
    "queue",
    { forward: { sink: "s", signals: { traces: { ...traces, isFull: true } } } },
    "the queue of traces for the sink is full: slow sink",
  ],
  [
    "halted bucket",
    { publish: { ...state.publish, halted: true, lastError: "rolled back" } },
    "publishing is halted: rolled back",
  ],
])("not ready because of the %s", async ([, part, reason]) => {
  const { get } = await start(() => ({ ...state, ...part }));
  const ready = await get("/readyz");
  expect(ready.status).toBe(503);
  expect(await ready.json()).toMatchObject({ status: "not ready", reasons: [reason] });
  expect((await get("/healthz")).status).toBe(200);
});

test("a stopped ledger is unhealthy, because only a restart mends it", async () => {
  const { get } = await start(() => ({
    ...state,
    ledger: { ...state.ledger, state: "stopped", reason: "fsync failed" },
  }));
  const health = await get("/healthz");
  expect([health.status, await health.json()]).toEqual([
    503,
    { status: "stopped", reasons: ["fsync failed"] },
  ]);
});

test("the metrics count requests, commits and the state", async () => {
  const { get, metrics } = await start(() => state);
  metrics.request({ signal: "traces", transport: "http", code: "ok", bytes: 100, items: 3 });
  metrics.request({ signal: "logs", transport: "grpc", code: "too_large", bytes: 50 });
  metrics.commit({
    recorded: 2,
    repeated: 1,
    conflicts: 0,
    redactionsByClass: { email: 4 },
    seconds: 0.004,
  });
  const answer = await get("/metrics");
  expect(answer.headers.get("content-type")).toContain("text/plain");
  const lines = (await answer.text()).split("\n");
  for (const line of [
    'spanseal_received_requests_total{signal="traces",transport="http"} 1',
    'spanseal_received_items_total{signal="traces",transport="http"} 3',
    'spanseal_received_bytes_total{signal="logs",transport="grpc"} 50',
    'spanseal_rejected_requests_total{code="too_large",transport="grpc"} 1',
    'spanseal_records_total{result="appended"} 2',
    'spanseal_records_total{result="repeated"} 1',
    'spanseal_records_total{result="conflict"} 0',
    'spanseal_redactions_total{class="email"} 4',
    'spanseal_commit_duration_seconds_bucket{le="0.005"} 1',
    'spanseal_forwarded_requests_total{signal="traces",result="sent"} 5',
    'spanseal_forward_queue_bytes{signal="traces"} 77',
    "spanseal_root_lag_seconds 1.5",
    "spanseal_root_lag_records 2",
    "spanseal_ledger_records 12",
    "spanseal_published_records 10",
    'spanseal_ledger_state{state="open"} 1',
    'spanseal_ledger_state{state="stopped"} 0',
    "spanseal_ready 1",
  ]) {
    expect(lines).toContain(line);
  }
});

test("classes beyond the bound are counted together", async () => {
  const { get, metrics } = await start(() => state);
  for (let index = 0; index < 1000; index += 1) {
    const redactionsByClass = { [`class-${index}`]: 1 };
    metrics.commit({ recorded: 0, repeated: 0, conflicts: 0, redactionsByClass, seconds: 0 });
  }
  const text = await (await get("/metrics")).text();
  expect(text.match(/^spanseal_redactions_total\{/gm)).toHaveLength(201);
  expect(text).toContain('spanseal_redactions_total{class="other"} 800');
});

test("other methods and paths are refused", async () => {
  const { get } = await start(() => state);
  expect((await get("/readyz", { method: "POST", body: "x" })).status).toBe(405);
  expect((await get("/v1/traces")).status).toBe(404);
  const head = await get("/healthz", { method: "HEAD" });
  expect([head.status, await head.text()]).toEqual([200, ""]);
});

test("a state that cannot be told is an answer as well", async () => {
  const { get } = await start(() => {
    throw new Error("a defect");
  });
  for (const path of ["/healthz", "/readyz", "/metrics"]) {
    const answer = await get(path);
    expect([answer.status, await answer.json()]).toEqual([
      500,
      { error: "the state is not known" },
    ]);
  }
});

test("an address that is taken is named with its key", async () => {
  const metrics = createMetrics(() => state);
  const endpoint = { host: "127.0.0.1", port: 0 };
  const first = await startOperations({ endpoint, observe: () => state, metrics });
  onTestFinished(() => first.close());
  const second = startOperations({ endpoint: first.endpoint, observe: () => state, metrics });
  await expect(second).rejects.toMatchObject({
    code: "address_in_use",
    remedy: "stop what listens there, or set operations.endpoint to a free port",
  });
});
