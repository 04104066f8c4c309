/**
 * Sends the entries of one spool, one after another. An entry is done when the sink has taken it,
 * or when a durable control record says that it has not; nothing else ends it.
 */
import { reasonOf } from "../bytes/thrown.ts";
import type { Signal } from "../audit/otlp/schema.ts";
import { jitter, startBackoff, waitMs } from "./backoff.ts";
import type { Backoff } from "./backoff.ts";
import type { ForwardControl, SinkRejected } from "./control.ts";
import { countItems } from "./item-count.ts";
import type { ForwardClock, ForwardLog, RetryOptions } from "./options.ts";
import type { SendFailure, SendOutcome, Sink } from "./sink.ts";
import type { SpoolEntry } from "./spool-reader.ts";
import type { Spool } from "./spool.ts";

export type DeliveryState = "idle" | "sending" | "retrying" | "held";

export interface DeliveryStatus {
  state: DeliveryState;
  /** Why it is retrying or held. */
  reason: string | undefined;
  /** Unix time in milliseconds since when the state holds. */
  sinceUnixMs: number;
  /** Requests that the sink took. */
  sent: number;
  sentBytes: number;
  /** Requests that the sink did not take, or not all of. */
  rejected: number;
  /** Items that the sink says it rejected. */
  rejectedItems: number;
  retries: number;
  lastError: string | undefined;
}

export interface DeliveryOptions {
  readonly spool: Spool;
  readonly sink: Sink;
  readonly retry: RetryOptions;
  readonly clock: ForwardClock;
  readonly random: () => number;
  readonly log: ForwardLog;
  readonly onControl: (control: ForwardControl) => Promise<void>;
  /** Redacts and cuts what the sink said. */
  readonly clean: (message: string) => string;
}

/** How an entry ends: the cursor moves on, or the process stops first. */
type Ending = "taken" | "recorded" | "stopped";

interface Attempts {
  readonly startedMs: number;
  readonly backoff: Backoff;
  count: number;
}

export class Delivery {
  readonly status: DeliveryStatus;
  private readonly options: DeliveryOptions;
  private readonly signal: Signal;
  /** No new attempt. */
  private readonly stopping = new AbortController();
  /** Gives up the attempt under way. */
  private readonly aborting = new AbortController();
  private running: Promise<void> = Promise.resolve();

  constructor(options: DeliveryOptions) {
    this.options = options;
    this.signal = options.spool.signal;
    this.status = {
      state: "idle",
      reason: undefined,
      sinceUnixMs: options.clock.nowMs(),
      sent: 0,
      sentBytes: 0,
      rejected: 0,
      rejectedItems: 0,
      retries: 0,
      lastError: undefined,
    };
  }

  start(): void {
    this.running = this.run();
  }

  /** Lets the attempt under way end within `graceMs`; what is not done stays in the spool. */
  async close(graceMs: number): Promise<void> {
    this.stopping.abort();
    const timer = setTimeout(() => this.aborting.abort(), graceMs);
    await this.running;
    clearTimeout(timer);
  }

  private async run(): Promise<void> {
    const { spool } = this.options;
    const stop = this.stopping.signal;
    while (!stop.aborted) {
      try {
        if (spool.queueEntries === 0) this.enter("idle", undefined);
        const entry = await spool.head(stop);
        if (entry === undefined) return;
        const ending = await this.deliver(entry);
        if (ending === "stopped") return;
        spool.done(entry);
        // Soon durable, so that a crash does not make the sink reject the same request twice.
        if (ending === "recorded") await spool.save();
      } catch (error) {
        this.hold("spool", reasonOf(error));
        await waitMs(this.heldMs(), this.stopping.signal);
      }
    }
  }

  private async deliver(entry: SpoolEntry): Promise<Ending> {
    const { sink, retry, random, clock } = this.options;
    const body = await sink.prepare(entry.bytes);
    const attempts: Attempts = {
      startedMs: clock.monotonicMs(),
      backoff: startBackoff(retry, random),
      count: 0,
    };
    for (;;) {
      if (this.status.state === "idle") this.enter("sending", undefined);
      attempts.count++;
      const outcome = await sink.send(this.signal, body, this.aborting.signal);
      const ending = await this.judge(entry, attempts, outcome);
      if (ending !== undefined) return ending;
      if (this.stopping.signal.aborted) return "stopped";
      this.status.retries++;
    }
  }

  /** Undefined where the entry is to be sent again; the wait is over then. */
  private async judge(
    entry: SpoolEntry,
    attempts: Attempts,
    outcome: SendOutcome,
  ): Promise<Ending | undefined> {
    if (outcome.kind === "accepted") return this.accept(entry, attempts, outcome);
    if (outcome.kind === "rejected") return this.rejectAll(entry, attempts, "rejected", outcome);
    return this.waitOrExpire(entry, attempts, outcome);
  }

  private async accept(
    entry: SpoolEntry,
    attempts: Attempts,
    outcome: SendOutcome & { kind: "accepted" },
  ): Promise<Ending> {
    const { remark, status } = outcome;
    this.enter("sending", undefined);
    this.status.sent++;
    this.status.sentBytes += entry.bytes.length;
    if (remark === undefined) return "taken";
    if (remark.kind === "unreadable") {
      const { message } = remark;
      const reason = "unreadable";
      return this.reject(entry, attempts, { reason, rejectedItems: undefined, status, message });
    }
    const { rejectedItems, message } = remark;
    if (rejectedItems > 0) {
      return this.reject(entry, attempts, { reason: "partial", rejectedItems, status, message });
    }
    // Nothing was rejected: a hint to the operator, who finds it here.
    this.note(status, message);
    return "taken";
  }

