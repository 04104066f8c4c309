import { once } from "node:events";
import { copyFile, readFile } from "node:fs/promises";
import { createServer } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import { join } from "node:path";
import { ServerCredentials, status } from "@grpc/grpc-js";
import { expect, test } from "vitest";
import { startGrpcSink } from "./grpc-sink-server.ts";
import type { GrpcBehaviour } from "./grpc-sink-server.ts";
import { beyondTheTestMs } from "../support/patience.ts";
import { startHarness, temporaryDirectory, until } from "./harness.ts";
import { startHttpSink } from "./http-sink-server.ts";
import { metricsRequest, partialSuccess, rpcStatus, traceRequest } from "./otlp-requests.ts";

const tlsFile = (name: string): string => new URL(`tls/${name}`, import.meta.url).pathname;
const insecure = { insecure: true };

async function grpcHarness(options: Partial<Parameters<typeof startHarness>[0]> = {}) {
  const sink = await startGrpcSink();
  const harness = await startHarness({
    ...options,
    sink: { kind: "grpc", endpoint: sink.address, tls: insecure },
  });
  return { sink, ...harness };
}

async function meet(...script: GrpcBehaviour[]) {
  const harness = await grpcHarness();
  harness.sink.script = script;
  await harness.log.append("traces", traceRequest(["first", "also first"]), 2);
  await harness.log.append("traces", traceRequest(["second"]));
  await until(() => harness.sink.names.includes("second"));
  await harness.forwarder.close(1000);
  harness.sink.close();
  return harness;
}

test("each signal goes to its service, byte for byte, with headers and gzip", async () => {
  const sink = await startGrpcSink();
  const { forwarder, log } = await startHarness({
    sink: {
      kind: "grpc",
      endpoint: `http://${sink.address}`,
      headers: { "X-Tenant": "ward-7", "key-bin": "raw" },
    },
  });
  const large = traceRequest(["large"], 2_000_000);
  await log.append("traces", large);
  await log.append("logs", traceRequest(["a log"]), 0);
  await log.append("metrics", metricsRequest([1]), 0);
  await until(() => sink.requests.length === 3);
  expect(sink.names.toSorted()).toEqual(["a log", "large", "metric 0"]);
  expect(sink.requests.find((bytes) => bytes.length > 1_000_000)).toEqual(Buffer.from(large));
  expect(sink.metadata[0]!.get("x-tenant")).toEqual(["ward-7"]);
  expect(sink.metadata[0]!.get("key-bin")).toEqual([Buffer.from("raw")]);
  expect(sink.metadata[0]!.get("user-agent")[0]).toBe("spanseal");
  await forwarder.close(1000);
  sink.close();
});

test.each([
  status.CANCELLED,
  status.DEADLINE_EXCEEDED,
  status.ABORTED,
  status.OUT_OF_RANGE,
  status.UNAVAILABLE,
  status.DATA_LOSS,
])("code %i is tried again, and order is kept", async (code) => {
  const { sink, controls, forwarder } = await meet({ code, details: "later" });
  expect(sink.names).toEqual(["first", "also first", "second"]);
  expect(controls).toEqual([]);
  expect(forwarder.status().traces!.retries).toBe(1);
});

test("RESOURCE_EXHAUSTED is tried again with RetryInfo and a rejection without", async () => {
  const code = status.RESOURCE_EXHAUSTED;
  const started = performance.now();
  const throttled = await meet({ code, details: "slow", statusDetails: rpcStatus("slow", 300) });
  expect(performance.now() - started).toBeGreaterThanOrEqual(300);
  expect(throttled.controls).toEqual([]);
  expect(throttled.sink.names).toEqual(["first", "also first", "second"]);
  const refused = await meet({ code, details: "too large", statusDetails: rpcStatus("too large") });
  expect(refused.sink.names).toEqual(["second"]);
  expect(refused.controls).toMatchObject([
    { status: "RESOURCE_EXHAUSTED", message: "too large", reason: "rejected", rejectedItems: 2 },
  ]);
});

test("INVALID_ARGUMENT becomes a control record, so does a partial success", async () => {
  const refused = await meet({ code: status.INVALID_ARGUMENT, details: "bad span" });
  expect(refused.controls).toMatchObject([
    { status: "INVALID_ARGUMENT", message: "bad span", first: 0, end: 2 },
  ]);
  const partial = await meet({ code: status.OK, response: partialSuccess(1, "one is bad") });
  expect(partial.sink.names).toEqual(["first", "also first", "second"]);
  expect(partial.controls).toMatchObject([
    { reason: "partial", status: "OK", rejectedItems: 1, message: "one is bad" },
  ]);
});

