/**
 * The queue of one signal: durable entries that wait for the sink, in the order in which they were
 * staged. An entry may be sent once its group is committed, and is kept until it is done.
 */
import { join } from "node:path";
import type { Signal } from "../audit/otlp/schema.ts";
import { pool } from "../bytes/pool.ts";
import type { Files } from "../ledger/files.ts";
import type { StagedEntry } from "../ledger/follower.ts";
import { encodeCursor } from "./cursor.ts";
import type { Suspension } from "./cursor.ts";
import { ForwardError } from "./forward-error.ts";
import { frameBytes, writeSize } from "./frame.ts";
import { checkTornEnd, cursorPath, loadSpool } from "./spool-load.ts";
import type { LoadedSpool } from "./spool-load.ts";
import { SpoolReader } from "./spool-reader.ts";
import type { SpoolEntry } from "./spool-reader.ts";
import { SpoolSegments, spoolFileMode } from "./spool-segments.ts";
import type { SpoolPosition } from "./spool-segments.ts";

const directoryMode = 0o700;

export interface SpoolOptions {
  readonly signal: Signal;
  /** The folder of all spools; this one's is below it. */
  readonly directory: string;
  readonly files: Files;
  readonly segmentBytesMax: number;
  readonly cacheBytesMax: number;
}

export interface StageContext {
  /** Rises with each stage: several groups without records share one `group`. */
  readonly stage: number;
  readonly group: number;
  readonly stagedUnixMs: number;
}

/** Entries of one group that wait for its commit. */
interface PendingWrite {
  readonly stage: number;
  /** The log size at which all of them are committed. */
  readonly end: number;
  readonly start: SpoolPosition;
  readonly bytes: number;
}

export class Spool {
  readonly signal: Signal;
  readonly directory: string;
  private readonly files: Files;
  private readonly segments: SpoolSegments;
  private readonly reader: SpoolReader;
  private readonly loaded: LoadedSpool;
  private pending: PendingWrite[] = [];
  /** Number of the next entry to send, and what of that is on disk. */
  private next: number;
  private nextOnDisk: number;
  /** Entries below this number may be sent. */
  private committedNext: number;
  private logSize: number;
  private recovered = false;
  private dirty = false;
  private saving: Promise<void> | undefined;
  private readonly waiters = new Set<() => void>();
  /** Kept with the cursor; `save` makes changes durable. */
  readonly suspensions: Suspension[];
  queueBytes: number;
  oldestUnixMs: number | undefined;

  private constructor(options: SpoolOptions, directory: string, loaded: LoadedSpool) {
    this.signal = options.signal;
    this.directory = directory;
    this.files = options.files;
    this.loaded = loaded;
    this.segments = new SpoolSegments({ ...options, directory }, loaded.segments, loaded.next);
    this.reader = new SpoolReader(options.files, options.cacheBytesMax);
    this.next = loaded.cursor.next;
    this.nextOnDisk = this.next;
    this.committedNext = loaded.cursor.next;
    this.logSize = loaded.cursor.logSize;
    this.suspensions = loaded.cursor.suspensions.map((suspension) => ({ ...suspension }));
    this.queueBytes = loaded.queueBytes;
    this.oldestUnixMs = loaded.oldestUnixMs;
  }

  /** @throws ForwardError `spool_damaged` */
  static async open(options: SpoolOptions): Promise<Spool> {
    const directory = join(options.directory, options.signal);
    await options.files.makeDirectory(directory, directoryMode);
    return new Spool(options, directory, await loadSpool(options.files, directory));
  }

  /** The log cannot be shorter than this. */
  get knownSize(): number {
    return this.recovered ? this.logSize : this.loaded.knownSize;
  }

  get queueEntries(): number {
    return this.segments.next - this.next;
  }

  /**
   * Cuts back what was never acknowledged: a torn end, and entries of a group that the log does not
   * hold. What is left is durable and may be sent.
   *
   * @param logSize records of the log after its own recovery, before it appends anything
   */
  async recover(logSize: number): Promise<{ entriesDropped: number; hadTornEnd: boolean }> {
    const { candidates, torn, next } = this.loaded;
    if (torn !== undefined) checkTornEnd(torn, logSize);
    const cut = candidates.find(({ end }) => end > logSize) ?? torn?.at;
    if (cut !== undefined) {
      this.queueBytes -= this.segments.bytesFrom(cut);
      // First: a write that ends early is whole to the next start only by this number.
      this.committedNext = Math.max(this.committedNext, cut.number);
      this.dirty = true;
      await this.save();
      await this.takeBack(cut);
    }
    await this.segments.syncLast();
    if (this.queueEntries === 0) this.oldestUnixMs = undefined;
    this.committedNext = this.segments.next;
    this.logSize = logSize;
    this.recovered = true;
    this.markLost(logSize);
    this.dirty = true;
    await this.save();
    return { entriesDropped: next - this.segments.next, hadTornEnd: torn !== undefined };
  }

