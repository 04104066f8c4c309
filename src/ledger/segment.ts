/**
 * The segment that is being written. Knows what is durable in it, so that a failed write can be cut
 * back to exactly that.
 */
import { join } from "node:path";

import type { AppendFile, Files } from "./files.ts";
import { LedgerError } from "./ledger-error.ts";
import { segmentName } from "./segment-name.ts";

const openMode = 0o600;
const closedMode = 0o400;

/**
 * Opens a segment that may be closed already: where the one after it could not be begun, it is the
 * last one again, and read-only to everybody but root.
 */
export async function reopenSegment(files: Files, path: string): Promise<AppendFile> {
  await files.setMode(path, openMode);
  return files.openAppend(path, openMode);
}

export interface SegmentPlace {
  /** Index of the first record, which is the file's name. */
  readonly first: number;
  /** Bytes that are durable. */
  readonly bytes: number;
  /** Time of the first record; undefined for an empty segment. */
  readonly firstTime: bigint | undefined;
}

export interface SegmentLimits {
  readonly bytesMax: number;
  readonly ageMsMax: number;
}

/** What is appended: lines of one group. */
export interface GroupBytes {
  readonly bytes: Uint8Array;
  readonly firstIndex: number;
  readonly time: bigint;
}

export class SegmentWriter {
  readonly #folder: string;
  readonly #files: Files;
  readonly #limits: SegmentLimits;
  #file: AppendFile | undefined;
  #first: number;
  #bytes: number;
  #firstTime: bigint | undefined;
  /** Set after a failure: what the kernel holds of this file is not to be built upon. */
  #mustBegin: boolean;

  /** Goes on in `place`, or begins a segment with the first group where it is undefined. */
  constructor(
    folder: string,
    files: Files,
    limits: SegmentLimits,
    place: SegmentPlace | undefined,
  ) {
    this.#folder = folder;
    this.#files = files;
    this.#limits = limits;
    this.#first = place?.first ?? 0;
    this.#bytes = place?.bytes ?? 0;
    this.#firstTime = place?.firstTime;
    this.#mustBegin = place === undefined;
  }

  get place(): SegmentPlace {
    return { first: this.#first, bytes: this.#bytes, firstTime: this.#firstTime };
  }

  /** On return the group is durable. After a rejection `cutBack` must come before anything else. */
  async append(group: GroupBytes): Promise<void> {
    if (this.#mustBegin || this.#isFull(group)) await this.#begin(group.firstIndex);
    this.#file ??= await reopenSegment(this.#files, this.#path());
    await this.#file.write(group.bytes, this.#bytes);
    await this.#file.sync();
    this.#bytes += group.bytes.length;
    this.#firstTime ??= group.time;
  }

  #isFull(group: GroupBytes): boolean {
    if (this.#bytes === 0) return false;
    if (this.#bytes + group.bytes.length > this.#limits.bytesMax) return true;
    const age = group.time - (this.#firstTime ?? group.time);
    return age > BigInt(this.#limits.ageMsMax) * 1_000_000n;
  }

  /** A new segment whose name is durable before its first record is. */
  async #begin(first: number): Promise<void> {
    this.#mustBegin = true;
    await this.#closeFile();
    if (this.#bytes > 0) await this.#files.setMode(this.#path(), closedMode);
    const path = join(this.#folder, segmentName(first));
    const isReplaced = this.#bytes === 0 && first === this.#first;
    // An empty segment keeps its name; the file is made anew, for the kernel's sake.
    if (isReplaced && (await this.#files.list(this.#folder)).includes(segmentName(first))) {
      await this.#files.remove(path);
    }
    const file = await this.#files.openAppend(path, openMode);
    this.#file = file;
    if ((await file.size()) > 0) {
      throw new LedgerError("damaged", `segment ${path} exists already and is not empty`);
    }
    await this.#files.syncDirectory(this.#folder);
    this.#first = first;
    this.#bytes = 0;
    this.#firstTime = undefined;
    this.#mustBegin = false;
  }

  /**
   * Takes back whatever a failed `append` left, so that nothing unsynced is ever read as evidence;
   * the next group begins a new segment. After a rejection the durable state is unknown.
   */
  async cutBack(): Promise<void> {
    await this.#closeFile().catch(() => undefined);
    const names = await this.#files.list(this.#folder);
    if (names.includes(segmentName(this.#first))) {
      const file = await reopenSegment(this.#files, this.#path());
      this.#file = file;
      await file.truncate(this.#bytes);
      await file.sync();
    }
    this.#mustBegin = true;
  }

  async close(): Promise<void> {
    await this.#closeFile();
  }

  async #closeFile(): Promise<void> {
    const file = this.#file;
    this.#file = undefined;
    await file?.close();
  }

  #path(): string {
    return join(this.#folder, segmentName(this.#first));
  }
}