test.each([
  ["UNAUTHENTICATED", status.UNAUTHENTICATED],
  ["PERMISSION_DENIED", status.PERMISSION_DENIED],
  ["UNIMPLEMENTED", status.UNIMPLEMENTED],
  ["INTERNAL", status.INTERNAL],
])("%s holds the signal until it passes", async (name, code) => {
  const { sink, forwarder, controls, log } = await grpcHarness();
  sink.otherwise = { code, details: "no" };
  await log.append("metrics", metricsRequest([1]), 0);
  await until(() => sink.arrived >= 3);
  expect(forwarder.status().metrics).toMatchObject({ state: "held", reason: `${name}: no` });
  expect(forwarder.status().traces!.state).toBe("idle");
  sink.otherwise = { code: status.OK, response: Buffer.alloc(0) };
  await until(() => forwarder.status().metrics!.state === "idle");
  expect(sink.names).toEqual(["metric 0"]);
  expect(controls).toEqual([]);
  await forwarder.close(1000);
  sink.close();
});

test("a sink that never answers is given up after the timeout and tried again", async () => {
  const sink = await startGrpcSink();
  sink.script = ["hang"];
  const { forwarder, log } = await startHarness({
    sink: { kind: "grpc", endpoint: sink.address, tls: insecure, timeoutMs: 100 },
  });
  await log.append("traces", traceRequest(["a"]));
  await until(() => sink.names.length === 1);
  expect(forwarder.status().traces!.lastError).toBe("timeout: no answer within 100 ms");
  await forwarder.close(1000);
  sink.close();
});

test("a sink that is down is waited for, and comes back on the same address", async () => {
  const before = await startGrpcSink();
  before.close();
  const { forwarder, log } = await startHarness({
    sink: { kind: "grpc", endpoint: before.address, tls: insecure },
  });
  for (const name of ["a", "b"]) await log.append("traces", traceRequest([name]));
  await until(() => forwarder.status().traces!.retries > 2);
  expect(forwarder.status().traces!.state).toBe("retrying");
  const port = Number(before.address.split(":")[1]);
  const sink = await startGrpcSink(ServerCredentials.createInsecure(), port);
  await until(() => sink.names.length === 2);
  expect(sink.names).toEqual(["a", "b"]);
  await forwarder.close(1000);
  sink.close();
});

/** Takes connections and does nothing else with them than `meet` does. */
async function startStranger(meet: (socket: Socket) => void) {
  const sockets: Socket[] = [];
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.push(socket.on("error", () => undefined));
    meet(socket);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    port,
    sockets,
    /** Makes room for another on the port; what is connected stays. */
    leave: () => server.close(),
  };
}

test("a machine that went away without a word is not waited for on the old connection", async () => {
  const gone = await startStranger((socket) => socket.pause());
  const { forwarder, log } = await startHarness({
    sink: { kind: "grpc", endpoint: `127.0.0.1:${gone.port}`, tls: insecure, timeoutMs: 100 },
  });
  await log.append("traces", traceRequest(["a"]));
  await until(() => gone.sockets.length > 1);
  expect(forwarder.status().traces!.reason).toBe("timeout: no answer within 100 ms");
  gone.leave();
  const sink = await startGrpcSink(ServerCredentials.createInsecure(), gone.port);
  await until(() => sink.names.length === 1);
  await forwarder.close(1000);
  for (const socket of gone.sockets) socket.destroy();
  sink.close();
});

test("a connection that ends before the answer is no refusal", async () => {
  const stranger = await startStranger((socket) => socket.on("data", () => socket.end()));
  const { forwarder, log } = await startHarness({
    sink: { kind: "grpc", endpoint: `127.0.0.1:${stranger.port}`, tls: insecure },
  });
  await log.append("traces", traceRequest(["a"]));
  await until(() => forwarder.status().traces!.retries > 1);
  expect(forwarder.status().traces!.state).toBe("retrying");
  await forwarder.close(0);
  stranger.leave();
});

test("an answer beyond 4 MiB is not read and not sent again", async () => {
  const response = Buffer.alloc(5 * 1024 * 1024);
  const { sink, controls } = await meet({ code: status.OK, response });
  expect(controls).toMatchObject([{ reason: "unreadable", rejectedItems: undefined }]);
  expect(sink.arrived).toBe(2);
});

