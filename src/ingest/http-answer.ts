/** Writes answers of OTLP/HTTP: the media type of the request, also on errors. */
import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from "node:http";
import { lingerMsMax, requestBytesMax, retryDelaySeconds } from "../limits.ts";
import { statusJson, statusProtobuf } from "./google-status.ts";
import { declaredBytesOf, ENCODINGS, type Format, MEDIA_TYPES } from "./http-headers.ts";
import type { Refusal } from "./refusal.ts";
import { STATUS } from "./status.ts";

/** An Export…ServiceResponse without members: zero bytes, but `{}` in JSON, where nothing is no value. */
const SUCCESS: Readonly<Record<Format, Buffer>> = {
  protobuf: Buffer.alloc(0),
  json: Buffer.from("{}"),
};

/** A rest of this size is read and thrown away, and the connection kept. */
const discardBytesMax = 1024 * 1024;

export interface Answer {
  /** Null is success. */
  readonly refusal: Refusal | null;
  /** Of the request; null where it had none that is known, which is answered in JSON. */
  readonly format: Format | null;
  /** True where the connection must not be used again. */
  readonly last: boolean;
}

export function answer(
  request: IncomingMessage,
  response: ServerResponse,
  { refusal, format, last }: Answer,
): void {
  const written = format ?? "json";
  const body = refusal === null ? SUCCESS[written] : errorBody(refusal, written);
  const rest = unread(request);
  const headers: OutgoingHttpHeaders = {
    "content-type": MEDIA_TYPES[written],
    "content-length": body.length,
    ...(refusal === null ? {} : refusalHeaders(refusal)),
    ...(last || rest === "much" ? { connection: "close" } : {}),
  };
  response.writeHead(refusal === null ? 200 : STATUS[refusal.code].http, headers);
  if (rest !== "much") {
    if (rest === "little") discard(request);
    response.end(body);
    return;
  }
  // Ending the connection on a sender that still writes would reset it, and with it the answer.
  response.write(body);
  linger(request, () => response.end());
}

function errorBody(refusal: Refusal, format: Format): Uint8Array {
  return format === "json" ? statusJson(refusal) : statusProtobuf(refusal);
}

function refusalHeaders(refusal: Refusal): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = {};
  if (STATUS[refusal.code].retryable) headers["retry-after"] = String(retryDelaySeconds);
  if (refusal.code === "method_not_allowed") headers["allow"] = "POST";
  if (refusal.code === "unsupported_encoding") headers["accept-encoding"] = ENCODINGS;
  if (refusal.code === "unauthenticated") headers["www-authenticate"] = "Bearer";
  return headers;
}

/** How much of the request is still to come. */
function unread(request: IncomingMessage): "nothing" | "little" | "much" {
  if (request.complete) return "nothing";
  // Without the 100 that it waits for, the sender may send the body or not: nobody can tell.
  if (request.headers.expect !== undefined) return "much";
  const { headers } = request;
  if (headers["transfer-encoding"] !== undefined) return "much";
  return declaredBytesOf(headers) <= discardBytesMax ? "little" : "much";
}

/** Throws away a rest, for which the connection is kept; one that does not come ends it. */
function discard(request: IncomingMessage): void {
  const cut = setTimeout(() => request.socket.destroy(), lingerMsMax);
  request.once("close", () => clearTimeout(cut)).resume();
}

/** Throws away what still comes, within bounds of time and size, then calls `done` once. */
function linger(request: IncomingMessage, done: () => void): void {
  let bytes = 0;
  const end = (): void => {
    clearTimeout(timer);
    request.off("data", onData).off("end", end).off("close", end);
    done();
  };
  const onData = (chunk: Buffer): void => {
    bytes += chunk.length;
    if (bytes > requestBytesMax) end();
  };
  const timer = setTimeout(end, lingerMsMax);
  request.on("data", onData).on("end", end).on("close", end);
  request.resume();
}
