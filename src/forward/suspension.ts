/**
 * `on_full: suspend`: while the queue of a signal is full, requests are recorded but not spooled.
 * Each such time is durable before its first request is left out, and has two control records.
 */
import { reasonOf } from "../bytes/thrown.ts";
import { waitMs, startBackoff } from "./backoff.ts";
import type { ForwardControl } from "./control.ts";
import type { Suspension } from "./cursor.ts";
import type { StagedEntry } from "../ledger/follower.ts";
import { countItems } from "./item-count.ts";
import type { ForwardClock, ForwardLog, RetryOptions } from "./options.ts";
import type { Spool } from "./spool.ts";

/** Below this part of the bound entries are spooled again, so that it does not flap. */
const resumeBelow = 0.5;
/** Written ones that wait for their control records. */
const openSuspensionsMax = 2;

export interface SuspenderOptions {
  readonly spool: Spool;
  readonly queueBytesMax: number;
  readonly clock: ForwardClock;
  readonly random: () => number;
  readonly retry: RetryOptions;
  readonly log: ForwardLog;
  readonly onControl: (control: ForwardControl) => Promise<void>;
}

export class Suspender {
  private readonly options: SuspenderOptions;
  private readonly stopping = new AbortController();
  private recording: Promise<void> | undefined;
  /** Its end is being recorded, so it cannot go on. */
  private closing: Suspension | undefined;
  /** Requests left out since the process started. */
  skipped = 0;

  constructor(options: SuspenderOptions) {
    this.options = options;
  }

  /** The one that entries are being left out for. */
  get current(): Suspension | undefined {
    const last = this.options.spool.suspensions.at(-1);
    return last !== undefined && !last.over ? last : undefined;
  }

  /** Records what an earlier process left unrecorded. */
  start(): void {
    this.wake();
  }

  /** Is there room for `bytes` more? Ends the suspension where there is enough again. */
  hasRoom(bytes: number): boolean {
    const { spool, queueBytesMax } = this.options;
    const { current } = this;
    if (current === undefined) return !spool.isFull(bytes, queueBytesMax);
    if (spool.queueBytes > queueBytesMax * resumeBelow || spool.isFull(bytes, queueBytesMax)) {
      return false;
    }
    this.resume();
    return true;
  }

  /** Ends the suspension, if the queue has drained far enough. */
  resumeIfDrained(): void {
    if (this.current !== undefined) this.hasRoom(0);
  }

  /** Begins a suspension; it is durable when this resolves. */
  async begin(firstIndex: number): Promise<void> {
    const { spool, clock, log } = this.options;
    if (this.current !== undefined) return;
    const { suspensions } = spool;
    const latest = suspensions.at(-1);
    // The log has not taken the records of the latest one yet: it goes on instead.
    const goesOn = suspensions.length >= openSuspensionsMax && latest !== this.closing;
    if (goesOn) latest!.over = false;
    else suspensions.push(newSuspension(clock.nowMs(), firstIndex));
    spool.touch();
    try {
      await spool.save();
    } catch (error) {
      // Not durable, so nothing may be left out yet.
      if (goesOn) latest!.over = true;
      else suspensions.pop();
      throw error;
    }
    log("warn", "the queue is full: forwarding is suspended", { signal: spool.signal });
    this.wake();
  }

  /** Counts requests that were left out, once their group is committed. */
  count(entries: readonly StagedEntry[]): void {
    const { current } = this;
    if (current === undefined) return;
    for (const entry of entries) {
      current.entries++;
      current.bytes += entry.bytes.length;
      current.items += countItems(entry.signal, entry.bytes);
      current.end = Math.max(current.end, entry.end);
      this.skipped++;
    }
    this.options.spool.touch();
  }

  /** Waits for a control record under way; one that comes later is written after the restart. */
  async close(graceMs: number): Promise<void> {
    this.stopping.abort();
    if (this.recording === undefined) return;
    const over = new AbortController();
    await Promise.race([this.recording, waitMs(graceMs, over.signal)]);
    over.abort();
  }

  private resume(): void {
    const { spool, log } = this.options;
    this.current!.over = true;
    spool.touch();
    log("info", "the queue has room: forwarding goes on", { signal: spool.signal });
    this.wake();
  }

  private wake(): void {
    this.recording ??= this.recordAll().finally(() => {
      this.recording = undefined;
    });
  }

  /** Outside of `stage`: a control record waits for the very sequencer that waits for `stage`. */
  private async recordAll(): Promise<void> {
    const { spool, retry, random } = this.options;
    const stop = this.stopping.signal;
    const backoff = startBackoff(retry, random);
    while (!stop.aborted) {
      const oldest = spool.suspensions[0];
      if (oldest === undefined || (oldest.startRecorded && !oldest.over)) return;
      try {
        await this.recordOne(oldest);
      } catch (error) {
        this.options.log("warn", "a suspension could not be recorded yet", {
          signal: spool.signal,
          reason: reasonOf(error),
        });
        await waitMs(backoff.nextMs(), stop);
      }
    }
  }

  private async recordOne(suspension: Suspension): Promise<void> {
    const { spool, onControl } = this.options;
    if (suspension.startRecorded) {
      this.closing = suspension;
      await onControl(control(spool, suspension, "end"));
      spool.suspensions.shift();
      this.closing = undefined;
    } else {
      await onControl(control(spool, suspension, "start"));
      suspension.startRecorded = true;
    }
    spool.touch();
    await spool.save();
  }
}

function newSuspension(sinceUnixMs: number, firstIndex: number): Suspension {
  return {
    sinceUnixMs,
    entries: 0,
    bytes: 0,
    items: 0,
    first: firstIndex,
    end: firstIndex,
    startRecorded: false,
    over: false,
    countsComplete: true,
  };
}

function control(spool: Spool, suspension: Suspension, phase: "start" | "end"): ForwardControl {
  const { sinceUnixMs, first, end, entries, bytes, items, countsComplete } = suspension;
  const isEnd = phase === "end";
  return {
    kind: "forwarding_suspended",
    signal: spool.signal,
    phase,
    sinceUnixMs,
    entries: isEnd ? entries : 0,
    bytes: isEnd ? bytes : 0,
    items: isEnd ? items : 0,
    first,
    end: isEnd ? end : first,
    countsComplete,
  };
}
