/** Receivers on free ports of loopback, with a handler that remembers and can fail. */
import { request as httpRequest, type IncomingHttpHeaders, type RequestOptions } from "node:http";
import { request as httpsRequest } from "node:https";
import { onTestFinished } from "vitest";
import type { TelemetryRequest } from "../../src/audit/request.ts";
import {
  type IngestLogEntry,
  type ReceiverOptions,
  type Receivers,
  type RequestEvent,
  startReceivers,
} from "../../src/ingest/receivers.ts";

export const MIB = 1024 * 1024;
export const NOW = 1_700_000_000_000_000_000n;

export interface Rig {
  readonly receivers: Receivers;
  readonly httpPort: number;
  readonly grpcPort: number;
  /** What was handed on. */
  readonly requests: TelemetryRequest[];
  readonly events: RequestEvent[];
  readonly log: IngestLogEntry[];
  /** What the handler does with a request after it was remembered. */
  handle: (request: TelemetryRequest) => Promise<void>;
}

const loopback = { host: "127.0.0.1", port: 0 };

/** Closed when the test ends. */
export async function startRig(options: Partial<ReceiverOptions> = {}): Promise<Rig> {
  const requests: TelemetryRequest[] = [];
  const events: RequestEvent[] = [];
  const log: IngestLogEntry[] = [];
  const rig = { requests, events, log, handle: () => Promise.resolve() } as unknown as Rig;
  const receivers = await startReceivers(
    {
      grpc: loopback,
      http: loopback,
      now: () => NOW,
      log: (entry) => log.push(entry),
      onRequest: (event) => events.push(event),
      ...options,
    },
    (request) => {
      requests.push({ ...request, bytes: Buffer.from(request.bytes) });
      return rig.handle(request);
    },
  );
  onTestFinished(() => receivers.close(0));
  const ports = { httpPort: receivers.http?.port ?? 0, grpcPort: receivers.grpc?.port ?? 0 };
  return Object.assign(rig, { receivers, ...ports });
}

export interface Response {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
}

export interface Post extends Omit<RequestOptions, "headers"> {
  readonly headers?: Record<string, string>;
  readonly body?: Uint8Array | string;
  readonly tls?: object;
}

export const PROTOBUF = { "content-type": "application/x-protobuf" };
export const JSON_TYPE = { "content-type": "application/json" };

/** POST with the body's length announced, unless told otherwise. */
export function post(port: number, options: Post = {}): Promise<Response> {
  const { body = "", tls, ...rest } = options;
  const headers: Record<string, string> = options.headers ?? PROTOBUF;
  const length = headers["transfer-encoding"] === undefined ? Buffer.byteLength(body) : undefined;
  const all = { ...(length === undefined ? {} : { "content-length": String(length) }), ...headers };
  const target = { host: "127.0.0.1", port, path: "/v1/traces", method: "POST", agent: false };
  const start = tls === undefined ? httpRequest : httpsRequest;
  return new Promise((resolve, reject) => {
    const request = start({ ...target, ...rest, ...tls, headers: all }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const { statusCode, headers: received } = response;
        resolve({ status: statusCode!, headers: received, body: Buffer.concat(chunks) });
      });
    });
    request.on("error", reject);
    request.end(body);
  });
}

export interface Gate {
  readonly opened: Promise<void>;
  open(): void;
}

/** A promise that is settled by hand. */
export function gate(): Gate {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: resolve };
}

/** Waits for a condition that other work brings about. */
export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 5));
}
