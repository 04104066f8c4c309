/** What the sidecar says about itself: on /readyz, in /metrics, to `spanseal status`. */
import type { ForwarderStatus } from "../forward/forwarder.ts";
import type { UnsentSpool } from "../forward/unsent.ts";
import type { PublisherStatus } from "../publish/publisher.ts";

interface LedgerState {
  readonly state: "open" | "recovering" | "stopped" | "closed";
  readonly reason?: string | undefined;
  readonly directory: string;
  readonly origin: string;
  /** Number of records. */
  readonly size: number;
  readonly chainCount: number;
  /** Requests that wait for their commit, and their bytes. */
  readonly queuedRequests: number;
  readonly queuedBytes: number;
  /** Size that the newest local checkpoint covers. */
  readonly checkpointSize: number;
}

export interface ForwardState {
  /** The sink's address, without credentials. */
  readonly sink: string;
  readonly signals: ForwarderStatus;
}

export interface SidecarState {
  readonly pid: number;
  readonly startedAt: string;
  /** From the begin of the shutdown. */
  readonly draining: boolean;
  readonly ledger: LedgerState;
  readonly publish: PublisherStatus;
  readonly forward?: ForwardState;
  /** What waited at the start for sinks that are not configured. */
  readonly unsent: readonly UnsentSpool[];
  /** `host:port` of `grpc`, `http` and `operations`. */
  readonly endpoints: Readonly<Record<string, string>>;
  /** Verifier key to give away. */
  readonly publicKey: string;
}

/**
 * Why this sidecar should not be used now, in plain words: requests are refused, or what was
 * promised beside recording does not happen until somebody acts. Empty where it is ready.
 */
export function unreadyReasons(state: SidecarState): string[] {
  const { ledger, publish, forward } = state;
  const reasons: string[] = [];
  if (state.draining) reasons.push("shutting down");
  if (ledger.state !== "open" || ledger.reason !== undefined) {
    reasons.push(`the ledger is ${ledger.state}: ${ledger.reason ?? "no reason known"}`);
  }
  if (publish.lagMsMax !== undefined && publish.lagMs > publish.lagMsMax) {
    const cause = publish.lastError ?? "no attempt has failed yet";
    reasons.push(`the bucket is behind by more than publish.max_lag: ${cause}`);
  }
  if (publish.halted) {
    reasons.push(`publishing is halted: ${publish.lastError ?? "no reason known"}`);
  }
  for (const [signal, status] of Object.entries(forward?.signals ?? {})) {
    if (status.state === "held") {
      reasons.push(`forwarding of ${signal} is held: ${status.reason ?? "no reason known"}`);
    } else if (status.state !== "suspended" && status.isFull) {
      reasons.push(`the queue of ${signal} for the sink is full: ${status.reason ?? "slow sink"}`);
    }
  }
  return reasons;
}

/** What is not as it should be, but mends itself or was chosen. */
export function warnings({ publish, forward, unsent }: SidecarState): string[] {
  const found = unsent.map(({ message }) => message);
  if (publish.lastError !== undefined && !publish.halted) {
    found.push(`publishing is tried again: ${publish.lastError}`);
  }
  for (const [signal, status] of Object.entries(forward?.signals ?? {})) {
    if (status.state !== "retrying" && status.state !== "suspended") continue;
    found.push(`forwarding of ${signal} is ${status.state}: ${status.reason ?? "no reason known"}`);
  }
  return found;
}
