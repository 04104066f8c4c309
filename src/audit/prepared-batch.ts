/**
 * What `prepare` yields and the ledger commits: everything about a request that does not depend on
 * order. Packed arrays instead of objects, so that a batch can be transferred between threads.
 */
import type { Signal } from "./otlp/schema.ts";

export const recordIdBytes = 16;
export const digestBytes = 32;

/** The chain that a record belongs to. */
export interface ChainName {
  readonly namespace: string;
  readonly tenant: string;
}

/** Who has it owns its bytes; `forward` may be the request's. */
export interface PreparedBatch {
  readonly signal: Signal;
  /** Number of records, possibly 0. */
  readonly count: number;
  /** Record ids, 16 bytes each, in record order. */
  readonly ids: Uint8Array;
  /** `body_digest` of each record, 32 bytes each: SHA-256("spanseal body v1\n" ‖ body). */
  readonly digests: Uint8Array;
  /** Record bodies (canonical JSON, UTF-8), one after another. */
  readonly bodies: Uint8Array;
  /** End of each body in `bodies`. */
  readonly bodyEnds: Uint32Array;
  /** The distinct chains of this batch. */
  readonly chains: readonly ChainName[];
  /** Per record: its index in `chains`. */
  readonly chainOf: Uint32Array;
  /** The redacted and stamped request to forward, a protobuf Export…ServiceRequest. */
  readonly forward: Uint8Array;
  /** Spans or log records that made no record: they are forwarded only, and nothing knows repeats. */
  readonly unrecorded: number;
  readonly statistics: BatchStatistics;
}

export interface BatchStatistics {
  /** Spans, log records or metric data points received. */
  readonly items: number;
  /** Redactions by class, e.g. `email` → 3. */
  readonly redactionsByClass: Readonly<Record<string, number>>;
}
