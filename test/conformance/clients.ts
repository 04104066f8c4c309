/** Clients that send any bytes: what an SDK would never produce must be askable. */
import { request as httpRequest, type IncomingHttpHeaders } from "node:http";
import { connect as connectHttp2, type ClientHttp2Session } from "node:http2";
import { connect, type Socket } from "node:net";
import { decodeStatus, type DecodedStatus } from "../support/google-status.ts";

const answerMsMax = 30_000;

export interface HttpRequest {
  readonly method?: string;
  /** Default `/v1/traces`. */
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Uint8Array | string;
}

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

/** One request on a connection of its own. */
export function askHttp(address: string, asked: HttpRequest): Promise<HttpAnswer> {
  const { method = "POST", path = "/v1/traces", headers = {}, body = "" } = asked;
  const announced =
    headers["content-length"] === undefined && headers["transfer-encoding"] === undefined
      ? { "content-length": String(Buffer.byteLength(body)) }
      : {};
  return new Promise((resolve, reject) => {
    const request = httpRequest(
      new URL(path, address),
      { method, agent: false, headers: { ...announced, ...headers }, timeout: answerMsMax },
      (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          request.destroy();
          resolve({
            status: response.statusCode!,
            headers: response.headers,
            body: Buffer.concat(chunks),
          });
        });
      },
    );
    request.on("timeout", () => request.destroy(new Error("no answer")));
    request.on("error", reject);
    request.end(body);
  });
}

/** A connection that says exactly what it is told to. */
export interface RawConnection {
  readonly socket: Socket;
  /** Everything that came so far, as latin1. */
  received(): string;
  /** Resolves when `pattern` has come; rejects when the connection ends or time runs out before. */
  until(pattern: RegExp): Promise<void>;
  /** Resolves with everything that came when the other end has closed. */
  readonly closed: Promise<string>;
}

/** @param address `http://host:port` or `host:port` */
export async function openRaw(address: string): Promise<RawConnection> {
  const { hostname, port } = new URL(address.includes("//") ? address : `http://${address}`);
  const socket = connect(Number(port), hostname.replace(/^\[|\]$/g, ""));
  let text = "";
  socket.on("data", (chunk: Buffer) => (text += chunk.toString("latin1")));
  socket.on("error", () => undefined);
  const closed = new Promise<string>((resolve) => socket.once("close", () => resolve(text)));
  await new Promise<void>((resolve, reject) => {
    socket.once("connect", resolve).once("error", reject);
  });
  return {
    socket,
    closed,
    received: () => text,
    async until(pattern) {
      const deadline = Date.now() + answerMsMax;
      while (!pattern.test(text)) {
        if (socket.closed) throw new Error(`the connection ended after: ${text.slice(0, 200)}`);
        if (Date.now() > deadline) throw new Error(`no ${pattern} in: ${text.slice(0, 200)}`);
        await new Promise((resolve) => setTimeout(resolve, 5));
      }
    },
  };
}

/** Uses a connection and ends it, whatever happens. */
export async function withRaw<T>(
  address: string,
  use: (raw: RawConnection) => Promise<T>,
): Promise<T> {
  const raw = await openRaw(address);
  try {
    return await use(raw);
  } finally {
    raw.socket.destroy();
  }
}

export const services = {
  traces: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
  logs: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
  metrics: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
} as const;

export interface GrpcCall {
  /** Default the traces service. */
  readonly path?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** All bytes of the stream, with their prefix. */
  readonly body: Uint8Array;
}

export interface GrpcAnswer {
  /** `grpc-status`; -1 where there was none. */
  readonly code: number;
  readonly message: string;
  readonly httpStatus: number;
  readonly acceptEncoding?: string;
  readonly status?: DecodedStatus;
  readonly body: Buffer;
  /** True where the headers were all of the answer. */
  readonly trailersOnly: boolean;
}

/** A message with its flag and length, both of which may lie. */
export function framed(message: Uint8Array, flag = 0, length = message.length): Buffer {
  const prefix = Buffer.alloc(5);
  prefix[0] = flag;
  prefix.writeUInt32BE(length, 1);
  return Buffer.concat([prefix, message]);
}

/** A session whose errors are its own affair. */
export function openHttp2(address: string): ClientHttp2Session {
  const session = connectHttp2(`http://${address}`);
  session.on("error", () => undefined);
  return session;
}

/** One call on a connection of its own. */
export async function callGrpc(address: string, call: GrpcCall): Promise<GrpcAnswer> {
  const session = openHttp2(address);
  try {
    return await callOn(session, call);
  } finally {
    session.destroy();
  }
}

/** One call on an open connection. */
export function callOn(session: ClientHttp2Session, call: GrpcCall): Promise<GrpcAnswer> {
  const stream = session.request({
    ":method": "POST",
    ":path": call.path ?? services.traces,
    "content-type": "application/grpc",
    te: "trailers",
    ...call.headers,
  });
  return new Promise((resolve, reject) => {
    let headers: Record<string, unknown> = {};
    let trailers: Record<string, unknown> = {};
    const chunks: Buffer[] = [];
    const timer = setTimeout(() => reject(new Error("no answer")), answerMsMax);
    stream.on("response", (received) => (headers = received));
    stream.on("trailers", (received) => (trailers = received));
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("error", () => undefined);
    const end = (): void => void stream.destroy();
    session.once("close", end);
    stream.on("close", () => {
      session.off("close", end);
      clearTimeout(timer);
      if (headers[":status"] === undefined) reject(new Error("the stream ended without an answer"));
      else resolve(answerOf(headers, trailers, Buffer.concat(chunks)));
    });
    stream.end(call.body);
  });
}

function answerOf(
  headers: Readonly<Record<string, unknown>>,
  trailers: Readonly<Record<string, unknown>>,
  body: Buffer,
): GrpcAnswer {
  const all = { ...headers, ...trailers };
  const details = all["grpc-status-details-bin"] as string | undefined;
  const acceptEncoding = all["grpc-accept-encoding"] as string | undefined;
  return {
    code: Number(all["grpc-status"] ?? -1),
    message: (all["grpc-message"] as string | undefined) ?? "",
    httpStatus: Number(headers[":status"]),
    ...(acceptEncoding === undefined ? {} : { acceptEncoding }),
    ...(details === undefined ? {} : { status: decodeStatus(Buffer.from(details, "base64")) }),
    body,
    trailersOnly: headers["grpc-status"] !== undefined,
  };
}
