import { readFile } from "node:fs/promises";
import { expect, test } from "vitest";
import { ForwardError } from "../../src/forward/forward-error.ts";
import { nodeFiles } from "../../src/ledger/files.ts";
import { beyondTheTestMs } from "../support/patience.ts";
import { startHarness, temporaryDirectory, until } from "./harness.ts";
import { startHttpSink } from "./http-sink-server.ts";
import type { Behaviour } from "./http-sink-server.ts";
import { metricsRequest, partialSuccess, rpcStatus, traceRequest } from "./otlp-requests.ts";

const tlsFile = (name: string): string => new URL(`tls/${name}`, import.meta.url).pathname;

async function httpHarness(options: Partial<Parameters<typeof startHarness>[0]> = {}) {
  const sink = await startHttpSink();
  const harness = await startHarness({ ...options, sink: { kind: "http", endpoint: sink.url } });
  return { sink, ...harness };
}

/** Sends one request that meets `script`, then one that is taken. */
async function meet(...script: Behaviour[]) {
  const harness = await httpHarness();
  harness.sink.script = script;
  await harness.log.append("traces", traceRequest(["first", "also first"]), 2);
  await harness.log.append("traces", traceRequest(["second"]));
  await until(() => harness.sink.names.includes("second"));
  await harness.forwarder.close(1000);
  await harness.sink.close();
  return harness;
}

test("each signal goes to its path, byte for byte, gzipped, in order", async () => {
  const { sink, forwarder, log } = await httpHarness();
  const sent = Array.from({ length: 30 }, (_, at) => traceRequest([`span ${at}`], 300));
  for (const request of sent) await log.append("traces", request);
  await log.append("logs", traceRequest(["a log"]), 0);
  await log.append("metrics", metricsRequest([2, 3]), 0);
  await until(() => sink.taken.length === 32);
  const traces = sink.taken.filter(({ signal }) => signal === "traces");
  expect(traces.map(({ bytes }) => bytes)).toEqual(sent.map((bytes) => Buffer.from(bytes)));
  expect(sink.taken.map(({ path }) => path)).toContain("/v1/metrics");
  expect(sink.taken[0]!.headers).toMatchObject({
    "content-type": "application/x-protobuf",
    "content-encoding": "gzip",
    "user-agent": "spanseal",
  });
  await until(() => forwarder.status().traces!.state === "idle");
  expect(forwarder.status().traces).toMatchObject({
    sent: 30,
    rejected: 0,
    retries: 0,
    queueBytes: 0,
    queueEntries: 0,
    oldestAgeMs: undefined,
  });
  await forwarder.close(1000);
  await sink.close();
});

test("headers, no compression, a base path and an endpoint of its own for one signal", async () => {
  const sink = await startHttpSink();
  const { forwarder, log } = await startHarness({
    sink: {
      kind: "http",
      endpoint: `${sink.url}/otel/`,
      endpoints: { metrics: `${sink.url}/special/metrics` },
      headers: { "X-Scope-OrgID": "ward-7" },
      compression: "none",
    },
  });
  await log.append("traces", traceRequest(["a"]));
  await log.append("metrics", metricsRequest([1]), 0);
  await until(() => sink.taken.length === 2);
  expect(sink.taken.map(({ path }) => path).toSorted()).toEqual([
    "/otel/v1/traces",
    "/special/metrics",
  ]);
  expect(sink.taken[0]!.headers["x-scope-orgid"]).toBe("ward-7");
  expect(sink.taken[0]!.headers["content-encoding"]).toBeUndefined();
  await forwarder.close(1000);
  await sink.close();
});

test("a signal without endpoint is not forwarded and not spooled", async () => {
  const sink = await startHttpSink();
  const { forwarder, log } = await startHarness({
    sink: { kind: "http", endpoints: { traces: `${sink.url}/v1/traces` } },
  });
  await log.append("logs", traceRequest(["a log"]));
  await log.append("traces", traceRequest(["a span"]));
  await until(() => sink.names.includes("a span"));
  expect(sink.names).toEqual(["a span"]);
  expect(Object.keys(forwarder.status())).toEqual(["traces"]);
  await forwarder.close(1000);
  await sink.close();
});

