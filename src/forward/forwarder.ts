/**
 * Forwards redacted requests to the operator's sink. It follows the ledger: entries are staged
 * before the log is written, sent after the log is durable, and kept until the sink has them.
 */
import { reasonOf } from "../bytes/thrown.ts";
import { SIGNALS } from "../audit/otlp/schema.ts";
import type { Signal } from "../audit/otlp/schema.ts";
import type { CommitFollower, StagedEntry } from "../ledger/follower.ts";
import { spoolCacheBytesMax, spoolCursorIntervalMs, spoolSegmentBytesMax } from "../limits.ts";
import { Delivery } from "./delivery.ts";
import type { DeliveryStatus } from "./delivery.ts";
import { ForwardError } from "./forward-error.ts";
import { frameBytes, writeSize } from "./frame.ts";
import { forwardClock } from "./options.ts";
import type { ForwardClock, ForwarderOptions } from "./options.ts";
import { cleanMessage } from "./sink-answer.ts";
import { openSink } from "./open-sink.ts";
import type { Sink } from "./sink.ts";
import { Spool } from "./spool.ts";
import { Suspender } from "./suspension.ts";

interface Admission {
  /** To be called when the request was committed or refused. */
  release(): void;
}

type ForwardState = "idle" | "sending" | "retrying" | "held" | "suspended";

export interface SignalStatus extends Omit<DeliveryStatus, "state"> {
  readonly state: ForwardState;
  readonly queueBytes: number;
  readonly queueBytesMax: number;
  readonly queueEntries: number;
  /** Requests like the last one that was refused would be refused now. */
  readonly isFull: boolean;
  /** Age of the oldest request that waits. */
  readonly oldestAgeMs: number | undefined;
  /** Requests that were not spooled because forwarding was suspended. */
  readonly skipped: number;
}

/** Signals without an endpoint are missing. */
export type ForwarderStatus = Readonly<Partial<Record<Signal, SignalStatus>>>;

export interface Forwarder extends CommitFollower {
  /** The smallest size that the log must have; a shorter log was truncated. */
  readonly knownSize: number;
  /**
   * To be called once, with the size of the log after its recovery and before anything is appended
   * to it: entries that were never acknowledged are cut off.
   *
   * @throws ForwardError `log_truncated` where the log is shorter than `knownSize`
   */
  recover(logSize: number): Promise<void>;
  /** Begins to send. */
  start(): void;
  /**
   * Keeps room for one request until it is released. To be asked before the request goes to the
   * ledger, because a full queue found by `stage` refuses all requests of the group, those of other
   * signals among them.
   *
   * @throws ForwardError `spool_full` where the queue of the signal has no room
   */
  admit(signal: Signal, bytes: number): Admission;
  status(): ForwarderStatus;
  /** Lets the sending under way end within `graceMs`; the rest stays in the spool. */
  close(graceMs: number): Promise<void>;
}

/**
 * @throws ForwardError `bad_option`, or `spool_damaged` where entries that were once durable are
 *   not whole
 */
export async function openForwarder(options: ForwarderOptions): Promise<Forwarder> {
  const clock = forwardClock(options.clock);
  const sink = await openSink(options);
  const lanes = new Map<Signal, Lane>();
  try {
    for (const signal of sink.signals)
      lanes.set(signal, await openLane(signal, sink, { ...options, clock }));
  } catch (error) {
    await sink.close();
    throw error;
  }
  return new SpoolForwarder(options, sink, lanes);
}

/** Everything that belongs to one signal. */
interface Lane {
  readonly spool: Spool;
  readonly delivery: Delivery;
  readonly suspender: Suspender;
  reservedBytes: number;
  /** What the last request would have taken that found no room; 0 before there was one. */
  refusedBytes: number;
}

type LaneOptions = Omit<ForwarderOptions, "clock"> & { readonly clock: ForwardClock };

async function openLane(signal: Signal, sink: Sink, options: LaneOptions): Promise<Lane> {
  const { clock, random, log, onControl, files, directory, retry, queueBytesMax } = options;
  const spool = await Spool.open({
    signal,
    directory,
    files,
    segmentBytesMax: options.segmentBytesMax ?? spoolSegmentBytesMax,
    cacheBytesMax: options.cacheBytesMax ?? spoolCacheBytesMax,
  });
  const clean = (message: string): string => cleanMessage(message, options.redactMessage);
  const shared = { spool, retry, clock, random, log, onControl };
  return {
    spool,
    delivery: new Delivery({ ...shared, sink, clean }),
    suspender: new Suspender({ ...shared, queueBytesMax }),
    reservedBytes: 0,
    refusedBytes: 0,
  };
}

/** A stage whose group is not committed yet. */
interface OpenStage {
  readonly id: number;
  readonly group: number;
  /** The log size that commits it. */
  readonly end: number;
  /** Entries that were left out because forwarding is suspended. */
  readonly skipped: readonly (readonly [Lane, readonly StagedEntry[]])[];
}