  /** A crash ended a suspension: what it counted since the last save is unknown. */
  private markLost(logSize: number): void {
    for (const suspension of this.suspensions) {
      if (suspension.over) continue;
      suspension.over = true;
      suspension.countsComplete = false;
      suspension.end = Math.max(suspension.end, logSize);
    }
  }

  /** Would that many more bytes exceed the bound? An empty queue takes anything. */
  isFull(bytes: number, queueBytesMax: number): boolean {
    return this.queueEntries > 0 && this.queueBytes + bytes > queueBytesMax;
  }

  /**
   * Writes the entries of one stage durably; they wait for `commit` or `undo`. They are sent from
   * memory where the sink keeps up.
   */
  async stage(entries: readonly StagedEntry[], context: StageContext): Promise<void> {
    const { stage, group, stagedUnixMs } = context;
    const start = await this.segments.append(group, entries, stagedUnixMs);
    this.reader.remember(entries, start.number, stagedUnixMs);
    const end = entries.reduce((highest, entry) => Math.max(highest, entry.end), group);
    const bytes = writeSize(entries);
    this.pending.push({ stage, end, start, bytes });
    this.queueBytes += bytes;
    this.oldestUnixMs ??= stagedUnixMs;
  }

  /**
   * Takes back what stage `stage` and later ones wrote and is not committed, durably; rejects where
   * the file system refuses. What an earlier call could not take back is gone too on return.
   */
  async undo(stage: number): Promise<void> {
    const at = this.pending.findIndex((write) => write.stage >= stage);
    if (at < 0) return this.segments.repair();
    const undone = this.pending.splice(at);
    for (const write of undone) this.queueBytes -= write.bytes;
    await this.takeBack(undone[0]!.start);
    if (this.queueEntries === 0) this.oldestUnixMs = undefined;
  }

  commit(size: number): void {
    this.logSize = Math.max(this.logSize, size);
    this.dirty = true;
    const open = this.pending.findIndex((write) => write.end > size);
    const done = open < 0 ? this.pending.length : open;
    if (done === 0) return;
    this.pending.splice(0, done);
    this.committedNext = this.pending[0]?.start.number ?? this.segments.next;
    for (const wake of this.waiters) wake();
  }

  /** The next entry to send; waits for one. Undefined once `stop` is aborted. */
  async head(stop: AbortSignal): Promise<SpoolEntry | undefined> {
    while (this.next >= this.committedNext) {
      if (stop.aborted) return undefined;
      await this.change(stop);
    }
    if (stop.aborted) return undefined;
    const segment = this.segments.segmentOf(this.next);
    if (segment === undefined) {
      throw new ForwardError(
        "spool_damaged",
        `reading the spool ${this.directory}: entry ${this.next} is not in any of its files`,
      );
    }
    const entry = await this.reader.read(this.next, segment, this.committedNext);
    this.oldestUnixMs = entry.stagedUnixMs;
    return entry;
  }

  /** The entry need not be sent again. */
  done(entry: SpoolEntry): void {
    this.next = entry.number + 1;
    this.queueBytes -= frameBytes(entry.bytes.length);
    this.reader.forget(entry.number);
    pool.release(entry.bytes);
    this.dirty = true;
    if (this.queueEntries > 0) return;
    this.oldestUnixMs = undefined;
    this.reader.release();
  }

  /** Makes the cursor durable where it moved, then removes files whose entries are all done. */
  async save(): Promise<void> {
    while (this.saving !== undefined) await this.saving.catch(() => undefined);
    if (!this.dirty) return;
    this.saving = this.write().finally(() => {
      this.saving = undefined;
    });
    await this.saving;
  }

  /** To be called when nothing else is under way. */
  async close(): Promise<void> {
    if (this.recovered) {
      await this.save();
      if (this.queueEntries === 0) await this.segments.removeBelow(this.nextOnDisk, true);
    }
    await this.segments.close();
  }

  /** Marks what `save` must write although the cursor did not move. */
  touch(): void {
    this.dirty = true;
  }

  private async write(): Promise<void> {
    this.dirty = false;
    const { next, committedNext: committed, logSize, suspensions } = this;
    try {
      const bytes = encodeCursor({ next, committed, logSize, suspensions });
      await this.files.replace(cursorPath(this.directory), bytes, spoolFileMode);
      // Only now: a cursor that names a removed entry would look like a loss.
      this.nextOnDisk = next;
      await this.segments.removeBelow(next, false);
    } catch (error) {
      this.dirty = true;
      throw error;
    }
  }

  private async takeBack(start: SpoolPosition): Promise<void> {
    this.reader.forgetFrom(start.number);
    await this.segments.cutBack(start);
  }

  private change(stop: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      const wake = (): void => {
        this.waiters.delete(wake);
        stop.removeEventListener("abort", wake);
        resolve();
      };
      this.waiters.add(wake);
      stop.addEventListener("abort", wake);
    });
  }
}
