/** OTLP/gRPC, rule by rule; the numbers are those of the conformance list in the test names. */
import { once } from "node:events";
import { type ClientHttp2Session, connect } from "node:http2";
import { gzipSync } from "node:zlib";
import * as grpc from "@grpc/grpc-js";
import { describe, expect, onTestFinished, test } from "vitest";
import { Refusal, type RefusalCode } from "../../src/ingest/refusal.ts";
import { agentRequest } from "../support/agent-load.ts";
import { grpcClient, LOGS, METRICS, TRACES } from "./grpc-client.ts";
import { decodeStatus } from "../support/google-status.ts";
import { gate, MIB, NOW, post, startRig, until } from "./receiver.ts";

const spans = agentRequest({ seed: 7, spans: 16, personalDataShare: 0.2 });
const { status: code } = grpc;

/** One framed message: flag, length, bytes. */
function frame(bytes: Uint8Array, flag = 0, length = bytes.length): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(length, 1);
  return Buffer.concat([prefix, bytes]);
}

function session(port: number): ClientHttp2Session {
  const client = connect(`http://127.0.0.1:${port}`);
  client.on("error", () => undefined);
  onTestFinished(() => client.destroy());
  return client;
}

interface RawAnswer {
  readonly headers: Record<string, unknown>;
  readonly trailers: Record<string, unknown>;
  readonly body: Buffer;
}

/** A call written by hand. */
function call(
  client: ClientHttp2Session,
  body: Uint8Array,
  headers: Record<string, string> = {},
): Promise<RawAnswer> {
  const all = {
    ":method": "POST",
    ":path": TRACES,
    "content-type": "application/grpc",
    te: "trailers",
    ...headers,
  };
  return new Promise((resolve, reject) => {
    const stream = client.request(all);
    let [received, trailers]: Record<string, unknown>[] = [{}, {}];
    const chunks: Buffer[] = [];
    stream.on("response", (response) => (received = response));
    stream.on("trailers", (last) => (trailers = last));
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("error", reject);
    stream.on("close", () =>
      resolve({ headers: received!, trailers: trailers!, body: Buffer.concat(chunks) }),
    );
    stream.end(body);
  });
}

describe("requests", () => {
  test.each([
    [TRACES, "traces"],
    [LOGS, "logs"],
    [METRICS, "metrics"],
  ])("G1: unary %s", async (path, signal) => {
    const rig = await startRig();
    const body = signal === "traces" ? spans : Buffer.from([0x0a, 0]);
    const outcome = await grpcClient(rig.grpcPort).export(body, { path });
    expect(outcome).toMatchObject({ code: code.OK, response: Buffer.alloc(0) });
    const peer = { address: "127.0.0.1", authenticated: false };
    const bytes = Buffer.from(body);
    expect(rig.requests).toEqual([{ signal, bytes, peer, receivedUnixNano: NOW }]);
    expect(rig.events).toMatchObject([{ signal, transport: "grpc", code: "ok" }]);
  });

  test("G2: gzip", async () => {
    const rig = await startRig();
    const client = grpcClient(rig.grpcPort, undefined, {
      "grpc.default_compression_algorithm": grpc.compressionAlgorithms.gzip,
    });
    expect((await client.export(spans)).code).toBe(code.OK);
    expect(rig.requests[0]!.bytes).toEqual(Buffer.from(spans));
    expect(rig.events[0]!.bytes).toBeLessThan(spans.length);
  });

  test("G2: an encoding that is named, but not used for the message", async () => {
    const rig = await startRig();
    const answer = await call(session(rig.grpcPort), frame(spans), { "grpc-encoding": "snappy" });
    expect(answer.trailers).toMatchObject({ "grpc-status": "0" });
  });

  test("G1: the answer on the wire", async () => {
    const rig = await startRig();
    const { headers, trailers, body } = await call(session(rig.grpcPort), frame(spans));
    expect(headers).toMatchObject({
      ":status": 200,
      "content-type": "application/grpc",
      "grpc-accept-encoding": "identity,gzip",
    });
    expect(body).toEqual(frame(Buffer.alloc(0)));
    expect(trailers).toMatchObject({ "grpc-status": "0" });
  });

  test("an empty message is a success and is not handed on", async () => {
    const rig = await startRig();
    expect((await grpcClient(rig.grpcPort).export(Buffer.alloc(0))).code).toBe(code.OK);
    expect(rig.requests).toEqual([]);
  });

  test("a message in many small frames, its prefix split", async () => {
    const rig = await startRig();
    const stream = session(rig.grpcPort).request({
      ":method": "POST",
      ":path": TRACES,
      "content-type": "application/grpc+proto",
    });
    const framed = frame(spans);
    for (const at of [0, 1, 4, 5, 6, 200]) {
      const next = { 0: 1, 1: 4, 4: 5, 5: 6, 6: 200, 200: framed.length }[at]!;
      await new Promise((resolve) => stream.write(framed.subarray(at, next), resolve));
    }
    stream.end();
    await until(() => rig.requests.length === 1);
    expect(rig.requests[0]!.bytes).toEqual(Buffer.from(spans));
  });

  test("G7: many pings are answered, and none closes the connection", async () => {
    const rig = await startRig();
    const client = session(rig.grpcPort);
    await once(client, "connect");
    for (let count = 0; count < 200; count++) {
      await new Promise<void>((resolve, reject) =>
        client.ping((error) => (error === null ? resolve() : reject(error))),
      );
    }
    expect((await call(client, frame(spans))).trailers).toMatchObject({ "grpc-status": "0" });
  });

  test("G8: a hundred streams at once, with windows above 64 KiB", async () => {
    const rig = await startRig();
    const all = gate();
    rig.handle = () => all.opened;
    const client = session(rig.grpcPort);
    const answers = Array.from({ length: 100 }, () => call(client, frame(spans)));
    await until(() => rig.requests.length === 100);
    expect(client.remoteSettings.maxConcurrentStreams).toBeGreaterThanOrEqual(100);
    expect(client.remoteSettings.initialWindowSize).toBeGreaterThan(65_535);
    expect(client.remoteSettings.maxFrameSize).toBeGreaterThan(16_384);
    expect(client.state.remoteWindowSize).toBeGreaterThan(65_535);
    all.open();
    for (const answer of await Promise.all(answers)) {
      expect(answer.trailers).toMatchObject({ "grpc-status": "0" });
    }
  });

  test("G9: unknown metadata does not matter", async () => {
    const rig = await startRig();
    const metadata = { "x-scope-orgid": "1", "custom-bin": "x" };
    const { code: outcome } = await call(session(rig.grpcPort), frame(spans), metadata).then(
      (answer) => ({ code: answer.trailers["grpc-status"] }),
    );
    expect(outcome).toBe("0");
  });
});

