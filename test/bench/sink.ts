/**
 * An OTLP sink that takes everything, as a process of its own: HTTP on one port, gRPC on another.
 * Prints both, and the number of requests that it took when it is asked by GET.
 */
import { createServer } from "node:http";
import http2 from "node:http2";
import type { ServerHttp2Stream } from "node:http2";
import type { AddressInfo, Server } from "node:net";

let taken = 0;

const overHttp = createServer((request, response) => {
  request.resume();
  request.on("end", () => {
    if (request.method === "GET") {
      response.end(String(taken));
      return;
    }
    taken++;
    response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
  });
});

const overGrpc = http2.createServer({ settings: { initialWindowSize: 1024 * 1024 } });
overGrpc.on("session", (session) => session.setLocalWindowSize(16 * 1024 * 1024));
overGrpc.on("stream", (stream: ServerHttp2Stream) => {
  stream.on("error", () => undefined);
  stream.resume();
  stream.on("end", () => {
    taken++;
    stream.respond(
      { ":status": 200, "content-type": "application/grpc" },
      { waitForTrailers: true },
    );
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(Buffer.alloc(5));
  });
});

function listening(server: Pick<Server, "address"> & NodeJS.EventEmitter): Promise<number> {
  return new Promise((resolve) => {
    server.on("listening", () => resolve((server.address() as AddressInfo).port));
  });
}

const ports = Promise.all([listening(overHttp), listening(overGrpc)]);
overHttp.listen(0, "127.0.0.1");
overGrpc.listen(0, "127.0.0.1");
const [http, grpc] = await ports;
process.stdout.write(`${JSON.stringify({ http, grpc })}\n`);