test.each<Behaviour>([
  { status: 429 },
  { status: 502 },
  { status: 503, headers: { "retry-after": "0" } },
  { status: 504 },
  "refuse",
])("%j is tried again, and order is kept", async (behaviour) => {
  const { sink, controls, forwarder } = await meet(behaviour, behaviour);
  expect(sink.names).toEqual(["first", "also first", "second"]);
  expect(controls).toEqual([]);
  expect(forwarder.status().traces).toMatchObject({ sent: 2, retries: 2 });
});

test.each<Behaviour>(["lose-response", "half-response"])(
  "%s leads to a resend before anything else is sent",
  async (behaviour) => {
    const { sink, controls } = await meet(behaviour);
    expect(sink.names).toEqual(["first", "also first", "first", "also first", "second"]);
    expect(controls).toEqual([]);
  },
);

test("a sink that never answers is given up after the timeout and tried again", async () => {
  const sink = await startHttpSink();
  sink.script = ["hang"];
  const { forwarder, log } = await startHarness({
    sink: { kind: "http", endpoint: sink.url, timeoutMs: 60 },
  });
  await log.append("traces", traceRequest(["a"]));
  await until(() => sink.names.length === 1);
  expect(forwarder.status().traces!.lastError).toBe("timeout: no answer within 60 ms");
  await forwarder.close(1000);
  await sink.close();
});

test("Retry-After is honoured as seconds", async () => {
  const { sink } = await meet({ status: 503, headers: { "retry-after": "1" } });
  expect(sink.arrivedMs[1]! - sink.arrivedMs[0]!).toBeGreaterThanOrEqual(950);
});

test("Retry-After is honoured as a date", async () => {
  const date = new Date(Date.now() + 2000).toUTCString();
  const { sink } = await meet({ status: 429, headers: { "retry-after": date } });
  const secondUnixMs = performance.timeOrigin + sink.arrivedMs[1]!;
  expect(secondUnixMs).toBeGreaterThanOrEqual(Date.parse(date) - 50);
});

test("400 and 413 become one control record each, then the queue moves on", async () => {
  const body = Buffer.from(rpcStatus("span 7 has no name"));
  const headers = { "content-type": "application/x-protobuf" };
  const { sink, controls, forwarder } = await meet({ status: 400, headers, body });
  expect(sink.names).toEqual(["second"]);
  expect(controls).toEqual([
    {
      kind: "sink_rejected",
      signal: "traces",
      first: 0,
      end: 2,
      reason: "rejected",
      status: "HTTP 400",
      rejectedItems: 2,
      message: "span 7 has no name",
      requestBytes: traceRequest(["first", "also first"]).length,
      attempts: 1,
    },
  ]);
  expect(forwarder.status().traces).toMatchObject({ sent: 1, rejected: 1, rejectedItems: 2 });
  const large = await meet({ status: 413, headers: { "content-type": "text/plain" }, body: "big" });
  expect(large.controls).toMatchObject([{ status: "HTTP 413", message: "big" }]);
});

test("a partial success becomes a control record with the sink's count", async () => {
  const { sink, controls } = await meet({ status: 200, body: partialSuccess(1, "name too long") });
  expect(sink.names).toEqual(["first", "also first", "second"]);
  expect(controls).toMatchObject([
    { reason: "partial", rejectedItems: 1, message: "name too long", status: "HTTP 200" },
  ]);
  const json = JSON.stringify({ partialSuccess: { rejectedSpans: "2", errorMessage: "no" } });
  const headers = { "content-type": "application/json" };
  const inJson = await meet({ status: 200, headers, body: json });
  expect(inJson.controls).toMatchObject([{ reason: "partial", rejectedItems: 2, message: "no" }]);
});

