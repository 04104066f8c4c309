/**
 * Yields the entries of a spool in order: from memory while the sink keeps up, else from the files,
 * one whole file at a time.
 */
import { pool } from "../bytes/pool.ts";
import type { Files } from "../ledger/files.ts";
import { ForwardError } from "./forward-error.ts";
import { frameBytes, framePayload, parseHeader } from "./frame.ts";
import type { FrameHeader } from "./frame.ts";
import type { StagedEntry } from "../ledger/follower.ts";
import type { Segment } from "./spool-segments.ts";

export interface SpoolEntry {
  readonly number: number;
  readonly first: number;
  readonly end: number;
  readonly stagedUnixMs: number;
  /** The request to send. Its reader is an owner of it. */
  readonly bytes: Uint8Array;
}

/** A file that was read, and how far it was walked. */
interface LoadedSegment {
  readonly path: string;
  readonly bytes: Buffer;
  /** Entries below this number were committed when it was read; the others may have changed. */
  readonly committed: number;
  number: number;
  offset: number;
}

export class SpoolReader {
  private readonly files: Files;
  private readonly cacheBytesMax: number;
  private readonly cache = new Map<number, SpoolEntry>();
  private cacheBytes = 0;
  private loaded: LoadedSegment | undefined;

  constructor(files: Files, cacheBytesMax: number) {
    this.files = files;
    this.cacheBytesMax = cacheBytesMax;
  }

  /** Keeps what was just written, as far as there is room for the newest entries. */
  remember(entries: readonly StagedEntry[], firstNumber: number, stagedUnixMs: number): void {
    let number = firstNumber;
    for (const { first, end, bytes } of entries) {
      pool.retain(bytes);
      this.cache.set(number, { number, first, end, stagedUnixMs, bytes });
      this.cacheBytes += frameBytes(bytes.length);
      number++;
    }
    for (const cached of this.cache.keys()) {
      if (this.cacheBytes <= this.cacheBytesMax) break;
      this.forget(cached);
    }
  }

  /** Entry `number` was sent. */
  forget(number: number): void {
    const entry = this.cache.get(number);
    if (entry === undefined) return;
    this.cache.delete(number);
    this.cacheBytes -= frameBytes(entry.bytes.length);
    pool.release(entry.bytes);
  }

  /** Entries from `number` on were taken back. */
  forgetFrom(number: number): void {
    for (const cached of this.cache.keys()) if (cached >= number) this.forget(cached);
  }

  /** No entry waits: lets go of a file that was read back. */
  release(): void {
    this.loaded = undefined;
  }

  /**
   * Entry `number`, which is in `segment` and below `committed`.
   *
   * @throws ForwardError `spool_damaged` where the file no longer holds what was written.
   */
  async read(number: number, segment: Segment, committed: number): Promise<SpoolEntry> {
    const cached = this.cache.get(number);
    if (cached !== undefined) return lent(cached);
    const loaded = await this.load(number, segment, committed);
    while (loaded.offset < loaded.bytes.length) {
      const header = parseHeader(loaded.bytes, loaded.offset);
      if (header?.number !== loaded.number) break;
      const offset = loaded.offset;
      if (header.number === number) {
        const payload = framePayload(loaded.bytes, offset, header);
        if (payload === undefined) break;
        return lent(toEntry(header, payload));
      }
      loaded.offset += frameBytes(header.payloadBytes);
      loaded.number++;
    }
    this.loaded = undefined;
    throw new ForwardError(
      "spool_damaged",
      `reading entry ${number} of ${segment.path} at byte ${loaded.offset}: it is not what was ` +
        "written",
      { remedy: "restore the file, or stop and move the folder aside to give up what it holds" },
    );
  }

  private async load(number: number, segment: Segment, committed: number): Promise<LoadedSegment> {
    const { loaded } = this;
    const isThere =
      loaded?.path === segment.path && loaded.number <= number && number < loaded.committed;
    if (isThere) return loaded;
    this.loaded = undefined;
    const read = await this.files.read(segment.path);
    const bytes = Buffer.from(read.buffer, read.byteOffset, read.byteLength);
    this.loaded = { path: segment.path, bytes, committed, number: segment.first, offset: 0 };
    return this.loaded;
  }
}

/** At once: before its reader goes on the entry may be forgotten. */
function lent(entry: SpoolEntry): SpoolEntry {
  pool.retain(entry.bytes);
  return entry;
}

function toEntry(header: FrameHeader, bytes: Uint8Array): SpoolEntry {
  const { number, first, end, stagedUnixMs } = header;
  return { number, first, end, stagedUnixMs, bytes };
}
