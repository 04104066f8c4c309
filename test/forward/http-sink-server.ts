/** An OTLP/HTTP sink that decodes what it takes and misbehaves on demand. */
import { once } from "node:events";
import { createServer as createPlain } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer as createSecure } from "node:https";
import type { ServerOptions } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { gunzipSync } from "node:zlib";
import type { Signal } from "../../src/audit/otlp/schema.ts";
import { namesIn } from "./otlp-requests.ts";

interface Answer {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | Uint8Array;
  /** Answered only after this. */
  readonly delayMs?: number;
}

export type Behaviour =
  | Answer
  /** Closes the connection before the request is read. */
  | "refuse"
  /** Takes the request, then closes the connection without an answer. */
  | "lose-response"
  /** Sends half of an answer, then closes the connection. */
  | "half-response"
  /** Never answers. */
  | "hang";

interface Taken {
  readonly signal: Signal;
  readonly names: readonly string[];
  readonly bytes: Buffer;
  readonly headers: IncomingMessage["headers"];
  readonly path: string;
}

export interface HttpSinkServer {
  readonly url: string;
  readonly port: number;
  /** Requests that the sink took (answered with 2xx, or lost the answer). */
  readonly taken: Taken[];
  /** Requests that arrived at all. */
  arrived: number;
  /** When each of them arrived. */
  readonly arrivedMs: number[];
  /** The next requests, one each; afterwards `otherwise`. */
  script: Behaviour[];
  otherwise: Behaviour;
  readonly names: string[];
  close(): Promise<void>;
}

const ok: Answer = { status: 200, headers: { "content-type": "application/x-protobuf" } };

export async function startHttpSink(
  options: { port?: number; tls?: ServerOptions } = {},
): Promise<HttpSinkServer> {
  const sink: HttpSinkServer = {
    url: "",
    port: 0,
    taken: [],
    arrived: 0,
    arrivedMs: [],
    script: [],
    otherwise: ok,
    get names() {
      return sink.taken.flatMap((request) => request.names);
    },
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  const listener = (request: IncomingMessage, response: ServerResponse): void => {
    handle(sink, request, response).catch(() => response.destroy());
  };
  const server = options.tls ? createSecure(options.tls, listener) : createPlain(listener);
  const sockets = new Set<Socket>();
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("close", () => sockets.delete(socket));
  });
  server.listen(options.port ?? 0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return Object.defineProperties(sink, {
    port: { value: port },
    url: { value: `${options.tls ? "https" : "http"}://127.0.0.1:${port}` },
  });
}

async function handle(
  sink: HttpSinkServer,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  sink.arrived++;
  sink.arrivedMs.push(performance.now());
  const behaviour = sink.script.shift() ?? sink.otherwise;
  if (behaviour === "refuse") return void request.socket.destroy();
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  if (behaviour === "hang") return;
  const isTaken = typeof behaviour === "string" || behaviour.status < 300;
  if (isTaken) sink.taken.push(decode(request, Buffer.concat(chunks)));
  if (behaviour === "lose-response") return void request.socket.destroy();
  if (behaviour === "half-response") {
    response.writeHead(200, { "content-length": "100", "content-type": "text/plain" });
    response.write("half");
    setTimeout(() => request.socket.destroy(), 5);
    return;
  }
  if (behaviour.delayMs !== undefined) await sleep(behaviour.delayMs);
  response.writeHead(behaviour.status, behaviour.headers);
  response.end(behaviour.body);
}

function decode(request: IncomingMessage, body: Buffer): Taken {
  const bytes = request.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body;
  const path = request.url ?? "";
  const signal = path.split("/").at(-1) as Signal;
  return { signal, names: namesIn(signal, bytes), bytes, headers: request.headers, path };
}

function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
