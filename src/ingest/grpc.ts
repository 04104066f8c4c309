/**
 * OTLP/gRPC over node:http2. The framing is ours, because a library's server hands over a call
 * when its message is complete: by then a sender can have made it hold 64 MiB on every stream, and
 * neither a budget of bytes nor a bound of time for slow bodies can be kept.
 *
 * Source: github.com/grpc/grpc doc/PROTOCOL-HTTP2.md, doc/compression.md.
 */
import {
  constants,
  createSecureServer,
  createServer,
  type Http2SecureServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
  type ServerHttp2Stream,
  type ServerOptions,
} from "node:http2";
import { TLSSocket } from "node:tls";
import { EXPORT_PATH } from "../audit/otlp/export-path.ts";
import { type Signal, SIGNALS } from "../audit/otlp/schema.ts";
import { toBase64 } from "../bytes/base64.ts";
import * as limits from "../limits.ts";
import { collect } from "./collect.ts";
import type { Connection } from "./connections.ts";
import { type Exchange, receive, report, type Station } from "./exchange.ts";
import { messageOf, statusProtobuf } from "./google-status.ts";
import {
  EMPTY_MESSAGE,
  GRPC_ENCODINGS,
  MessageReader,
  percentEncode,
  timeoutMs,
} from "./grpc-message.ts";
import type { ConnectionBounds } from "./http.ts";
import { type Endpoint, listen, peerAddress, type Receiver, watchLog } from "./listener.ts";
import { Refusal } from "./refusal.ts";
import { GRPC, refusalOf, STATUS } from "./status.ts";
import { watchSessions } from "./session-watch.ts";
import { loadTls } from "./tls-files.ts";

const signalOf: ReadonlyMap<string, Signal> = new Map(
  SIGNALS.map((signal) => [EXPORT_PATH[signal], signal]),
);

interface Peer {
  readonly address: string;
  readonly certified: boolean;
  readonly connection: Connection;
  /** True from its SETTINGS on: before, there is nobody to say goodbye to. */
  greeted: boolean;
}

interface GrpcReceiver {
  readonly station: Station;
  /** Open connections, and who is at their other end. */
  readonly sessions: Map<ServerHttp2Session, Peer>;
}

/** @throws ReceiverError */
export async function startGrpc(
  endpoint: Endpoint,
  station: Station,
  bounds: ConnectionBounds,
): Promise<Receiver> {
  const receiver: GrpcReceiver = { station, sessions: new Map() };
  const tls = endpoint.tls === undefined ? null : await loadTls(endpoint.tls);
  const secure =
    tls === null
      ? null
      : createSecureServer({ ...OPTIONS, ...tls.material(bounds.headerTimeMsMax) });
  const server: Http2Server | Http2SecureServer = secure ?? createServer(OPTIONS);
  server.on("session", (session) => admitSession(session, receiver, bounds));
  server.on("stream", (stream, headers) => track(stream as ServerHttp2Stream, headers, receiver));
  server.on("sessionError", (error: Error) => {
    const code = "code" in error ? String(error.code) : "unknown";
    const message = `closed a connection: ${code}; a sender of OTLP/HTTP needs the port of http`;
    station.log({ level: "debug", message, transport: "grpc" });
    station.onClosed("protocol");
  });
  const bound = await listen(server, endpoint, station);
  const endWatch = watchSessions(receiver.sessions, () => {
    const message = "closed a connection: frames without messages";
    station.log({ level: "warn", message, transport: "grpc" });
    station.onClosed("flood");
  });
  const watch = secure === null ? undefined : tls?.follow(secure, watchLog(station));
  return {
    bound,
    async close(graceMs) {
      watch?.close();
      endWatch();
      await drain(server, receiver, graceMs);
    },
  };
}

const OPTIONS: ServerOptions = {
  settings: {
    maxConcurrentStreams: limits.streamsMax,
    // The defaults of 64 KiB make one large batch wait for a round trip every 64 KiB.
    initialWindowSize: limits.streamWindowBytes,
    maxFrameSize: limits.frameBytesMax,
    maxHeaderListSize: limits.headerBytesMax,
    enablePush: false,
  },
  // In MB, and above what the window lets a sender keep in flight on one connection.
  maxSessionMemory: Math.ceil((2 * limits.sessionWindowBytes) / 1e6),
  // Streams that are opened only to be reset: a burst, then a rate for ever (CVE-2023-44487).
  streamResetBurst: 1000,
  streamResetRate: 33,
};

/** Pings are answered by node:http2 at any rate that a keepalive has; nothing counts them. */
function admitSession(
  session: ServerHttp2Session,
  { sessions, station }: GrpcReceiver,
  bounds: ConnectionBounds,
): void {
  const { socket } = session;
  const certified = socket instanceof TLSSocket && socket.authorized;
  const address = peerAddress(socket.remoteAddress);
  const connection = station.connections.of(socket);
  const peer: Peer = { address, certified, connection, greeted: false };
  sessions.set(session, peer);
  // Both ends begin with SETTINGS: a connection that does not is nobody's client.
  const silent = setTimeout(() => {
    station.onClosed("silent");
    session.destroy();
  }, bounds.headerTimeMsMax);
  session.once("remoteSettings", () => {
    peer.greeted = true;
    clearTimeout(silent);
  });
  session.once("close", () => {
    clearTimeout(silent);
    sessions.delete(session);
  });
  session.setTimeout(limits.sessionIdleMsMax, () => session.close());
  session.setLocalWindowSize(limits.sessionWindowBytes);
  if (station.draining) session.close();
}

