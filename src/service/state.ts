/** What the sidecar says about itself: on /readyz, in /metrics, to `spanseal status`. */
import type { Signal } from "../audit/otlp/schema.ts";

export interface LedgerState {
  readonly state: "open" | "recovering" | "stopped";
  readonly reason?: string;
  readonly directory: string;
  readonly origin: string;
  /** Number of records. */
  readonly size: number;
  readonly bytes: number;
}

export interface PublishState {
  readonly bucket: string;
  /** Size of the log that the bucket has a signed root of; absent before the first. */
  readonly publishedSize?: number;
  /** Milliseconds since the oldest record that the bucket does not cover; 0 where there is none. */
  readonly lagMs: number;
  readonly lagRecords: number;
  readonly lagMsMax?: number;
  readonly lastError?: string;
}

export interface QueueState {
  readonly signal: Signal;
  readonly queuedBytes: number;
  readonly queuedRequests: number;
  readonly forwardedRequests: number;
  /** Why this signal is not forwarded now; absent where it is. */
  readonly held?: string;
}

export interface SidecarState {
  readonly pid: number;
  readonly startedAt: string;
  /** From the begin of the shutdown. */
  readonly draining: boolean;
  readonly ledger: LedgerState;
  readonly publish: PublishState;
  readonly forward?: { readonly sink: string; readonly queues: readonly QueueState[] };
  readonly endpoints: Readonly<Record<string, string>>;
  /** Verifier key to give away. */
  readonly publicKey: string;
}

/** Why requests are refused now, in plain words; empty where the sidecar is ready. */
export function unreadyReasons(state: SidecarState): string[] {
  const reasons: string[] = [];
  if (state.draining) reasons.push("shutting down");
  if (state.ledger.state !== "open") {
    const reason = state.ledger.reason ?? "no reason known";
    reasons.push(`the ledger is ${state.ledger.state}: ${reason}`);
  }
  if (isLagging(state.publish)) {
    const cause = state.publish.lastError ?? "no attempt has failed yet";
    reasons.push(`the bucket is behind by more than publish.max_lag: ${cause}`);
  }
  for (const { signal, held } of state.forward?.queues ?? []) {
    if (held !== undefined) reasons.push(`forwarding of ${signal} is held: ${held}`);
  }
  return reasons;
}

/** Whether `publish.max_lag` is set and exceeded. */
export function isLagging(publish: PublishState): boolean {
  return publish.lagMsMax !== undefined && publish.lagMs > publish.lagMsMax;
}