test("a success with a warning or a strange body is a success", async () => {
  const warned = await meet({ status: 200, body: partialSuccess(0, "please upgrade") });
  expect(warned.controls).toEqual([]);
  expect(warned.forwarder.status().traces!.lastError).toBe("HTTP 200: please upgrade");
  for (const body of ["OK", "{}", "\u0000\u0001\u0002"]) {
    const { controls, forwarder } = await meet({ status: 202, body });
    expect(controls).toEqual([]);
    expect(forwarder.status().traces!.sent).toBe(2);
  }
});

test("an answer beyond 4 MiB is not read and not sent again", async () => {
  const { controls, sink } = await meet({ status: 200, body: Buffer.alloc(5 * 1024 * 1024) });
  expect(controls).toMatchObject([{ reason: "unreadable", rejectedItems: undefined }]);
  expect(sink.arrived).toBe(2);
});

test("a sink's message is redacted, made one line and cut", async () => {
  const { sink, controls, forwarder, log } = await httpHarness({
    redactMessage: (text) => text.replaceAll("bob@example.com", "[REDACTED:email]"),
  });
  const body = `bad value\n\n"bob@example.com" ${"x".repeat(1000)}`;
  sink.script = [{ status: 400, headers: { "content-type": "text/plain" }, body }];
  await log.append("traces", traceRequest(["a"]));
  await until(() => controls.length === 1);
  const [control] = controls;
  expect(control).toHaveProperty(
    "message",
    expect.stringMatching(/^bad value "\[REDACTED:email\]" x+$/),
  );
  expect(JSON.stringify(forwarder.status())).not.toContain("bob@");
  await forwarder.close(1000);
  await sink.close();
});

test.each([401, 403, 404, 405, 415, 500, 307])(
  "HTTP %i holds the signal, visibly, and only that one",
  async (status) => {
    const { sink, forwarder, controls, log } = await httpHarness();
    sink.otherwise = { status, headers: { location: `${sink.url}/elsewhere` } };
    await log.append("traces", traceRequest(["held"]));
    await until(() => forwarder.status().traces!.state === "held");
    const since = forwarder.status().traces!.sinceUnixMs;
    await until(() => sink.arrived >= 3);
    expect(forwarder.status().traces).toMatchObject({
      state: "held",
      reason: `HTTP ${status}`,
      sinceUnixMs: since,
      queueEntries: 1,
    });
    expect(forwarder.status().logs!.state).toBe("idle");
    sink.otherwise = { status: 200 };
    await until(() => forwarder.status().traces!.state === "idle");
    expect(sink.names).toEqual(["held"]);
    expect(controls).toEqual([]);
    await forwarder.close(1000);
    await sink.close();
  },
);

test("after max_elapsed_time a request is given up with a control record, not silently", async () => {
  const { sink, forwarder, controls, log } = await httpHarness({
    retry: { initialIntervalMs: 5, maxIntervalMs: 10, maxElapsedMs: 60 },
  });
  sink.otherwise = { status: 503 };
  await log.append("traces", traceRequest(["late"]));
  await until(() => controls.length === 1);
  expect(controls).toMatchObject([{ reason: "expired", status: "HTTP 503", rejectedItems: 1 }]);
  expect(sink.arrived).toBeGreaterThan(1);
  await until(() => forwarder.status().traces!.queueEntries === 0);
  await forwarder.close(1000);
  await sink.close();
});

test("max_elapsed_time also ends the holding of a request that the sink never answers well", async () => {
  const { sink, forwarder, controls, log } = await httpHarness({
    retry: { initialIntervalMs: 5, maxIntervalMs: 10, maxElapsedMs: 60 },
  });
  sink.otherwise = { status: 500 };
  await log.append("traces", traceRequest(["poison"]));
  await until(() => controls.length === 1);
  expect(controls).toMatchObject([{ reason: "expired", status: "HTTP 500", rejectedItems: 1 }]);
  expect(sink.arrived).toBeGreaterThan(1);
  sink.otherwise = { status: 200 };
  await log.append("traces", traceRequest(["next"]));
  await until(() => sink.names.includes("next"));
  expect(forwarder.status().traces!.state).not.toBe("held");
  await forwarder.close(1000);
  await sink.close();
});