function track(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  receiver: GrpcReceiver,
): void {
  // Resets are told by `close`; without a listener an error would end the process.
  stream.on("error", () => undefined);
  serve(stream, headers, receiver).catch((cause: unknown) => {
    receiver.station.log({ level: "error", message: "cannot answer", transport: "grpc", cause });
    stream.destroy();
  });
}

async function serve(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  receiver: GrpcReceiver,
): Promise<void> {
  const { station } = receiver;
  const peer = receiver.sessions.get(stream.session as ServerHttp2Session);
  // A session that ended meanwhile has no calls.
  if (peer === undefined) return;
  const contentType = headers["content-type"] ?? "";
  if (
    !/^application\/grpc(?:\+proto)?(?:;|$)/i.test(contentType) ||
    headers[":method"] !== "POST"
  ) {
    // No gRPC: the specification answers with a status of HTTP.
    report("unknown", station, new Refusal("unsupported_media_type", "expected gRPC"), {
      bytes: 0,
    });
    stream.respond({ ":status": 415 }, { endStream: true });
    linger(stream, peer.connection);
    return;
  }
  const refusal = await call(stream, headers, { station, peer });
  if (stream.destroyed || stream.closed) return;
  if (refusal === null) acknowledge(stream);
  else refuse(stream, refusal, peer.connection);
}

async function call(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  { station, peer }: { readonly station: Station; readonly peer: Peer },
): Promise<Refusal | null> {
  const signal = signalOf.get(headers[":path"] ?? "");
  try {
    if (signal === undefined) {
      throw new Refusal("not_found", "expected the method Export of an OTLP service");
    }
    const deadlineMs = timeoutMs(headerOf(headers, "grpc-timeout"));
    const exchange: Exchange = {
      signal,
      authorization: headers.authorization,
      connection: peer.connection,
      peerAddress: peer.address,
      certified: peer.certified,
      declaredBytes: 0,
      json: false,
      isGone: () => stream.closed,
      ...(deadlineMs === undefined ? {} : { deadlineMs }),
      async read(admission, limit) {
        const message = new MessageReader(station.requestBytesMax, admission, (bytes) =>
          station.turns.check(peer.connection, bytes),
        );
        await collect(stream, { limit, admission }, (chunk) => {
          peer.connection.bodyBytes += chunk.length;
          message.push(chunk);
        });
        // A stream that the sender resets ends as well.
        if (stream.closed) throw new Refusal("aborted", "the sender went away");
        return message.finish(headerOf(headers, "grpc-encoding"));
      },
    };
    return await receive(exchange, station);
  } catch (error) {
    const refusal = refusalOf(error);
    report(signal ?? "unknown", station, refusal, { bytes: 0 });
    return refusal;
  }
}

/** node:http2 joins repeated headers that it does not know with commas. */
function headerOf(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return Array.isArray(value) ? value.join(",") : value;
}

const HEADERS = {
  ":status": 200,
  "content-type": "application/grpc",
  "grpc-accept-encoding": GRPC_ENCODINGS,
};

function acknowledge(stream: ServerHttp2Stream): void {
  // A sender can close its window and never take it.
  stream.setTimeout(limits.answerTakenMsMax, () => stream.close(constants.NGHTTP2_CANCEL));
  stream.respond(HEADERS, { waitForTrailers: true });
  stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": String(GRPC.ok) }));
  stream.end(EMPTY_MESSAGE);
}

/** Headers alone ("Trailers-Only"). */
function refuse(stream: ServerHttp2Stream, refusal: Refusal, connection: Connection): void {
  const trailers = {
    ...HEADERS,
    "grpc-status": String(STATUS[refusal.code].grpc),
    "grpc-message": percentEncode(messageOf(refusal)),
    "grpc-status-details-bin": toBase64(statusProtobuf(refusal)),
  };
  stream.respond(trailers, { endStream: true });
  linger(stream, connection);
}

/**
 * Throws away what a sender still sends after its answer, within bounds of time and size; clients
 * of gRPC stop by themselves. A reset that comes in one read with the answer would make clients on
 * node:http2 lose the answer, and with it the data.
 */
function linger(stream: ServerHttp2Stream, connection: Connection): void {
  if (stream.readableEnded) return;
  const close = (): void => stream.close(constants.NGHTTP2_NO_ERROR);
  const timer = setTimeout(close, limits.lingerMsMax);
  let bytes = 0;
  stream.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    connection.bodyBytes += chunk.length;
    if (bytes > limits.requestBytesMax) close();
  });
  stream.on("close", () => clearTimeout(timer));
  stream.resume();
}

async function drain(
  server: Http2Server | Http2SecureServer,
  { sessions, station: { connections } }: GrpcReceiver,
  graceMs: number,
): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  // GOAWAY names the last call that will be answered: senders repeat later ones elsewhere. The
  // connection ends when those before it are answered.
  for (const session of sessions.keys()) session.close();
  const peers = [...sessions.values()].filter(({ greeted }) => greeted);
  const talking = new Set(peers.map(({ connection }) => connection.socket));
  for (const socket of connections.sockets()) if (!talking.has(socket)) socket.destroy();
  const cut = setTimeout(() => {
    for (const socket of connections.sockets()) socket.destroy();
  }, graceMs);
  await closed;
  clearTimeout(cut);
}
