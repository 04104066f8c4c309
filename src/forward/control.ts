/** What forwarding has to say in the audit log itself. Never a payload. */
import type { Signal } from "../audit/otlp/schema.ts";

/** The sink has not taken a request, or not all of it, and it will not be sent again. */
export interface SinkRejected {
  readonly kind: "sink_rejected";
  readonly signal: Signal;
  /** Indexes `[first, end)` of the records of the request; empty where it has none. */
  readonly first: number;
  readonly end: number;
  /**
   * - `rejected`: the sink will never take it
   * - `partial`: the sink took the rest
   * - `expired`: not delivered within `max_elapsed_time`, or retries are off
   * - `unreadable`: taken, but the answer is too long to read, so nothing is known of its items
   */
  readonly reason: "rejected" | "partial" | "expired" | "unreadable";
  /** `HTTP 400`, `INVALID_ARGUMENT` …, or the code of a network error. */
  readonly status: string;
  /** Items that the sink says it rejected; undefined where it does not say. */
  readonly rejectedItems: number | undefined;
  /** The sink's words, redacted and cut. */
  readonly message: string;
  readonly requestBytes: number;
  readonly attempts: number;
}

/** The queue was full and `on_full: suspend` is chosen: requests were recorded, not forwarded. */
interface ForwardingSuspended {
  readonly kind: "forwarding_suspended";
  readonly signal: Signal;
  readonly phase: "start" | "end";
  readonly sinceUnixMs: number;
  /** At the end: what was not forwarded. */
  readonly entries: number;
  readonly bytes: number;
  /** Spans, log records or data points in them. */
  readonly items: number;
  /** Smallest index range around the records of those requests. */
  readonly first: number;
  readonly end: number;
  /** False where a crash may have lost a part of the counts. */
  readonly countsComplete: boolean;
}

export type ForwardControl = SinkRejected | ForwardingSuspended;
