/** Reads a sink's answers. Everything here comes from the network and is bounded by the caller. */
import { decodeUtf8Lossy } from "../bytes/utf8.ts";
import { LENGTH_DELIMITED, VARINT, WireError, WireReader } from "../bytes/wire.ts";
import { sinkMessageCharsMax, sinkResponseBytesMax, sinkRetryAfterMsMax } from "../limits.ts";
import type { AcceptRemark } from "./sink.ts";

/** OTLP/HTTP, "Retryable response codes"; a proxy before a gRPC sink answers with them too. */
export const retryableHttpStatus: ReadonlySet<number> = new Set([429, 502, 503, 504]);

/** Of a request that was taken with an answer beyond its bound. */
export const unreadableAnswer: AcceptRemark = {
  kind: "unreadable",
  message: `the answer is longer than ${sinkResponseBytesMax} bytes`,
};

const rejectedNames = ["rejectedSpans", "rejectedLogRecords", "rejectedDataPoints"];

/**
 * The partial success of an Export response, or undefined where there is none. An answer that is no
 * such message is taken for a plain success, as many backends answer with a text.
 */
export function readExportResponse(body: Uint8Array, isJson: boolean): AcceptRemark | undefined {
  const found = isJson ? fromJson(body) : fromProtobuf(body);
  if (found === undefined || (found.rejectedItems <= 0 && found.message === "")) return undefined;
  return { kind: "partial", ...found, rejectedItems: Math.max(0, found.rejectedItems) };
}

interface PartialSuccess {
  rejectedItems: number;
  message: string;
}

function fromProtobuf(body: Uint8Array): PartialSuccess | undefined {
  return readOrNothing(() => {
    const response = new WireReader(body);
    let found: PartialSuccess | undefined;
    while (response.next()) {
      if (response.field !== 1 || response.wireType !== LENGTH_DELIMITED) continue;
      found ??= { rejectedItems: 0, message: "" };
      const partial = response.message();
      while (partial.next()) {
        if (partial.field === 1 && partial.wireType === VARINT) {
          found.rejectedItems = Number(partial.int64());
        } else if (partial.field === 2 && partial.wireType === LENGTH_DELIMITED) {
          found.message = decodeUtf8Lossy(partial.payload());
        }
      }
    }
    return found;
  });
}

function fromJson(body: Uint8Array): PartialSuccess | undefined {
  const partial = member(parseJson(body), "partialSuccess");
  if (partial === undefined) return undefined;
  const count = rejectedNames.map((name) => Number(member(partial, name) ?? 0));
  const message = member(partial, "errorMessage");
  return {
    rejectedItems: Math.max(0, ...count.filter(Number.isSafeInteger)),
    message: typeof message === "string" ? message : "",
  };
}

/** What an error answer says: the message of a `google.rpc.Status`, or its text. */
export function readErrorMessage(body: Uint8Array, contentType: string): string {
  if (contentType.includes("json")) {
    const message = member(parseJson(body), "message");
    return typeof message === "string" ? message : decodeUtf8Lossy(body);
  }
  if (contentType.includes("protobuf")) return readStatus(body)?.message ?? "";
  return contentType.startsWith("text/") ? decodeUtf8Lossy(body) : "";
}

/** A `google.rpc.Status`: its message, and the delay of its RetryInfo. */
export function readStatus(
  body: Uint8Array,
): { message: string; retryAfterMs: number | undefined } | undefined {
  return readOrNothing(() => {
    const status = new WireReader(body);
    let message = "";
    let retryAfterMs: number | undefined;
    while (status.next()) {
      if (status.wireType !== LENGTH_DELIMITED) continue;
      if (status.field === 2) message = decodeUtf8Lossy(status.payload());
      if (status.field === 3) retryAfterMs ??= readRetryInfo(status.message());
    }
    return { message, retryAfterMs };
  });
}

/** `any` is a google.protobuf.Any. */
function readRetryInfo(any: WireReader): number | undefined {
  let isRetryInfo = false;
  let value: WireReader | undefined;
  while (any.next()) {
    if (any.wireType !== LENGTH_DELIMITED) continue;
    if (any.field === 1) {
      isRetryInfo = decodeUtf8Lossy(any.payload()).endsWith("/google.rpc.RetryInfo");
    } else if (any.field === 2) value = any.message();
  }
  if (!isRetryInfo) return undefined;
  let delayMs = 0;
  while (value?.next() === true) {
    if (value.field !== 1 || value.wireType !== LENGTH_DELIMITED) continue;
    const duration = value.message();
    while (duration.next()) {
      if (duration.wireType !== VARINT) continue;
      if (duration.field === 1) delayMs += Number(duration.int64()) * 1000;
      if (duration.field === 2) delayMs += Number(duration.int64()) / 1e6;
    }
  }
  return boundDelay(delayMs);
}

const httpDate = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? .*(?:GMT|\d{4})$/;

/** Retry-After as seconds or as a date (RFC 9110, 10.2.3); undefined where it is neither. */
export function readRetryAfter(text: string | undefined, nowMs: number): number | undefined {
  const value = text?.trim() ?? "";
  if (/^\d{1,15}$/.test(value)) return boundDelay(Number(value) * 1000);
  if (!httpDate.test(value)) return undefined;
  // The asctime form has no zone, and is GMT all the same.
  const dateMs = Date.parse(value.endsWith("GMT") ? value : `${value} GMT`);
  return Number.isNaN(dateMs) ? undefined : boundDelay(dateMs - nowMs);
}

function boundDelay(delayMs: number): number {
  return Math.min(Math.max(0, delayMs), sinkRetryAfterMsMax);
}

/** One line of bounded length, redacted before it is cut so that no half of a match is left. */
export function cleanMessage(text: string, redact: (text: string) => string): string {
  // A sink may answer with pages: what is redacted is bounded, and far longer than what is kept.
  const bounded = text.slice(0, 16 * sinkMessageCharsMax);
  const line = redact(bounded)
    .replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, " ")
    .trim();
  return line.slice(0, sinkMessageCharsMax).toWellFormed();
}

function readOrNothing<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof WireError) return undefined;
    throw error;
  }
}

function parseJson(body: Uint8Array): unknown {
  try {
    return JSON.parse(decodeUtf8Lossy(body));
  } catch {
    return undefined;
  }
}

function member(value: unknown, name: string): unknown {
  if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
  return (value as Record<string, unknown>)[name];
}
