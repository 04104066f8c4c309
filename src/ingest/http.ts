/** OTLP/HTTP over node:http and node:https: protobuf and JSON on one port. */
import type { IncomingMessage, Server, ServerOptions, ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { Server as NetServer } from "node:net";
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import type { Signal } from "../audit/otlp/schema.ts";
import * as limits from "../limits.ts";
import http from "../node-http.ts";
import { Body } from "./body.ts";
import type { Admission } from "./budget.ts";
import { collect, type TimeLimit } from "./collect.ts";
import { type Exchange, receive, type Received, report, type Station } from "./exchange.ts";
import { statusJson } from "./google-status.ts";
import { answer } from "./http-answer.ts";
import { declaredBytesOf, encodingOf, type Format, formatOf } from "./http-headers.ts";
import { type Encoding, tooLarge } from "./inflate.ts";
import { type Endpoint, listen, peerAddress, type Receiver, watchLog } from "./listener.ts";
import { Refusal } from "./refusal.ts";
import { STATUS } from "./status.ts";
import { loadTls } from "./tls-files.ts";

export interface HttpEndpoint extends Endpoint {
  /** Where a signal is received; default `/v1/<signal>`. */
  readonly paths?: Readonly<Partial<Record<Signal, string>>>;
}

export interface ConnectionBounds {
  readonly headerTimeMsMax: number;
}

interface HttpReceiver {
  readonly station: Station;
  readonly signals: ReadonlyMap<string, Signal>;
  /** Responses that are not finished. */
  readonly inFlight: Set<ServerResponse>;
  /** Bodies that are being read: how to end the reading. */
  readonly reading: WeakMap<Duplex, (refusal: Refusal) => void>;
  /** Connections on which nothing more is read. */
  readonly broken: WeakSet<Duplex>;
  onIdle(): void;
}

/** @throws ReceiverError */
export async function startHttp(
  endpoint: HttpEndpoint,
  station: Station,
  bounds: ConnectionBounds,
): Promise<Receiver> {
  const signals = routes(endpoint.paths ?? {});
  const receiver: HttpReceiver = {
    station,
    signals,
    inFlight: new Set(),
    reading: new WeakMap(),
    broken: new WeakSet(),
    onIdle: () => undefined,
  };
  const options = serverOptions(station, bounds);
  const tls = endpoint.tls === undefined ? null : await loadTls(endpoint.tls);
  const secure =
    tls === null
      ? null
      : createSecureServer({ ...options, ...tls.material(bounds.headerTimeMsMax) });
  const server: Server = secure ?? http.createServer(options);
  const serve = (request: IncomingMessage, response: ServerResponse): void =>
    track(request, response, receiver);
  // With its own listener, a request that waits for a 100 is answered by us alone.
  server.on("request", serve).on("checkContinue", serve);
  server.on("clientError", (error, socket) => refuseConnection(error, socket, receiver));
  const bound = await listen(server, endpoint, station);
  const watch = secure === null ? undefined : tls?.follow(secure, watchLog(station));
  return {
    bound,
    async close(graceMs) {
      watch?.close();
      const closed = stopListening(server);
      await drain(server, receiver, graceMs);
      for (const socket of station.connections.sockets()) socket.destroy();
      await closed;
    },
  };
}

/** `POST /v1/traces` and its like; paths from the configuration may lack their first slash. */
function routes(paths: Readonly<Partial<Record<Signal, string>>>): ReadonlyMap<string, Signal> {
  const named = { traces: "/v1/traces", logs: "/v1/logs", metrics: "/v1/metrics", ...paths };
  const entries = Object.entries(named) as [Signal, string][];
  return new Map(entries.map(([signal, path]) => [pathOf(path.replace(/^\/?/, "/")), signal]));
}

function serverOptions(station: Station, bounds: ConnectionBounds): ServerOptions {
  const { headerTimeMsMax } = bounds;
  return {
    headersTimeout: headerTimeMsMax,
    // Only for connections that escape our own clock; it must not run before that one.
    requestTimeout: headerTimeMsMax + 2 * station.bodyTimeMsMax,
    connectionsCheckingInterval: Math.min(1000, Math.ceil(headerTimeMsMax / 2)),
    keepAliveTimeout: limits.keepAliveMs,
    keepAlive: true,
    keepAliveInitialDelay: limits.keepAliveMs,
    maxHeaderSize: limits.headerBytesMax,
  };
}

/**
 * Resolves when all connections are closed, too. It is not the method of http.Server, which would
 * cut idle connections at once, and with them the requests that are on their way.
 */
function stopListening(server: Server): Promise<void> {
  return new Promise((resolve) => {
    NetServer.prototype.close.call(server, () => resolve());
  });
}

/** Connections stay while requests on any of them are in flight. */
async function drain(server: Server, receiver: HttpReceiver, graceMs: number): Promise<void> {
  const { inFlight } = receiver;
  if (inFlight.size > 0) {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, graceMs);
      receiver.onIdle = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
  // Ends the timer that looks for slow senders.
  server.close();
}

function track(request: IncomingMessage, response: ServerResponse, receiver: HttpReceiver): void {
  const { inFlight, station } = receiver;
  inFlight.add(response);
  response.on("close", () => {
    inFlight.delete(response);
    if (inFlight.size === 0) receiver.onIdle();
  });
  // Resets are told by `close`; without a listener an error would end the process.
  request.on("error", () => undefined);
  response.on("error", () => undefined);
  serve(request, response, receiver).catch((cause: unknown) => {
    station.log({ level: "error", message: "cannot answer", transport: "http", cause });
    request.socket.destroy();
  });
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  { station, signals, reading, broken }: HttpReceiver,
): Promise<void> {
  const signal = signals.get(pathOf(request.url ?? ""));
  const format = formatOf(request.headers["content-type"]);
  const encoding = encodingOf(request.headers["content-encoding"]);
  let refusal: Refusal | null;
  if (signal === undefined || request.method !== "POST" || format === null || encoding === null) {
    refusal = misdirected(request, signal, format);
    report(signal ?? "unknown", station, refusal, { bytes: 0 });
  } else {
    const body = { request, response, encoding, bytesMax: station.requestBytesMax, reading };
    const connection = station.connections.of(request.socket);
    refusal = await receive({ ...httpExchange(body, signal, format), connection }, station);
  }
  if (response.destroyed || refusal?.code === "aborted") return;
  // Behind bytes that could not be parsed comes no request, even where this one was whole.
  const last = station.draining || broken.has(request.socket);
  answer(request, response, { refusal, format, last });
}

/** Without the query, and without the slash at the end that configurations of exporters gather. */
function pathOf(url: string): string {
  const [path] = url.split("?", 1);
  return path!.length > 1 && path!.endsWith("/") ? path!.slice(0, -1) : path!;
}

/** Why a request is not one that the receiver knows. */
function misdirected(
  request: IncomingMessage,
  signal: Signal | undefined,
  format: Format | null,
): Refusal {
  if (signal === undefined) return new Refusal("not_found", "expected a path such as /v1/traces");
  if (request.method !== "POST") return new Refusal("method_not_allowed", "expected POST");
  if (format === null) {
    const message = "expected the content type application/x-protobuf or application/json";
    return new Refusal("unsupported_media_type", message);
  }
  const message = "expected the content encoding gzip, deflate, zstd or none";
  return new Refusal("unsupported_encoding", message);
}

interface HttpBody {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly encoding: Encoding;
  readonly bytesMax: number;
  readonly reading: HttpReceiver["reading"];
}

function httpExchange(
  body: HttpBody,
  signal: Signal,
  format: Format,
): Omit<Exchange, "connection"> {
  const { headers, socket } = body.request;
  return {
    signal,
    authorization: headers.authorization,
    peerAddress: peerAddress(socket.remoteAddress),
    certified: socket instanceof TLSSocket && socket.authorized,
    declaredBytes: declaredBytesOf(headers),
    json: format === "json",
    isGone: () => socket.destroyed,
    read: (admission, limit) => readBody(body, admission, limit),
  };
}

async function readBody(body: HttpBody, admission: Admission, limit: TimeLimit): Promise<Received> {
  const { request, response, encoding, bytesMax, reading } = body;
  if (request.headers.expect !== undefined) response.writeContinue();
  // node:http lets through what was announced; 0 stands for nothing announced.
  const received = new Body(admission, declaredBytesOf(request.headers) || Infinity);
  const onBegin = (fail: (refusal: Refusal) => void): void =>
    void reading.set(request.socket, fail);
  await collect(request, { limit, admission, onBegin }, (chunk) => {
    if (received.size + chunk.length > bytesMax) {
      throw tooLarge(`has more than ${bytesMax} bytes`);
    }
    received.push(chunk);
  }).finally(() => reading.delete(request.socket));
  return { bytes: received.bytes(), encoding };
}

/** What node:http could not parse, or what took too long before there was a request. */
function refuseConnection(error: Error, socket: Duplex, receiver: HttpReceiver): void {
  const { station, inFlight, reading, broken } = receiver;
  // Whatever comes after bytes that could not be parsed cannot be parsed either.
  if (broken.has(socket)) return;
  const code = "code" in error ? String(error.code) : "unknown";
  // The error holds the bytes that came, so only its code is logged.
  station.log({ level: "debug", message: `closed a connection: ${code}`, transport: "http" });
  const fail = reading.get(socket);
  // A sender that ended its half in the middle of a body went away.
  if (fail !== undefined && /^HPE_(?!INVALID_EOF)/.test(code)) {
    broken.add(socket);
    station.onClosed("protocol");
    fail(new Refusal("malformed", "expected a body in chunks as HTTP/1.1 has them"));
    return;
  }
  const answering = [...inFlight].some((response) => response.socket === socket);
  // Without a parser's code it is the connection that failed, or its TLS handshake.
  if (!socket.writable || answering || !/^(?:HPE_|ERR_HTTP_)/.test(code)) {
    socket.destroy();
    return;
  }
  broken.add(socket);
  refuseUnread(code, socket, station);
}

/** There is no request to answer, and no response to write to. */
function refuseUnread(code: string, socket: Duplex, station: Station): void {
  const refusal =
    code === "ERR_HTTP_REQUEST_TIMEOUT"
      ? new Refusal("body_timeout", "the request did not arrive in time: send it again")
      : new Refusal("malformed", "expected a request of HTTP/1.1");
  report("unknown", station, refusal, { bytes: 0 });
  station.onClosed(refusal.code === "malformed" ? "protocol" : "silent");
  const body = Buffer.from(statusJson(refusal));
  const head = [
    `HTTP/1.1 ${STATUS[refusal.code].http} ${refusal.code}`,
    "connection: close",
    "content-type: application/json",
    `content-length: ${body.length}`,
  ];
  socket.end(Buffer.concat([Buffer.from(`${head.join("\r\n")}\r\n\r\n`), body]));
  const cut = setTimeout(() => socket.destroy(), limits.lingerMsMax);
  socket.once("close", () => clearTimeout(cut));
}
