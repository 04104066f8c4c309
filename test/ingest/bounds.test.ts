/** What a careless or hostile sender cannot do: memory, time, connections. */
import { createServer, request as httpRequest } from "node:http";
import { connect as connectHttp2, constants } from "node:http2";
import { connect, type Socket } from "node:net";
import { deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { describe, expect, onTestFinished, test } from "vitest";
import { Connections } from "../../src/ingest/connections.ts";
import type { IngestLogEntry } from "../../src/ingest/exchange.ts";
import { listen } from "../../src/ingest/listener.ts";
import { unsettledBytesMax } from "../../src/limits.ts";
import { field } from "../conformance/payloads.ts";
import { agentRequest } from "../support/agent-load.ts";
import { grpcClient, TRACES } from "./grpc-client.ts";
import { decodeStatus } from "../support/google-status.ts";
import { gate, JSON_TYPE, MIB, post, PROTOBUF, type Rig, startRig, until } from "./receiver.ts";

const spans = agentRequest({ seed: 7, spans: 16, personalDataShare: 0.2 });
const COMPRESS = { gzip: gzipSync, deflate: deflateSync, zstd: zstdCompressSync };
const ENCODINGS = Object.keys(COMPRESS) as (keyof typeof COMPRESS)[];

function idle(rig: Rig): Promise<void> {
  return until(() => rig.receivers.inFlight().requests === 0);
}

async function rawSocket(port: number): Promise<{ socket: Socket; closed: Promise<string> }> {
  const socket = connect(port, "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  let text = "";
  socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
  socket.on("error", () => undefined);
  const closed = new Promise<string>((resolve) => socket.on("close", () => resolve(text)));
  await new Promise((resolve) => socket.on("connect", resolve));
  return { socket, closed };
}

const HEAD = "POST /v1/traces HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n";

describe("size", () => {
  test.each(ENCODINGS)("H12: a bomb in %s is 413, stopped at the limit", async (encoding) => {
    const rig = await startRig({ requestBytesMax: 4 * MIB, inflightBytesMax: 8 * MIB });
    // The peak counter only rises: what it rises by is what this request took.
    const bomb = COMPRESS[encoding](Buffer.alloc(256 * MIB));
    const before = process.resourceUsage().maxRSS;
    const headers = { ...PROTOBUF, "content-encoding": encoding };
    const { status, body } = await post(rig.httpPort, { headers, body: bomb });
    expect(status).toBe(413);
    expect(decodeStatus(body)).toMatchObject({ code: 8 });
    expect((process.resourceUsage().maxRSS - before) / 1024).toBeLessThan(64);
    await idle(rig);
    expect(rig.receivers.inFlight().bytes).toBe(0);
  });

  test.each(ENCODINGS)(
    "a small bomb in %s, that would fit into one step, is 413",
    async (encoding) => {
      const rig = await startRig({ requestBytesMax: MIB });
      const bomb = COMPRESS[encoding](Buffer.alloc(MIB + 1));
      const headers = { ...PROTOBUF, "content-encoding": encoding };
      expect((await post(rig.httpPort, { headers, body: bomb })).status).toBe(413);
    },
  );

  test("many bombs at once share one budget", async () => {
    const rig = await startRig({ requestBytesMax: 16 * MIB, inflightBytesMax: 32 * MIB });
    const bomb = gzipSync(Buffer.alloc(15 * MIB));
    let peak = 0;
    const watch = setInterval(() => (peak = Math.max(peak, rig.receivers.inFlight().bytes)), 1);
    onTestFinished(() => clearInterval(watch));
    const headers = { ...PROTOBUF, "content-encoding": "gzip" };
    const sent = Array.from({ length: 12 }, () => post(rig.httpPort, { headers, body: bomb }));
    const statuses = new Set((await Promise.all(sent)).map(({ status }) => status));
    // Zeros are no protobuf; those that found no room may come back.
    expect([...statuses].filter((status) => status !== 503)).toEqual([400]);
    expect(peak).toBeLessThanOrEqual(32 * MIB);
    expect(rig.receivers.inFlight()).toEqual({ requests: 0, bytes: 0 });
  });

  test("a zstd frame that asks for a window of 128 MiB is refused", async () => {
    const rig = await startRig();
    const frame = Buffer.from("28b52ffd0488010000", "hex");
    const headers = { ...PROTOBUF, "content-encoding": "zstd" };
    expect((await post(rig.httpPort, { headers, body: frame })).status).toBe(400);
  });

  test("H12: 64 MiB pass, one byte more is 413 before it is read", async () => {
    const rig = await startRig({ grpc: { host: "127.0.0.1", port: 0 } });
    const size = 64 * MIB;
    const body = Buffer.alloc(size);
    // Field 16, length-delimited, the rest of the body.
    body.set([0x82, 0x01]);
    const length = size - 6;
    body.set([length | 0x80, (length >> 7) | 0x80, (length >> 14) | 0x80, length >> 21], 2);
    expect((await post(rig.httpPort, { body })).status).toBe(200);
    expect((await grpcClient(rig.grpcPort).export(body)).code).toBe(0);
    expect(rig.requests.map(({ bytes }) => bytes.length)).toEqual([size, size]);

    const { socket, closed } = await rawSocket(rig.httpPort);
    socket.write(`${HEAD}content-length: ${size + 1}\r\n\r\n`);
    const text = await closed;
    expect(text).toMatch(/^HTTP\/1\.1 413 /);
    expect(text).toMatch(/connection: close/i);
    const over = await grpcClient(rig.grpcPort).export(Buffer.alloc(size + 1));
    expect(over).toMatchObject({ code: 8, status: { code: 8 } });
  });

  test("H12: a sender that announces no length is cut off at the limit, and reads why", async () => {
    const rig = await startRig({ requestBytesMax: MIB });
    const headers = { ...PROTOBUF, "transfer-encoding": "chunked" };
    const { status } = await post(rig.httpPort, { headers, body: Buffer.alloc(8 * MIB) });
    expect(status).toBe(413);
    await idle(rig);
  });

  test.each([
    ["protobuf", PROTOBUF, nestedValues(40), 200],
    ["protobuf", PROTOBUF, nestedValues(60), 400],
    ["protobuf groups", PROTOBUF, Buffer.alloc(400, 0x7b), 400],
    ["JSON", JSON_TYPE, "[".repeat(100_000), 400],
    ["JSON", JSON_TYPE, `{"x":${"[".repeat(100_000)}`, 400],
  ])("nested %s", async (_, headers, body, expected) => {
    const rig = await startRig();
    expect((await post(rig.httpPort, { headers, body })).status).toBe(expected);
  });

  test("headers over 16 KiB are refused", async () => {
    const rig = await startRig();
    const headers = { ...PROTOBUF, "x-long": "x".repeat(20_000) };
    const { status } = await post(rig.httpPort, { headers, body: spans });
    expect(status).toBe(400);
  });
});

describe("time", () => {
  test("slow headers: the connection is closed", async () => {
    const rig = await startRig({ headerTimeMsMax: 150 });
    const { socket, closed } = await rawSocket(rig.httpPort);
    socket.write("POST /v1/traces HT");
    expect(await closed).toMatch(/^HTTP\/1\.1 503 /);
  });

  test("a connection that says nothing is closed", async () => {
    const rig = await startRig({ headerTimeMsMax: 150 });
    const [http, grpc] = [await rawSocket(rig.httpPort), await rawSocket(rig.grpcPort)];
    expect(await http.closed).toMatch(/^HTTP\/1\.1 503 /);
    // Its SETTINGS, and no more.
    expect((await grpc.closed).length).toBeLessThan(100);
  });

  test("slow body over HTTP: 503, because a faster one would pass", async () => {
    const rig = await startRig({ bodyTimeMsMax: 150 });
    const { socket, closed } = await rawSocket(rig.httpPort);
    socket.write(`${HEAD}transfer-encoding: chunked\r\n\r\n1\r\nx\r\n`);
    await until(() => rig.events.length === 1);
    expect(rig.events).toMatchObject([{ code: "body_timeout" }]);
    expect(rig.receivers.inFlight()).toEqual({ requests: 0, bytes: 0 });
    socket.end();
    expect(await closed).toMatch(/^HTTP\/1\.1 503 /);
  });

  test("slow body over gRPC: UNAVAILABLE", async () => {
    const rig = await startRig({ bodyTimeMsMax: 150 });
    const client = connectHttp2(`http://127.0.0.1:${rig.grpcPort}`);
    onTestFinished(() => client.destroy());
    const stream = client.request({
      ":method": "POST",
      ":path": TRACES,
      "content-type": "application/grpc",
    });
    stream.write(Buffer.from([0, 0, 0, 1, 0, 1]));
    const headers = await new Promise((resolve) => stream.on("response", resolve));
    expect(headers).toMatchObject({ "grpc-status": "14" });
    expect(rig.receivers.inFlight()).toEqual({ requests: 0, bytes: 0 });
  });

  test("a reset in the middle of an HTTP body gives everything back", async () => {
    const rig = await startRig();
    const { socket } = await rawSocket(rig.httpPort);
    socket.write(`${HEAD}content-length: 1000\r\n\r\nsome`);
    await until(() => rig.receivers.inFlight().bytes === 4);
    socket.resetAndDestroy();
    await until(() => rig.events.length === 1);
    expect(rig.events).toMatchObject([{ code: "aborted" }]);
    expect(rig.receivers.inFlight()).toEqual({ requests: 0, bytes: 0 });
  });

  test("a sender that goes away during the commit does not undo it", async () => {
    const rig = await startRig();
    const slow = gate();
    rig.handle = () => slow.opened;
    const { socket } = await rawSocket(rig.httpPort);
    socket.write(
      Buffer.concat([Buffer.from(`${HEAD}content-length: ${spans.length}\r\n\r\n`), spans]),
    );
    await until(() => rig.requests.length === 1);
    socket.resetAndDestroy();
    slow.open();
    await until(() => rig.events.length === 1);
    expect(rig.events).toMatchObject([{ code: "ok" }]);
  });
});

describe("overload", () => {
  test("too many connections: the quietest gives its place to a new one", async () => {
    const rig = await startRig({ connectionsMax: 3 });
    for (const port of [rig.httpPort, rig.grpcPort]) {
      const open = [await rawSocket(port), await rawSocket(port), await rawSocket(port)];
      await rawSocket(port);
      await open[0]!.closed;
      const closed = { level: "warn", message: expect.stringContaining("3 are open") as string };
      expect(rig.log.at(-1)).toMatchObject(closed);
      expect(open.slice(1).map(({ socket }) => socket.destroyed)).toEqual([false, false]);
    }
  });

  test("a connection whose request is being recorded is not the quietest", async () => {
    const rig = await startRig({ connectionsMax: 2 });
    const slow = gate();
    rig.handle = () => slow.opened;
    const working = [
      post(rig.httpPort, { body: spans }),
      grpcClient(rig.grpcPort).export(spans),
    ] as const;
    await until(() => rig.requests.length === 2);
    for (let count = 0; count < 5; count++) {
      for (const port of [rig.httpPort, rig.grpcPort]) await rawSocket(port);
    }
    slow.open();
    expect((await working[0]).status).toBe(200);
    expect((await working[1]).code).toBe(0);
  });

  test("bodies that stand still give their place to those that move", async () => {
    const bounds = { requestBytesMax: MIB, inflightBytesMax: 2 * MIB, receivingMsMin: 50 };
    const rig = await startRig({ requestsMax: 4, ...bounds });
    const held = await Promise.all(Array.from({ length: 4 }, () => rawSocket(rig.httpPort)));
    for (const { socket } of held) socket.write(`${HEAD}content-length: 9\r\n\r\nx`);
    await until(() => rig.receivers.inFlight().bytes === 4);
    await new Promise((resolve) => setTimeout(resolve, 60));
    expect((await post(rig.httpPort, { body: spans })).status).toBe(200);
    expect(await held[0]!.closed).toMatch(/^HTTP\/1\.1 503 .*retry-after: 1/s);
    expect(rig.receivers.inFlight().requests).toBe(3);

    // The same of bytes: these three stand still with all of the room.
    const most = Buffer.alloc(600_000);
    for (const { socket } of held.slice(1)) socket.destroy();
    await until(() => rig.receivers.inFlight().requests === 0);
    const stuffed = await Promise.all(Array.from({ length: 3 }, () => rawSocket(rig.httpPort)));
    for (const { socket } of stuffed) {
      socket.write(`${HEAD}content-length: 700000\r\n\r\n`);
      socket.write(most);
    }
    await until(() => rig.receivers.inFlight().bytes === 3 * most.length);
    await new Promise((resolve) => setTimeout(resolve, 60));
    const big = agentRequest({ seed: 1, spans: 800, personalDataShare: 0 });
    expect((await post(rig.httpPort, { body: big })).status).toBe(200);
    expect(await stuffed[0]!.closed).toMatch(/^HTTP\/1\.1 503 /);
    for (const { socket } of stuffed) socket.destroy();
    await idle(rig);
    expect(rig.receivers.inFlight().bytes).toBe(0);
  });

  test("what waits for the disk is bounded, whatever became of its bytes", async () => {
    const rig = await startRig();
    const slow = gate();
    rig.handle = ({ bytes }) => {
      // As a handler that hands them to a thread.
      (bytes.buffer as ArrayBuffer).transfer(0);
      return slow.opened;
    };
    const unknown = 2;
    const body = field(unknown, Buffer.alloc(MIB));
    const sent = Array.from({ length: 8 }, () => post(rig.httpPort, { body }));
    await until(() => rig.receivers.inFlight().bytes > 7 * MIB);
    const most = Math.ceil(unsettledBytesMax / MIB);
    await until(() => rig.requests.length >= most);
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(rig.requests).toHaveLength(most);
    slow.open();
    expect((await Promise.all(sent)).map(({ status }) => status)).toEqual(Array(8).fill(200));
  });

  test("a connection that cannot be accepted is told, and does not end the process", async () => {
    const server = createServer();
    const log: IngestLogEntry[] = [];
    const station = {
      transport: "grpc",
      connections: new Connections(1),
      log: (entry: IngestLogEntry) => log.push(entry),
      onClosed: () => undefined,
    } as const;
    await listen(server, { host: "127.0.0.1", port: 0 }, station);
    const cause = Object.assign(new Error("accept ENFILE"), { code: "ENFILE" });
    server.emit("error", cause);
    const message = "cannot accept a connection";
    expect(log).toEqual([{ level: "error", message, transport: "grpc", cause }]);
    server.close();
  });

  test("too many requests: 503 and UNAVAILABLE, asking for a repeat in a second", async () => {
    const rig = await startRig({ requestsMax: 4 });
    const slow = gate();
    rig.handle = () => slow.opened;
    const accepted = Array.from({ length: 4 }, () => post(rig.httpPort, { body: spans }));
    await until(() => rig.requests.length === 4);
    const { status, headers } = await post(rig.httpPort, { body: spans });
    expect([status, headers["retry-after"]]).toEqual([503, "1"]);
    const outcome = await grpcClient(rig.grpcPort).export(spans);
    expect(outcome).toMatchObject({ code: 14, status: { code: 14, retryDelaySeconds: 1 } });
    expect(rig.events).toMatchObject([{ code: "overloaded" }, { code: "overloaded" }]);
    slow.open();
    expect((await Promise.all(accepted)).map((one) => one.status)).toEqual([200, 200, 200, 200]);
    expect((await post(rig.httpPort, { body: spans })).status).toBe(200);
  });

  test("too many bytes: refused by the announced length, before the body comes", async () => {
    const rig = await startRig({ requestBytesMax: MIB, inflightBytesMax: 2 * MIB });
    const slow = gate();
    rig.handle = () => slow.opened;
    const big = agentRequest({ seed: 1, spans: 1200, personalDataShare: 0 }).subarray(0);
    expect(big.length).toBeGreaterThan(0.9 * MIB);
    const accepted = [post(rig.httpPort, { body: big }), post(rig.httpPort, { body: big })];
    await until(() => rig.requests.length === 2);
    const headers = { ...PROTOBUF, expect: "100-continue", "content-length": String(big.length) };
    const answer = await new Promise((resolve, reject) => {
      const target = { port: rig.httpPort, path: "/v1/traces", method: "POST", headers };
      const request = httpRequest(target, (response) => resolve(response.statusCode));
      request.on("continue", () => resolve("continue"));
      request.on("error", reject);
      request.flushHeaders();
      onTestFinished(() => void request.destroy());
    });
    expect(answer).toBe(503);
    slow.open();
    for (const { status } of await Promise.all(accepted)) expect(status).toBe(200);
  });

  test("500 requests at once over both transports: each is answered, none twice", async () => {
    const rig = await startRig({ requestsMax: 50 });
    rig.handle = () => new Promise((resolve) => setTimeout(resolve, 2));
    const client = grpcClient(rig.grpcPort);
    const http = Array.from({ length: 250 }, () => post(rig.httpPort, { body: spans }));
    const grpc = Array.from({ length: 250 }, () => client.export(spans));
    const statuses = (await Promise.all(http)).map(({ status }) => status);
    const codes: number[] = (await Promise.all(grpc)).map(({ code }) => code);
    const fine = statuses.filter((status) => status === 200).length;
    const fineGrpc = codes.filter((code) => code === 0).length;
    expect(fine + statuses.filter((status) => status === 503).length).toBe(250);
    expect(fineGrpc + codes.filter((code) => code === 14).length).toBe(250);
    expect(rig.requests).toHaveLength(fine + fineGrpc);
    expect(rig.events).toHaveLength(500);
    expect(rig.receivers.inFlight()).toEqual({ requests: 0, bytes: 0 });
  });

  test("rapid resets over gRPC hold no memory and end the connection", async () => {
    const rig = await startRig();
    const client = connectHttp2(`http://127.0.0.1:${rig.grpcPort}`);
    onTestFinished(() => client.destroy());
    client.on("error", () => undefined);
    const ended = new Promise((resolve) => client.on("close", resolve));
    const headers = { ":method": "POST", ":path": TRACES, "content-type": "application/grpc" };
    let opened = 0;
    while (!client.closed && !client.destroyed && opened < 20_000) {
      const stream = client.request(headers);
      stream.on("error", () => undefined);
      stream.close(constants.NGHTTP2_CANCEL);
      opened++;
      if (opened % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await ended;
    expect(opened).toBeLessThan(20_000);
    await idle(rig);
    expect(rig.receivers.inFlight()).toEqual({ requests: 0, bytes: 0 });
    expect((await grpcClient(rig.grpcPort).export(spans)).code).toBe(0);
  });

  test("bodies that never end, on every stream of a connection, hold the budget at most", async () => {
    const rig = await startRig({ requestBytesMax: MIB, inflightBytesMax: 2 * MIB });
    const client = connectHttp2(`http://127.0.0.1:${rig.grpcPort}`);
    onTestFinished(() => client.destroy());
    client.on("error", () => undefined);
    const headers = { ":method": "POST", ":path": TRACES, "content-type": "application/grpc" };
    const most = Buffer.alloc(MIB);
    most.set([0, 0, 0x10, 0, 0]);
    const statuses: unknown[] = [];
    for (let count = 0; count < 20; count++) {
      const stream = client.request(headers);
      stream.on("error", () => undefined);
      stream.on("response", (response) => statuses.push(response["grpc-status"]));
      stream.write(most);
    }
    await until(() => statuses.length >= 18);
    expect(new Set(statuses)).toEqual(new Set(["14"]));
    expect(rig.receivers.inFlight().bytes).toBeLessThanOrEqual(2 * MIB);
  });
});

/** One span with one attribute: a value in lists, `levels` deep. */
function nestedValues(levels: number): Buffer {
  const wrap = (field: number, inner: Buffer): Buffer => {
    const size = inner.length;
    const prefix = size < 128 ? [size] : [(size & 0x7f) | 0x80, size >> 7];
    return Buffer.concat([Buffer.from([(field << 3) | 2, ...prefix]), inner]);
  };
  let value: Buffer = Buffer.from([0x10, 1]);
  for (let level = 0; level < levels; level++) value = wrap(5, wrap(1, value));
  return [2, 9, 2, 2, 1].reduce((inner, field) => wrap(field, inner), value);
}