test("with retries switched off the first failure becomes a control record", async () => {
  const { sink, forwarder, controls, log } = await httpHarness({ retry: { enabled: false } });
  sink.otherwise = { status: 503 };
  await log.append("traces", traceRequest(["a"]));
  await until(() => controls.length === 1);
  expect(controls).toMatchObject([{ reason: "expired", attempts: 1 }]);
  await forwarder.close(1000);
  await sink.close();
});

test("the cursor moves only after the control record is durable", async () => {
  const directory = await temporaryDirectory();
  let isLogDown = true;
  const recorded: string[] = [];
  const { sink, forwarder, log } = await httpHarness({
    directory,
    onControl: (control) => {
      if (isLogDown) return Promise.reject(new Error("disk full"));
      recorded.push(control.kind);
      return Promise.resolve();
    },
  });
  sink.script = [{ status: 400 }];
  await log.append("traces", traceRequest(["a"]));
  await until(() => forwarder.status().traces!.reason?.includes("disk full") === true);
  expect(forwarder.status().traces!.queueEntries).toBe(1);
  isLogDown = false;
  await until(() => forwarder.status().traces!.queueEntries === 0);
  expect(recorded).toEqual(["sink_rejected"]);
  expect(sink.arrived).toBe(1);
  await forwarder.close(1000);
  await sink.close();
});

test("TLS: a certificate that is not trusted holds; ca_file, override and skip_verify help", async () => {
  const [cert, key] = await Promise.all(
    ["sink.pem", "sink.key.pem"].map((f) => readFile(tlsFile(f))),
  );
  const sink = await startHttpSink({ tls: { cert: cert!, key: key! } });
  const byTls = (tls: object) => startHarness({ sink: { kind: "http", endpoint: sink.url, tls } });
  const untrusted = await byTls({});
  await untrusted.log.append("traces", traceRequest(["untrusted"]));
  await until(() => untrusted.forwarder.status().traces!.state === "held");
  expect(untrusted.forwarder.status().traces!.reason).toMatch(/DEPTH_ZERO_SELF_SIGNED_CERT/);
  await untrusted.forwarder.close(0);
  for (const [name, tls] of Object.entries({
    trusted: { caFile: tlsFile("sink.pem") },
    named: { caFile: tlsFile("sink.pem"), serverNameOverride: "sink.example" },
    unverified: { insecureSkipVerify: true },
  })) {
    const { forwarder, log } = await byTls(tls);
    await log.append("traces", traceRequest([name]));
    await until(() => sink.names.includes(name));
    await forwarder.close(1000);
  }
  const misnamed = await byTls({
    caFile: tlsFile("sink.pem"),
    serverNameOverride: "other.example",
  });
  await misnamed.log.append("traces", traceRequest(["misnamed"]));
  await until(() => misnamed.forwarder.status().traces!.state === "held");
  expect(misnamed.forwarder.status().traces!.reason).toMatch(/ERR_TLS_CERT_ALTNAME_INVALID/);
  await misnamed.forwarder.close(0);
  expect(sink.names).toEqual(["trusted", "named", "unverified"]);
  await sink.close();
});

test("TLS: the client certificate is presented", async () => {
  const [cert, key, ca] = await Promise.all(
    ["sink.pem", "sink.key.pem", "client.pem"].map((file) => readFile(tlsFile(file))),
  );
  const tls = { cert: cert!, key: key!, ca: ca!, requestCert: true, rejectUnauthorized: true };
  const sink = await startHttpSink({ tls });
  const { forwarder, log } = await startHarness({
    sink: {
      kind: "http",
      endpoint: sink.url,
      tls: {
        caFile: tlsFile("sink.pem"),
        certFile: tlsFile("client.pem"),
        keyFile: tlsFile("client.key.pem"),
      },
    },
  });
  await log.append("traces", traceRequest(["mutual"]));
  await until(() => sink.arrived === 1);
  await forwarder.close(1000);
  expect(sink.names).toEqual(["mutual"]);
  await sink.close();
});

