/** H23: the end of a receiver, seen from its senders. */
import { once } from "node:events";
import { Agent } from "node:http";
import { connect as connectHttp2 } from "node:http2";
import { connect, createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { tryAddresses } from "../../src/ingest/listener.ts";
import { startReceivers } from "../../src/ingest/receivers.ts";
import { agentRequest } from "../support/agent-load.ts";
import { beyondTheTestMs } from "../support/patience.ts";
import { grpcClient, TRACES } from "./grpc-client.ts";
import { gate, post, startRig, until } from "./receiver.ts";

const spans = agentRequest({ seed: 7, spans: 16, personalDataShare: 0.2 });

const EXPORT = { ":method": "POST", ":path": TRACES, "content-type": "application/grpc" };

test("HTTP: what is in flight finishes, new requests get 503 and the connection ends", async () => {
  const rig = await startRig();
  const slow = gate();
  const idleConnection = new Agent({ keepAlive: true, maxSockets: 1 });
  onTestFinished(() => idleConnection.destroy());
  await post(rig.httpPort, { agent: idleConnection, body: spans });
  rig.handle = () => slow.opened;
  const inFlight = post(rig.httpPort, { body: spans });
  await until(() => rig.requests.length === 2);
  const closed = rig.receivers.close(10_000);
  const late = await post(rig.httpPort, { agent: idleConnection, body: spans });
  expect([late.status, late.headers["retry-after"]]).toEqual([503, "1"]);
  expect(late.headers["connection"]).toBe("close");
  await expect(post(rig.httpPort, { body: spans })).rejects.toThrow(/ECONNREFUSED/);
  slow.open();
  const answer = await inFlight;
  expect([answer.status, answer.headers["connection"]]).toEqual([200, "close"]);
  await closed;
  expect(rig.events.map(({ code }) => code)).toEqual(["ok", "draining", "ok"]);
});

test("gRPC: what is in flight finishes, and senders are told which calls to repeat", async () => {
  const rig = await startRig();
  const slow = gate();
  rig.handle = () => slow.opened;
  const sender = grpcClient(rig.grpcPort);
  const inFlight = sender.export(spans);
  await until(() => rig.requests.length === 1);
  // A call whose body is still to come when the end begins.
  const client = connectHttp2(`http://127.0.0.1:${rig.grpcPort}`);
  onTestFinished(() => client.destroy());
  const stream = client.request(EXPORT);
  await until(() => rig.receivers.inFlight().requests === 2);
  const goodbye = new Promise((resolve) => client.on("goaway", (...parts) => resolve(parts)));
  const closed = rig.receivers.close(10_000);
  expect(await goodbye).toEqual([0, 1, undefined]);
  expect(await sender.export(spans)).toMatchObject({ code: 14 });
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(spans.length, 1);
  stream.end(Buffer.concat([prefix, spans]));
  const trailers = once(stream, "trailers");
  stream.resume();
  slow.open();
  expect((await inFlight).code).toBe(0);
  expect((await trailers)[0]).toMatchObject({ "grpc-status": "0" });
  await closed;
  expect(rig.events.map(({ code }) => code)).toEqual(["ok", "ok"]);
});

test("what does not finish in time is cut off", async () => {
  const rig = await startRig({ answerTimeMsMax: beyondTheTestMs });
  const never = gate();
  rig.handle = () => never.opened;
  const http = post(rig.httpPort, { body: spans }).catch((error: Error) => error.message);
  const grpc = grpcClient(rig.grpcPort).export(spans);
  await until(() => rig.requests.length === 2);
  await rig.receivers.close(200);
  expect(await http).toBe("socket hang up");
  expect((await grpc).code).toBe(14);
  never.open();
  await until(() => rig.receivers.inFlight().requests === 0);
});

test("nothing in flight: the end is at once, idle connections or not", async () => {
  const rig = await startRig();
  const agent = new Agent({ keepAlive: true });
  onTestFinished(() => agent.destroy());
  await post(rig.httpPort, { agent, body: spans });
  await grpcClient(rig.grpcPort).export(spans);
  for (const port of [rig.httpPort, rig.grpcPort]) {
    const silent = connect(port, "127.0.0.1");
    onTestFinished(() => void silent.destroy());
    await once(silent, "connect");
  }
  await rig.receivers.close(beyondTheTestMs);
  expect(rig.receivers.inFlight()).toEqual({ requests: 0, bytes: 0 });
});

test.each(["grpc", "http"] as const)(
  "an address in use: %s says so, and what to do",
  async (which) => {
    const other = createServer().listen(0, "127.0.0.1");
    onTestFinished(() => void other.close());
    await new Promise((resolve) => other.on("listening", resolve));
    const { port } = other.address() as AddressInfo;
    const free = { host: "127.0.0.1", port: 0 };
    const options = { grpc: free, http: free, now: () => 0n, [which]: { ...free, port } };
    await expect(startReceivers(options, () => Promise.resolve())).rejects.toMatchObject({
      code: "address_in_use",
      message: `cannot listen on 127.0.0.1:${port}: listen EADDRINUSE: address already in use 127.0.0.1:${port}`,
      remedy: `stop what listens there, or set receivers.otlp.protocols.${which}.endpoint to a free port`,
    });
  },
);

test("an address that is not ours, and bounds that contradict each other", async () => {
  const handler = (): Promise<void> => Promise.resolve();
  const foreign = { http: { host: "192.0.2.1", port: 0 }, now: () => 0n };
  await expect(startReceivers(foreign, handler)).rejects.toMatchObject({ code: "not_listening" });
  const bounds = { requestBytesMax: 100, inflightBytesMax: 150, now: () => 0n };
  await expect(startReceivers(bounds, handler)).rejects.toMatchObject({ code: "bad_bounds" });
});

test("addresses are tried together: one that another takes in is found before a start", async () => {
  const taken = createServer().listen(0, "127.0.0.1");
  await new Promise((resolve) => taken.on("listening", resolve));
  const { port } = taken.address() as AddressInfo;
  await new Promise((resolve) => taken.close(resolve));
  const http = { host: "127.0.0.1", port, option: "http" };
  const everywhere = { host: "0.0.0.0", port, option: "operations" };
  const tried = tryAddresses([http, everywhere]);
  await expect(tried).rejects.toMatchObject({ code: "address_in_use" });
  await tryAddresses([http]);
});