class SpoolForwarder implements Forwarder {
  private readonly options: ForwarderOptions;
  private readonly clock: ForwardClock;
  private readonly sink: Sink;
  private readonly lanes: ReadonlyMap<Signal, Lane>;
  private readonly queueBytesMax: number;
  private isUnproven = false;
  private openStages: OpenStage[] = [];
  private stageId = 0;
  private queue: Promise<void> = Promise.resolve();
  private saving: NodeJS.Timeout | undefined;
  private state: "opened" | "recovered" | "started" | "closed" = "opened";

  constructor(options: ForwarderOptions, sink: Sink, lanes: ReadonlyMap<Signal, Lane>) {
    this.options = options;
    this.clock = forwardClock(options.clock);
    this.sink = sink;
    this.lanes = lanes;
    this.queueBytesMax = options.queueBytesMax;
  }

  get knownSize(): number {
    return Math.max(0, ...this.all().map(({ spool }) => spool.knownSize));
  }

  recover(logSize: number): Promise<void> {
    return this.inTurn(async () => {
      if (this.state !== "opened") return;
      if (logSize < this.knownSize) {
        throw new ForwardError(
          "log_truncated",
          `the spool ${this.options.directory} knows a log of at least ${this.knownSize} ` +
            `records, this one has ${logSize}: it was truncated or is an older copy`,
          { remedy: "restore the newest ledger, or move the spool aside to give up what it holds" },
        );
      }
      for (const { spool } of this.all()) {
        const found = await spool.recover(logSize);
        if (found.entriesDropped === 0 && !found.hadTornEnd) continue;
        this.options.log("warn", "the spool's unacknowledged end was cut off", {
          signal: spool.signal,
          ...found,
        });
      }
      this.state = "recovered";
    });
  }

  start(): void {
    if (this.state === "opened") throw notRecovered();
    if (this.state !== "recovered") return;
    this.state = "started";
    for (const { delivery, suspender } of this.all()) {
      delivery.start();
      suspender.start();
    }
    const intervalMs = this.options.cursorIntervalMs ?? spoolCursorIntervalMs;
    this.saving = setInterval(() => void this.tick(), intervalMs).unref();
  }

  admit(signal: Signal, bytes: number): Admission {
    const lane = this.lanes.get(signal);
    if (lane === undefined || this.options.onFull === "suspend")
      return { release: () => undefined };
    const size = frameBytes(bytes);
    if (!this.hasRoom(lane, size)) throw this.full(lane, size);
    lane.reservedBytes += size;
    let isHeld = true;
    return {
      release: () => {
        if (isHeld) lane.reservedBytes -= size;
        isHeld = false;
      },
    };
  }

  /** An empty queue takes anything. */
  private hasRoom({ spool, reservedBytes }: Lane, bytes: number): boolean {
    const isIdle = spool.queueEntries === 0 && reservedBytes === 0;
    return isIdle || spool.queueBytes + reservedBytes + bytes <= this.queueBytesMax;
  }

  stage(group: number, entries: readonly StagedEntry[]): Promise<void> {
    return this.inTurn(async () => {
      const bySignal = SIGNALS.map((signal) => entries.filter((entry) => entry.signal === signal));
      const wanted = bySignal.flatMap((own): [Lane, StagedEntry[]][] => {
        const lane = own[0] && this.lanes.get(own[0].signal);
        return lane === undefined ? [] : [[lane, own]];
      });
      if (wanted.length > 0) await this.stageAll(group, wanted);
    });
  }

  private async stageAll(group: number, wanted: [Lane, StagedEntry[]][]): Promise<void> {
    if (this.state === "opened") throw notRecovered();
    if (this.state === "closed") throw new ForwardError("closed", "the forwarder is closed");
    const skipped = await this.checkRoom(group, wanted);
    const id = ++this.stageId;
    const stagedUnixMs = this.clock.nowMs();
    const written = wanted.filter(([lane]) => !skipped.some(([other]) => other === lane));
    const end = wanted
      .flatMap(([, own]) => own)
      .reduce((max, own) => Math.max(max, own.end), group);
    // Noted first: where one lane fails, all of them are rolled back.
    this.openStages.push({ id, group, end, skipped });
    const results = await Promise.allSettled(
      written.map(([{ spool }, own]) => spool.stage(own, { stage: id, group, stagedUnixMs })),
    );
    const failed = results.find((result) => result.status === "rejected");
    if (failed === undefined) return;
    this.isUnproven = true;
    throw spoolFailed(failed.reason);
  }