test("nothing ambient is obeyed: proxy variables of the process", async () => {
  const proxy = await startHttpSink();
  const before = { ...process.env };
  process.env["HTTP_PROXY"] = process.env["http_proxy"] = proxy.url;
  process.env["NODE_USE_ENV_PROXY"] = "1";
  try {
    await meet();
    expect(proxy.arrived).toBe(0);
  } finally {
    process.env = before;
    await proxy.close();
  }
});

test.each([
  [{ endpoint: "localhost:4318" }, /endpoint must begin with http/],
  [{ endpoint: "http://me:secret@localhost:4318" }, /must not hold a password/],
  [{}, /endpoint is missing/],
  [{ endpoint: "http://a", headers: { "bad name": "x" } }, /headers\.bad name is not a valid/],
  [{ endpoint: "http://a", headers: { a: "secret\n" } }, /headers\.a is not a valid header/],
  [{ endpoint: "http://a", headers: { "Content-Type": "x" } }, /is set by the exporter itself/],
  [{ endpoint: "http://a", headers: { expect: "100-continue" } }, /is set by the exporter itself/],
  [{ endpoint: "http://a", timeoutMs: 0 }, /timeout must be above 0/],
  [{ endpoint: "http://a", tls: { caFile: "/does/not/exist" } }, /cannot be read/],
  [{ endpoint: "http://a", tls: { certFile: tlsFile("client.pem") } }, /only one of cert_file/],
  [
    {
      endpoint: "http://a",
      tls: { certFile: tlsFile("client.pem"), keyFile: tlsFile("sink.key.pem") },
    },
    /key values mismatch/,
  ],
])("bad options are refused at start: %j", async (sink, message) => {
  const opening = startHarness({ sink: { kind: "http", ...sink }, files: nodeFiles });
  await expect(opening).rejects.toThrow(message);
  await expect(opening).rejects.toBeInstanceOf(ForwardError);
  await expect(opening).rejects.not.toThrow(/secret/);
});

test("shutdown lets the sending under way end and keeps the rest for the next start", async () => {
  const directory = await temporaryDirectory();
  const first = await httpHarness({ directory });
  first.sink.script = [{ status: 200, delayMs: 100 }];
  for (const name of ["a", "b", "c"]) await first.log.append("traces", traceRequest([name]));
  await until(() => first.sink.arrived === 1);
  await first.forwarder.close(5000);
  expect(first.sink.names).toEqual(["a"]);
  const second = await httpHarness({ directory, logSize: 3 });
  await until(() => second.sink.names.length === 2);
  expect(second.sink.names).toEqual(["b", "c"]);
  await second.forwarder.close(1000);
  await Promise.all([first.sink.close(), second.sink.close()]);
});

test("shutdown with a sink that hangs ends after the grace and sends again later", async () => {
  const directory = await temporaryDirectory();
  const sink = await startHttpSink();
  const given = { kind: "http", endpoint: sink.url, timeoutMs: beyondTheTestMs } as const;
  const first = { sink, ...(await startHarness({ directory, sink: given })) };
  first.sink.otherwise = "hang";
  await first.log.append("traces", traceRequest(["a"]));
  await until(() => first.sink.arrived === 1);
  await first.forwarder.close(50);
  const second = await httpHarness({ directory, logSize: 1 });
  await until(() => second.sink.names.length === 1);
  expect(second.sink.names).toEqual(["a"]);
  await second.forwarder.close(1000);
  await Promise.all([first.sink.close(), second.sink.close()]);
});
