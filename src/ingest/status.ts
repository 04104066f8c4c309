/**
 * The one table from refusals to what the sender sees. OTLP 1.11 (opentelemetry.io/docs/specs/otlp)
 * decides by the status whether a client keeps or drops its data, so a wrong row here loses data.
 */
import { RequestError } from "../audit/request-error.ts";
import { WireError } from "../bytes/wire.ts";
import { LedgerError } from "../ledger/ledger-error.ts";
import { JsonError } from "./json-cursor.ts";
import { Refusal, type RefusalCode } from "./refusal.ts";

/** google.rpc.Code, as far as it is answered. */
export const GRPC = {
  ok: 0,
  cancelled: 1,
  invalidArgument: 3,
  deadlineExceeded: 4,
  permissionDenied: 7,
  resourceExhausted: 8,
  unimplemented: 12,
  unavailable: 14,
  unauthenticated: 16,
} as const;

export interface StatusRow {
  readonly grpc: number;
  readonly http: number;
  /** True where the answer asks for a repeat: Retry-After over HTTP, RetryInfo over gRPC. */
  readonly retryable: boolean;
  /** True where the sender's data is at fault: the answer carries BadRequest. */
  readonly badRequest?: true;
}

const later = (grpc: number, http: number): StatusRow => ({ grpc, http, retryable: true });
const never = (grpc: number, http: number): StatusRow => ({ grpc, http, retryable: false });
const badData: StatusRow = { ...never(GRPC.invalidArgument, 400), badRequest: true };

export const STATUS: Readonly<Record<RefusalCode, StatusRow>> = {
  // OTLP/HTTP "Retryable Response Codes": 429, 502, 503, 504 only. 503 rather than 429 throughout,
  // because not every exporter repeats a 429. OTLP/gRPC "Failures": UNAVAILABLE is repeated, and
  // "Throttling": RetryInfo says when.
  overloaded: later(GRPC.unavailable, 503),
  unavailable: later(GRPC.unavailable, 503),
  draining: later(GRPC.unavailable, 503),
  answer_timeout: later(GRPC.unavailable, 503),
  body_timeout: later(GRPC.unavailable, 503),
  // OTLP/gRPC "Failures": DEADLINE_EXCEEDED and CANCELLED are repeated. The sender asked for these
  // itself and has mostly gone.
  deadline_exceeded: later(GRPC.deadlineExceeded, 504),
  aborted: later(GRPC.cancelled, 503),

  // OTLP/HTTP "Bad Data": 400, never repeated; OTLP/gRPC "Failures": INVALID_ARGUMENT, BadRequest.
  malformed: badData,
  too_deep: badData,
  bad_name: badData,
  bad_compression: badData,
  // OTLP/HTTP "Request Size Limits": 413. OTLP/gRPC: RESOURCE_EXHAUSTED without RetryInfo, which
  // alone would make it one to repeat.
  too_large: never(GRPC.resourceExhausted, 413),
  // OTLP/HTTP "All Other Responses": not repeated. Credentials do not improve by repeating.
  unauthenticated: never(GRPC.unauthenticated, 401),
  forbidden: never(GRPC.permissionDenied, 403),
  not_found: never(GRPC.unimplemented, 404),
  method_not_allowed: never(GRPC.unimplemented, 405),
  unsupported_media_type: never(GRPC.unimplemented, 415),
  // RFC 9110 15.5.16 and 12.5.3: 415 with Accept-Encoding. gRPC compression specification:
  // UNIMPLEMENTED with grpc-accept-encoding.
  unsupported_encoding: never(GRPC.unimplemented, 415),
};

/**
 * What an error means to the sender. Errors that are nobody's fault that is known here are
 * `unavailable`: the sender keeps its data, and the cause stays out of the answer (fail closed).
 */
export function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (error instanceof RequestError || error instanceof WireError || error instanceof JsonError) {
    return new Refusal(error.code, error.message, error);
  }
  // Any other state of the ledger may pass; a request that no commit can hold stays that large.
  if (error instanceof LedgerError && error.code === "too_large") {
    return new Refusal("too_large", error.message, error);
  }
  return new Refusal("unavailable", "the request could not be recorded: send it again", error);
}
