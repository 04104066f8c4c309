/** Where requests are delivered: one contract for both transports. */
import type { Signal } from "../audit/otlp/schema.ts";

export type SendOutcome =
  | {
      readonly kind: "accepted";
      readonly status: string;
      /** Set where the sink says something about what it took. */
      readonly remark?: AcceptRemark | undefined;
    }
  /** The sink will never take this request. */
  | SendFailure<"rejected">
  /** May pass by itself. */
  | (SendFailure<"retry"> & { readonly afterMs?: number | undefined })
  /** Passes when somebody changes the configuration, here or there. */
  | SendFailure<"hold">;

export interface SendFailure<Kind extends string> {
  readonly kind: Kind;
  /** `HTTP 503`, `UNAVAILABLE`, `ECONNREFUSED` … */
  readonly status: string;
  /** As the sink or the network said it. */
  readonly message: string;
  /** Nothing came that could be called an answer. */
  readonly isUnanswered?: boolean;
}

export type AcceptRemark =
  | { readonly kind: "partial"; readonly rejectedItems: number; readonly message: string }
  | { readonly kind: "unreadable"; readonly message: string };

export interface Sink {
  /** Those that have an endpoint. */
  readonly signals: readonly Signal[];
  /** What `send` takes, made once for all attempts. */
  prepare(request: Uint8Array): Promise<Uint8Array>;
  /** One attempt. Never rejects; an aborted attempt is a `retry`. */
  send(signal: Signal, body: Uint8Array, abort: AbortSignal): Promise<SendOutcome>;
  close(): Promise<void>;
}
