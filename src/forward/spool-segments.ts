/**
 * The files of one spool, written at the end only. A file is named by the number of its first
 * entry. Every change is durable when its promise resolves.
 */
import { join } from "node:path";
import { isCode } from "../bytes/thrown.ts";
import { blockBytes, blockMemory } from "../bytes/block-memory.ts";
import type { AppendFile, Files } from "../ledger/files.ts";
import type { StagedEntry } from "../ledger/follower.ts";
import { encodeWrite, writeSize } from "./frame.ts";

const suffix = ".spool";
const numberDigits = 16;
export const spoolFileMode = 0o600;

export interface Segment {
  readonly path: string;
  /** Number of its first entry. */
  readonly first: number;
  /** Bytes that were written and synced. */
  bytes: number;
}

/** A place between two entries. */
export interface SpoolPosition {
  readonly segment: Segment;
  readonly offset: number;
  /** Number of the entry that begins here. */
  readonly number: number;
}

export interface SegmentsOptions {
  readonly directory: string;
  readonly files: Files;
  readonly segmentBytesMax: number;
}

/** Kept for the next write: fresh memory costs more than the copy into it. */
const scratchBytesKept = 4 * 1024 * 1024;

export class SpoolSegments {
  private readonly options: SegmentsOptions;
  /** Oldest first. */
  readonly list: Segment[];
  /** Number of the next entry. */
  next: number;
  private active: AppendFile | undefined;
  private scratch: Buffer = Buffer.alloc(0);
  /** Set while the files hold something after this place that nobody may rely on. */
  private spoiltFrom: SpoolPosition | undefined;

  /** @param list the files that are there, oldest first */
  constructor(options: SegmentsOptions, list: Segment[], next: number) {
    this.options = options;
    this.list = list;
    this.next = next;
  }

  /**
   * Appends one group's entries by one write and one sync. Where that fails, nothing of it is
   * counted, and what it left is cut back by `repair`, at the latest before the next write.
   */
  async append(
    group: number,
    entries: readonly StagedEntry[],
    stagedUnixMs: number,
  ): Promise<SpoolPosition> {
    await this.repair();
    const { file, segment } = await this.fileToWrite();
    const start: SpoolPosition = { segment, offset: segment.bytes, number: this.next };
    const context = { number: this.next, group, stagedUnixMs, writeStart: start.offset };
    const frames = encodeWrite(entries, context, this.scratchOf(writeSize(entries), start.offset));
    this.spoiltFrom = start;
    await file.write(frames, start.offset);
    await file.sync();
    this.spoiltFrom = undefined;
    segment.bytes += frames.length;
    this.next += entries.length;
    return start;
  }

  /** Takes back everything from `start` on. After a rejection `repair` must succeed first. */
  async cutBack(start: SpoolPosition): Promise<void> {
    const isEarlier = this.spoiltFrom === undefined || start.number < this.spoiltFrom.number;
    if (isEarlier) this.spoiltFrom = start;
    await this.repair();
  }

  /** Cuts back what an earlier failure left. Rejects where the file system still refuses. */
  async repair(): Promise<void> {
    const start = this.spoiltFrom;
    if (start === undefined) return;
    await this.closeActive();
    while (this.list.at(-1) !== start.segment) {
      await this.removeFile(this.list.at(-1)!.path);
      this.list.pop();
    }
    const { segment, offset } = start;
    if (offset === 0) {
      await this.removeFile(segment.path);
      this.list.pop();
    } else await this.truncate(segment.path, offset);
    segment.bytes = offset;
    this.next = start.number;
    this.spoiltFrom = undefined;
  }

  /** Syncs the newest file, which a killed process may have left unsynced. */
  async syncLast(): Promise<void> {
    const last = this.list.at(-1);
    if (last === undefined) return;
    this.active ??= await this.options.files.openAppend(last.path, spoolFileMode);
    await this.active.sync();
  }

  /** Removes files all of whose entries are below `number`; the newest only on request. */
  async removeBelow(number: number, withNewest: boolean): Promise<void> {
    for (;;) {
      const [oldest, following] = this.list;
      if (oldest === undefined || this.spoiltFrom !== undefined) return;
      if (following === undefined && !withNewest) return;
      if ((following?.first ?? this.next) > number) return;
      if (following === undefined) await this.closeActive();
      await this.removeFile(oldest.path);
      this.list.shift();
    }
  }

  /** Bytes of the entries from `start` on. */
  bytesFrom(start: SpoolPosition): number {
    const at = this.list.indexOf(start.segment);
    const later = this.list.slice(at + 1).reduce((sum, { bytes }) => sum + bytes, 0);
    return start.segment.bytes - start.offset + later;
  }

  /** The file that holds entry `number`. */
  segmentOf(number: number): Segment | undefined {
    return this.list.findLast((segment) => segment.first <= number);
  }

  async close(): Promise<void> {
    await this.closeActive();
  }

  private async fileToWrite(): Promise<{ file: AppendFile; segment: Segment }> {
    const { files, directory, segmentBytesMax } = this.options;
    const last = this.list.at(-1);
    if (last !== undefined && this.active !== undefined && last.bytes < segmentBytesMax) {
      return { file: this.active, segment: last };
    }
    await this.closeActive();
    const path = segmentPath(directory, this.next);
    const file = await files.openAppend(path, spoolFileMode);
    try {
      await files.syncDirectory(directory);
      // A file that an earlier attempt could not remove.
      if ((await file.size()) > 0) await file.truncate(0);
    } catch (error) {
      await file.close();
      throw error;
    }
    this.active = file;
    const segment = { path, first: this.next, bytes: 0 };
    this.list.push(segment);
    return { file, segment };
  }

  /** Writes follow one another, so one buffer serves them. Frames lie there as in the file. */
  private scratchOf(size: number, position: number): Buffer {
    const start = position % blockBytes;
    const end = start + size;
    if (end > scratchBytesKept) return blockMemory(end).subarray(start, end);
    if (end > this.scratch.length) this.scratch = blockMemory(Math.min(2 * end, scratchBytesKept));
    return this.scratch.subarray(start, end);
  }

  private async truncate(path: string, size: number): Promise<void> {
    const file = await this.options.files.openAppend(path, spoolFileMode);
    try {
      await file.truncate(size);
      await file.sync();
    } finally {
      await file.close();
    }
  }

  private async removeFile(path: string): Promise<void> {
    const { files, directory } = this.options;
    try {
      await files.remove(path);
    } catch (error) {
      if (!isCode(error, "ENOENT")) throw error;
      await files.syncDirectory(directory);
    }
  }

  private async closeActive(): Promise<void> {
    const file = this.active;
    this.active = undefined;
    await file?.close();
  }
}

/** Segment files in a folder, oldest first, without their sizes. */
export async function listSegments(files: Files, directory: string): Promise<Segment[]> {
  const segments: Segment[] = [];
  for (const name of await files.list(directory)) {
    const digits = name.slice(0, -suffix.length);
    if (!name.endsWith(suffix) || !/^\d{16}$/.test(digits)) continue;
    segments.push({ path: join(directory, name), first: Number.parseInt(digits, 10), bytes: 0 });
  }
  return segments;
}

function segmentPath(directory: string, first: number): string {
  return join(directory, first.toString().padStart(numberDigits, "0") + suffix);
}
