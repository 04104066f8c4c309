/**
 * google.rpc.Status, the body of every error answer: protobuf and JSON, with the two details that
 * OTLP names, RetryInfo and BadRequest (github.com/googleapis/googleapis google/rpc).
 */
import { canonicalize, type JsonValue } from "../bytes/canonical-json.ts";
import { encodeUtf8 } from "../bytes/utf8.ts";
import { LENGTH_DELIMITED, VARINT, varintSize, writeVarint } from "../bytes/wire.ts";
import { refusalCharsMax, retryDelaySeconds } from "../limits.ts";
import type { Refusal } from "./refusal.ts";
import { STATUS } from "./status.ts";

const RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo";
const BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest";

/** The refusal's text, bounded, for status messages. */
export function messageOf(refusal: Refusal): string {
  return refusal.message.slice(0, refusalCharsMax).toWellFormed();
}

export function statusJson(refusal: Refusal): Uint8Array {
  const { grpc, retryable, badRequest } = STATUS[refusal.code];
  const message = messageOf(refusal);
  const details: JsonValue[] = [];
  if (retryable) details.push({ "@type": RETRY_INFO, retryDelay: `${retryDelaySeconds}s` });
  if (badRequest) {
    const violation = { description: message, field: refusal.code };
    details.push({ "@type": BAD_REQUEST, fieldViolations: [violation] });
  }
  return encodeUtf8(canonicalize({ code: grpc, details, message }));
}

export function statusProtobuf(refusal: Refusal): Uint8Array {
  const { grpc, retryable, badRequest } = STATUS[refusal.code];
  const message = messageOf(refusal);
  const parts = [varintField(1, grpc), textField(2, message)];
  if (retryable) {
    const delay = bytesField(1, varintField(1, retryDelaySeconds));
    parts.push(detail(RETRY_INFO, delay));
  }
  if (badRequest) {
    // `field` names the kind of fault: the place, where it is known, stands in the description.
    const violation = concat([textField(1, refusal.code), textField(2, message)]);
    parts.push(detail(BAD_REQUEST, bytesField(1, violation)));
  }
  return concat(parts);
}

/** Field `details` with one google.protobuf.Any. */
function detail(type: string, value: Uint8Array): Uint8Array {
  return bytesField(3, concat([textField(1, type), bytesField(2, value)]));
}

function textField(field: number, text: string): Uint8Array {
  return bytesField(field, encodeUtf8(text));
}

function bytesField(field: number, value: Uint8Array): Uint8Array {
  const head = new Uint8Array(1 + varintSize(value.length));
  head[0] = (field << 3) | LENGTH_DELIMITED;
  writeVarint(head, 1, value.length);
  return concat([head, value]);
}

function varintField(field: number, value: number): Uint8Array {
  const bytes = new Uint8Array(1 + varintSize(value));
  bytes[0] = (field << 3) | VARINT;
  writeVarint(bytes, 1, value);
  return bytes;
}

function concat(parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}