  private async waitOrExpire(
    entry: SpoolEntry,
    attempts: Attempts,
    outcome: SendOutcome & { kind: "retry" | "hold" },
  ): Promise<Ending | undefined> {
    if (this.aborting.signal.aborted) return "stopped";
    const { retry, clock } = this.options;
    const delayMs = outcome.kind === "hold" ? this.heldMs() : retryMs(attempts, outcome.afterMs);
    const elapsedMs = clock.monotonicMs() - attempts.startedMs;
    const isOver = retry.maxElapsedMs > 0 && elapsedMs + delayMs > retry.maxElapsedMs;
    if (isOver || !retry.enabled) return this.rejectAll(entry, attempts, "expired", outcome);
    if (outcome.kind === "hold") this.hold(outcome.status, outcome.message);
    else this.retry(outcome, delayMs);
    await waitMs(delayMs, this.stopping.signal);
    return undefined;
  }

  private retry({ status, message }: SendFailure<string>, delayMs: number): void {
    const { maxIntervalMs, randomizationFactor } = this.options.retry;
    const noted = this.note(status, message);
    const isLong = delayMs > maxIntervalMs * (1 + randomizationFactor);
    const reason = isLong ? `${noted} (wants ${Math.round(delayMs / 1000)} s)` : noted;
    if (!this.enter("retrying", reason)) return;
    this.options.log("warn", "sink does not take requests; retrying", {
      signal: this.signal,
      reason,
    });
  }

  private rejectAll(
    entry: SpoolEntry,
    attempts: Attempts,
    reason: "rejected" | "expired",
    { status, message }: SendFailure<string>,
  ): Promise<Ending> {
    const rejectedItems = countItems(this.signal, entry.bytes);
    return this.reject(entry, attempts, { reason, rejectedItems, status, message });
  }

  /** Appends the control record; the entry is done once that is durable. */
  private async reject(
    entry: SpoolEntry,
    attempts: Attempts,
    verdict: Pick<SinkRejected, "reason" | "rejectedItems" | "status" | "message">,
  ): Promise<Ending> {
    const message = this.options.clean(verdict.message);
    const isRecorded = await this.record({
      kind: "sink_rejected",
      signal: this.signal,
      first: entry.first,
      end: entry.end,
      reason: verdict.reason,
      status: verdict.status,
      rejectedItems: verdict.rejectedItems,
      message,
      requestBytes: entry.bytes.length,
      attempts: attempts.count,
    });
    if (!isRecorded) return "stopped";
    this.enter("sending", undefined);
    this.status.rejected++;
    this.status.rejectedItems += verdict.rejectedItems ?? 0;
    this.note(verdict.status, verdict.message);
    return "recorded";
  }

  /** Repeats until the log took the record; false where the process stops before that. */
  private async record(control: ForwardControl): Promise<boolean> {
    const { onControl, retry, random } = this.options;
    const backoff = startBackoff(retry, random);
    for (;;) {
      const stopped = waitAbort(this.aborting.signal);
      try {
        return await Promise.race([onControl(control).then(() => true), stopped.promise]);
      } catch (error) {
        const cause = reasonOf(error);
        this.enter("retrying", `a sink's rejection could not be recorded: ${cause}`);
      } finally {
        stopped.release();
      }
      await waitMs(backoff.nextMs(), this.stopping.signal);
      if (this.stopping.signal.aborted) return false;
    }
  }

  private hold(status: string, message: string): void {
    const reason = this.note(status, message);
    if (!this.enter("held", reason)) return;
    this.options.log("error", "sink refuses; its queue is held until that changes", {
      signal: this.signal,
      reason,
    });
  }

  private heldMs(): number {
    const { retry, random } = this.options;
    return jitter(retry.maxIntervalMs, retry.randomizationFactor, random);
  }

  private note(status: string, message: string): string {
    const clean = this.options.clean(message);
    const text = clean === "" ? status : `${status}: ${clean}`;
    this.status.lastError = text;
    return text;
  }

  /** True where the state changed. */
  private enter(state: DeliveryState, reason: string | undefined): boolean {
    const { status, options } = this;
    const previous = status.state;
    status.reason = reason;
    if (previous === state) return false;
    status.state = state;
    status.sinceUnixMs = options.clock.nowMs();
    if (state === "sending" && (previous === "held" || previous === "retrying")) {
      options.log("info", "sink takes requests again", { signal: this.signal });
    }
    return true;
  }
}

/** Not sooner than the sink wants it. */
function retryMs({ backoff }: Attempts, afterMs = 0): number {
  return Math.max(backoff.nextMs(), afterMs);
}

/** Resolves to false when `signal` is aborted. */
function waitAbort(signal: AbortSignal): { promise: Promise<false>; release: () => void } {
  let release = (): void => undefined;
  const promise = new Promise<false>((resolve) => {
    const stop = (): void => resolve(false);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop);
    release = () => signal.removeEventListener("abort", stop);
  });
  return { promise, release };
}