  /** The lanes that have no room: left out where that is chosen, else the group is refused. */
  private async checkRoom(
    group: number,
    wanted: readonly [Lane, StagedEntry[]][],
  ): Promise<[Lane, StagedEntry[]][]> {
    const full = wanted.filter(([{ suspender }, own]) => !suspender.hasRoom(writeSize(own)));
    const [first] = full;
    if (first !== undefined && this.options.onFull !== "suspend") {
      throw this.full(first[0], writeSize(first[1]));
    }
    for (const [{ suspender }] of full) await wrapFailure(suspender.begin(group));
    return full;
  }

  committed(size: number): void {
    if (this.state === "opened") throw notRecovered();
    for (const { spool } of this.all()) spool.commit(size);
    for (const stage of this.openStages) {
      if (stage.end > size) continue;
      for (const [{ suspender }, entries] of stage.skipped) suspender.count(entries);
    }
    this.openStages = this.openStages.filter((stage) => stage.end > size);
  }

  rollBack(group: number): Promise<void> {
    return this.inTurn(async () => {
      const at = this.openStages.findLastIndex((stage) => stage.group === group);
      const undone = at < 0 ? [] : this.openStages.splice(at);
      const from = undone[0]?.id ?? Number.POSITIVE_INFINITY;
      const results = await Promise.allSettled(this.all().map(({ spool }) => spool.undo(from)));
      const failed = results.find((result) => result.status === "rejected");
      if (failed !== undefined) throw spoolFailed(failed.reason);
      if (this.isUnproven) await this.proveWriting();
    });
  }

  /** After a failed write: nobody is told that all is well again before a write has shown it. */
  private async proveWriting(): Promise<void> {
    for (const { spool } of this.all()) {
      spool.touch();
      await wrapFailure(spool.save());
    }
    this.isUnproven = false;
  }

  status(): ForwarderStatus {
    const nowMs = this.clock.nowMs();
    const status: Partial<Record<Signal, SignalStatus>> = {};
    for (const [signal, lane] of this.lanes) {
      const { spool, delivery, suspender, refusedBytes } = lane;
      const suspension = suspender.current;
      status[signal] = {
        ...delivery.status,
        ...(suspension !== undefined && {
          state: "suspended",
          reason: `the queue is full; the sink: ${delivery.status.reason ?? delivery.status.state}`,
          sinceUnixMs: suspension.sinceUnixMs,
        }),
        queueBytes: spool.queueBytes,
        queueBytesMax: this.queueBytesMax,
        queueEntries: spool.queueEntries,
        isFull: refusedBytes > 0 && !this.hasRoom(lane, refusedBytes),
        oldestAgeMs:
          spool.oldestUnixMs === undefined ? undefined : Math.max(0, nowMs - spool.oldestUnixMs),
        skipped: suspender.skipped,
      };
    }
    return status;
  }

  async close(graceMs: number): Promise<void> {
    if (this.state === "closed") return;
    this.state = "closed";
    clearInterval(this.saving);
    await Promise.all(
      this.all().map(({ delivery, suspender }) =>
        Promise.all([delivery.close(graceMs), suspender.close(graceMs)]),
      ),
    );
    await this.sink.close();
    await this.inTurn(async () => {
      for (const { spool } of this.all()) await wrapFailure(spool.close());
    });
  }

  private all(): Lane[] {
    return [...this.lanes.values()];
  }

  private full(lane: Lane, bytes: number): ForwardError {
    lane.refusedBytes = bytes;
    const { signal, queueBytes, queueEntries } = lane.spool;
    return new ForwardError(
      "spool_full",
      `the queue of ${signal} for the sink is full: ${queueEntries} requests of ${queueBytes} ` +
        `bytes wait, sending_queue.queue_size is ${this.queueBytesMax}; the sink is ` +
        (lane.delivery.status.reason ?? lane.delivery.status.state),
    );
  }

  private async tick(): Promise<void> {
    for (const { spool, suspender } of this.all()) {
      // Requests that a stage has left out are counted at its commit.
      if (this.openStages.length === 0) suspender.resumeIfDrained();
      try {
        await spool.save();
      } catch (error) {
        this.options.log("error", "the spool could not be written; trying again", {
          signal: spool.signal,
          reason: reasonOf(error),
        });
      }
    }
  }

  /** Stages and what undoes them never overlap. */
  private inTurn<Value>(action: () => Promise<Value>): Promise<Value> {
    const result = this.queue.then(action);
    this.queue = result.then(
      () => undefined,
      () => undefined,
    );
    return result;
  }
}

function notRecovered(): ForwardError {
  return new ForwardError(
    "not_recovered",
    "the forwarder was used before recover(), which needs the size of the log after its recovery " +
      "and before anything is appended",
  );
}

function spoolFailed(cause: unknown): ForwardError {
  const reason = reasonOf(cause);
  return new ForwardError("spool_failed", `writing the spool failed: ${reason}`, { cause });
}

async function wrapFailure(action: Promise<void>): Promise<void> {
  try {
    await action;
  } catch (error) {
    throw spoolFailed(error);
  }
}
