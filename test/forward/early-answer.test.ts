/** A sink that answers before it has read everything: then nothing reads the request any more. */
import { Agent } from "node:http";
import { connect, createServer as createHttp2 } from "node:http2";
import type { Http2Server, ServerHttp2Stream } from "node:http2";
import { createServer } from "node:net";
import type { AddressInfo, Server } from "node:net";
import type { Duplex } from "node:stream";
import { expect, onTestFinished, test } from "vitest";
import { callUnary } from "../../src/forward/grpc-call.ts";
import { callHttp } from "../../src/forward/http-call.ts";

const requestBytes = 64 * 1024 * 1024;
const never = new AbortController().signal;

async function portOf(server: Server | Http2Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return (server.address() as AddressInfo).port;
}

/** What a sink reads of the rest when the memory of the request has become another's. */
async function restAfter(reused: Promise<void>, stream: Duplex): Promise<Buffer> {
  await reused;
  const chunks: Buffer[] = [];
  let size = 0;
  await new Promise<void>((resolve) => {
    stream.on("error", () => undefined).on("close", resolve);
    stream.on("data", (chunk: Buffer) => {
      chunks.push(chunk);
      size += chunk.length;
      if (size > requestBytes - 100_000) resolve();
    });
    stream.resume();
    if (stream.destroyed) resolve();
  });
  return Buffer.concat(chunks);
}

test("over HTTP", async () => {
  const reused = Promise.withResolvers<void>();
  const rest = Promise.withResolvers<Buffer>();
  const server = createServer((socket) => {
    socket.once("data", () => {
      socket.pause();
      socket.write("HTTP/1.1 413 Too Large\r\ncontent-length: 4\r\n\r\nmuch");
      socket.on("error", () => undefined);
      rest.resolve(restAfter(reused.promise, socket));
    });
  });
  const url = new URL(`http://127.0.0.1:${await portOf(server)}/v1/traces`);
  const body = new Uint8Array(requestBytes).fill(1);
  const agent = new Agent({ keepAlive: true });
  const answer = await callHttp({ url, agent, headers: {} }, body, never);
  expect([answer.status, answer.body?.toString()]).toEqual([413, "much"]);
  body.fill(2);
  reused.resolve();
  expect((await rest.promise).includes(2)).toBe(false);
});

test("over gRPC: with its connection, which the next call makes anew", async () => {
  const server = createHttp2();
  server.on("stream", (stream: ServerHttp2Stream) => {
    stream.on("error", () => undefined);
    stream.respond({ ":status": 200, "grpc-status": "3" }, { endStream: true });
  });
  const session = connect(`http://127.0.0.1:${await portOf(server)}`);
  session.on("error", () => undefined);
  const message = new Uint8Array(4 * 1024 * 1024);
  const headers = { ":method": "POST", ":path": "/Export", "content-type": "application/grpc" };
  const answer = await callUnary(session, { headers, message, isCompressed: false }, never);
  expect([answer.status, session.destroyed]).toEqual([3, true]);
});