describe("refusals", () => {
  test.each(["deflate", "snappy", "zstd"])(
    "G2: a message in %s is UNIMPLEMENTED with grpc-accept-encoding",
    async (encoding) => {
      const rig = await startRig();
      const headers = { "grpc-encoding": encoding };
      const answer = await call(session(rig.grpcPort), frame(spans, 1), headers);
      expect(answer.headers).toMatchObject({
        "grpc-status": "12",
        "grpc-accept-encoding": "identity,gzip",
      });
    },
  );

  test("G3: over the limit is RESOURCE_EXHAUSTED without RetryInfo, told by the prefix", async () => {
    const rig = await startRig({ requestBytesMax: MIB });
    const outcome = await grpcClient(rig.grpcPort).export(Buffer.alloc(MIB + 1));
    expect(outcome.code).toBe(code.RESOURCE_EXHAUSTED);
    expect(outcome.status).toEqual({ code: 8, message: outcome.message });
    expect(rig.requests).toEqual([]);
    expect(rig.receivers.inFlight()).toEqual({ requests: 0, bytes: 0 });
  });

  test("G3: exactly the limit passes, before and after inflation", async () => {
    const rig = await startRig({ requestBytesMax: MIB });
    const bytes = paddedRequest(MIB);
    expect((await grpcClient(rig.grpcPort).export(bytes)).code).toBe(code.OK);
    const headers = { "grpc-encoding": "gzip" };
    const zipped = await call(session(rig.grpcPort), frame(gzipSync(bytes), 1), headers);
    expect(zipped.trailers).toMatchObject({ "grpc-status": "0" });
    const over = gzipSync(paddedRequest(MIB + 1));
    const answer = await call(session(rig.grpcPort), frame(over, 1), headers);
    expect(answer.headers).toMatchObject({ "grpc-status": "8" });
  });

  test.each([
    ["unavailable", code.UNAVAILABLE, 1],
    ["overloaded", code.UNAVAILABLE, 1],
    ["forbidden", code.PERMISSION_DENIED, undefined],
    ["too_large", code.RESOURCE_EXHAUSTED, undefined],
    ["bad_name", code.INVALID_ARGUMENT, undefined],
  ] as [RefusalCode, number, number | undefined][])(
    "G4, G6: the handler's %s",
    async (refused, expected, retryDelaySeconds) => {
      const rig = await startRig();
      rig.handle = () => Promise.reject(new Refusal(refused, "because"));
      const { code: received, status } = await grpcClient(rig.grpcPort).export(spans);
      expect(received).toBe(expected);
      expect(status?.retryDelaySeconds).toBe(retryDelaySeconds);
    },
  );

  test("G4: any other failure is UNAVAILABLE, with the cause in the log only", async () => {
    const rig = await startRig();
    rig.handle = () => Promise.reject(new Error("ENOSPC"));
    const { code: received, message } = await grpcClient(rig.grpcPort).export(spans);
    expect(received).toBe(code.UNAVAILABLE);
    expect(message).not.toContain("ENOSPC");
  });

  test.each([
    ["no protobuf", frame(Buffer.from([0x0a, 0x7f])), {}],
    ["broken gzip", frame(Buffer.from("no"), 1), { "grpc-encoding": "gzip" }],
    ["compressed without saying how", frame(spans, 1), {}],
    ["an unknown flag", frame(spans, 2), {}],
    ["two messages", Buffer.concat([frame(spans), frame(spans)]), {}],
    ["no message", Buffer.alloc(0), {}],
    ["half a prefix", Buffer.alloc(3), {}],
    ["half a message", frame(spans, 0, spans.length + 1), {}],
    ["a timeout without a unit", frame(spans), { "grpc-timeout": "10" }],
  ])("G5: %s is INVALID_ARGUMENT with BadRequest", async (_, body, headers) => {
    const rig = await startRig();
    const answer = await call(session(rig.grpcPort), body, headers);
    expect(answer.headers).toMatchObject({ ":status": 200, "grpc-status": "3" });
    const details = String(answer.headers["grpc-status-details-bin"]);
    const status = decodeStatus(Buffer.from(details, "base64"));
    expect(status.violations).toHaveLength(1);
    expect(rig.requests).toEqual([]);
    expect(rig.receivers.inFlight()).toEqual({ requests: 0, bytes: 0 });
  });

  test("G9: the deadline is honoured while the handler works", async () => {
    const rig = await startRig();
    const slow = gate();
    rig.handle = () => slow.opened;
    const headers = { "grpc-timeout": "50m" };
    const answer = await call(session(rig.grpcPort), frame(spans), headers);
    expect(answer.headers).toMatchObject({ "grpc-status": "4" });
    expect(rig.events).toMatchObject([{ code: "deadline_exceeded" }]);
    slow.open();
    await until(() => rig.receivers.inFlight().requests === 0);
  });

  test("G9: the deadline is honoured while the body is missing", async () => {
    const rig = await startRig();
    const stream = session(rig.grpcPort).request({
      ":method": "POST",
      ":path": TRACES,
      "content-type": "application/grpc",
      "grpc-timeout": "50000u",
    });
    const headers = await new Promise<object>((resolve) => stream.on("response", resolve));
    expect(headers).toMatchObject({ "grpc-status": "4" });
  });

  test("G9: grpc-message is percent-encoded", async () => {
    const rig = await startRig();
    rig.handle = () => Promise.reject(new Refusal("malformed", "100 % für\nalles"));
    const answer = await call(session(rig.grpcPort), frame(spans));
    expect(answer.headers["grpc-message"]).toBe("100 %25 f%C3%BCr%0Aalles");
    const { message } = await grpcClient(rig.grpcPort).export(spans);
    expect(message).toBe("100 % für\nalles");
  });

  test("a long refusal is cut to fit a client's bound of headers", async () => {
    const rig = await startRig();
    rig.handle = () => Promise.reject(new Refusal("malformed", "ü".repeat(100_000)));
    const { message } = await grpcClient(rig.grpcPort).export(spans);
    expect(message).toBe("ü".repeat(400));
  });

  test("an unknown method is UNIMPLEMENTED", async () => {
    const rig = await startRig();
    const path = "/opentelemetry.proto.collector.profiles.v1development.ProfilesService/Export";
    const outcome = await grpcClient(rig.grpcPort).export(spans, { path });
    expect(outcome.code).toBe(code.UNIMPLEMENTED);
  });

  test.each(["application/json", "application/grpc-web+proto", "application/grpc+json"])(
    "content type %s is 415",
    async (contentType) => {
      const rig = await startRig();
      const headers = { "content-type": contentType };
      const answer = await call(session(rig.grpcPort), frame(spans), headers);
      expect(answer.headers).toMatchObject({ ":status": 415 });
    },
  );

  test("a reset in the middle of a body gives everything back", async () => {
    const rig = await startRig();
    const client = session(rig.grpcPort);
    const stream = client.request({
      ":method": "POST",
      ":path": TRACES,
      "content-type": "application/grpc",
    });
    stream.on("error", () => undefined);
    stream.write(frame(spans.subarray(0, 4000), 0, spans.length));
    await until(() => rig.receivers.inFlight().bytes > 0);
    // Closing the stream alone would make node's client end it first.
    client.destroy();
    await until(() => rig.events.length === 1);
    expect(rig.events).toMatchObject([{ code: "aborted" }]);
    expect(rig.receivers.inFlight()).toEqual({ requests: 0, bytes: 0 });
  });

  test("HTTP/1 on this port ends the connection and says why", async () => {
    const rig = await startRig();
    await expect(post(rig.grpcPort, { body: spans })).rejects.toThrow(/Parse Error|hang up/);
    await until(() => rig.log.length > 0);
    expect(rig.log[0]!.message).toMatch(/OTLP\/HTTP needs the port of http/);
  });
});

/** A request of exactly `size` bytes: one unknown field. */
function paddedRequest(size: number): Buffer {
  const bytes = Buffer.alloc(size);
  bytes.set([0x82, 0x01]);
  const length = size - 5;
  bytes.set([(length & 0x7f) | 0x80, ((length >> 7) & 0x7f) | 0x80, length >> 14], 2);
  return bytes;
}