test("what answers 404 in HTTP/1.1 is no sink: nothing is lost", async () => {
  const web = await startHttpSink();
  const { forwarder, log, controls } = await startHarness({
    sink: { kind: "grpc", endpoint: `127.0.0.1:${web.port}`, tls: insecure, timeoutMs: 200 },
  });
  await log.append("traces", traceRequest(["a"]));
  await until(() => forwarder.status().traces!.retries > 1);
  expect(forwarder.status().traces!.queueEntries).toBe(1);
  expect(controls).toEqual([]);
  await forwarder.close(0);
  await web.close();
});

test("TLS: untrusted holds, ca_file and override and the client certificate work", async () => {
  const [cert, key, ca] = await Promise.all(
    ["sink.pem", "sink.key.pem", "client.pem"].map((file) => readFile(tlsFile(file))),
  );
  const pair = { cert_chain: cert!, private_key: key! };
  const sink = await startGrpcSink(ServerCredentials.createSsl(ca!, [pair], true));
  const client = { certFile: tlsFile("client.pem"), keyFile: tlsFile("client.key.pem") };
  const byTls = (tls: object) =>
    startHarness({ sink: { kind: "grpc", endpoint: sink.address, tls: { ...client, ...tls } } });
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
  const misnamed = await byTls({ caFile: tlsFile("other-name.pem") });
  await misnamed.log.append("traces", traceRequest(["misnamed"]));
  await until(() => misnamed.forwarder.status().traces!.state === "held");
  await misnamed.forwarder.close(0);
  expect(sink.names).toEqual(["trusted", "named", "unverified"]);
  sink.close();
});

test("TLS: files that were replaced are read again where the sink is not trusted", async () => {
  const [cert, key] = await Promise.all(
    ["sink.pem", "sink.key.pem"].map((file) => readFile(tlsFile(file))),
  );
  const pair = { cert_chain: cert!, private_key: key! };
  const sink = await startGrpcSink(ServerCredentials.createSsl(null, [pair]));
  const caFile = join(await temporaryDirectory(), "ca.pem");
  await copyFile(tlsFile("other-name.pem"), caFile);
  const { forwarder, log, logged } = await startHarness({
    sink: { kind: "grpc", endpoint: sink.address, tls: { caFile } },
  });
  await log.append("traces", traceRequest(["a"]));
  await until(() => forwarder.status().traces!.state === "held");
  await copyFile(tlsFile("sink.pem"), caFile);
  await until(() => sink.names.length === 1);
  expect(logged.filter((line) => line.includes("have changed"))).toHaveLength(1);
  await forwarder.close(1000);
  sink.close();
});

test("TLS: the address of the sink must be in its certificate", async () => {
  const [cert, key] = await Promise.all(
    ["other-name.pem", "other-name.key.pem"].map((file) => readFile(tlsFile(file))),
  );
  const pair = { cert_chain: cert!, private_key: key! };
  const sink = await startGrpcSink(ServerCredentials.createSsl(null, [pair]));
  const { forwarder, log } = await startHarness({
    sink: {
      kind: "grpc",
      endpoint: sink.address,
      tls: { caFile: tlsFile("other-name.pem") },
    },
  });
  await log.append("traces", traceRequest(["a"]));
  await until(() => forwarder.status().traces!.state === "held");
  expect(forwarder.status().traces!.reason).toMatch(/127\.0\.0\.1 is not in the cert/);
  await forwarder.close(0);
  expect(sink.arrived).toBe(0);
  sink.close();
});

test("nothing ambient is obeyed: proxy variables of the process", async () => {
  const proxy = await startHttpSink();
  const before = { ...process.env };
  for (const name of ["grpc_proxy", "http_proxy", "https_proxy"]) process.env[name] = proxy.url;
  try {
    await meet();
    expect(proxy.arrived).toBe(0);
  } finally {
    process.env = before;
    await proxy.close();
  }
});

test.each([
  "localhost",
  "http://localhost:4317/path",
  "unix:/tmp/x",
  "ftp://a:1",
  "http://u:p@a:1",
])("endpoint %s is refused at start", async (endpoint) => {
  const directory = await temporaryDirectory();
  const opening = startHarness({ directory, sink: { kind: "grpc", endpoint } });
  await expect(opening).rejects.toMatchObject({ code: "bad_option" });
});

test("shutdown gives up a call that hangs after the grace", async () => {
  const sink = await startGrpcSink();
  const { forwarder, log } = await startHarness({
    sink: {
      kind: "grpc",
      endpoint: sink.address,
      tls: insecure,
      timeoutMs: beyondTheTestMs,
    },
  });
  sink.otherwise = "hang";
  await log.append("traces", traceRequest(["a"]));
  await until(() => sink.arrived === 1);
  await forwarder.close(50);
  expect(forwarder.status().traces!.queueEntries).toBe(1);
  sink.close();
});
