/**
 * What is found in a spool's folder at start. Nothing is changed here: how much of the end counts
 * is known only when the log was recovered.
 */
import { join } from "node:path";
import { isCode } from "../bytes/thrown.ts";
import type { Files } from "../ledger/files.ts";
import { parseCursor } from "./cursor.ts";
import type { CursorState } from "./cursor.ts";
import { ForwardError } from "./forward-error.ts";
import { scanSegment } from "./segment-scan.ts";
import type { CutCandidate, ScannedSegment } from "./segment-scan.ts";
import { listSegments } from "./spool-segments.ts";
import type { Segment, SpoolPosition } from "./spool-segments.ts";

export interface LoadedSpool {
  readonly cursor: CursorState;
  /** Files with their whole entries, oldest first; the last may be longer on disk. */
  readonly segments: Segment[];
  /** Number after the last whole entry. */
  readonly next: number;
  /** Bytes of entries that wait. */
  readonly queueBytes: number;
  readonly oldestUnixMs: number | undefined;
  /** The smallest size that the log must have for these entries to exist. */
  readonly knownSize: number;
  /** Places where the last group's entries could be cut back, with the log size they need. */
  readonly candidates: readonly (SpoolPosition & { readonly end: number })[];
  readonly torn: TornEnd | undefined;
}

export interface TornEnd {
  readonly at: SpoolPosition;
  /** What the torn entries claim, where that can be read. */
  readonly claim: { readonly group: number; readonly end: number } | undefined;
}

export function cursorPath(directory: string): string {
  return join(directory, "cursor");
}

/** @throws ForwardError `spool_damaged` where entries that were once durable are not whole. */
export async function loadSpool(files: Files, directory: string): Promise<LoadedSpool> {
  const listed = await listSegments(files, directory);
  const cursor = await loadCursor(files, directory, listed[0]?.first ?? 0);
  const oldest = listed[0]?.first ?? cursor.next;
  if (oldest > cursor.next) throw missing(directory, cursor.next, oldest);
  return new SpoolLoader(files, directory, cursor).load(listed);
}

async function loadCursor(files: Files, directory: string, first: number): Promise<CursorState> {
  const path = cursorPath(directory);
  try {
    return parseCursor(await files.read(path), path);
  } catch (error) {
    if (!isCode(error, "ENOENT")) throw error;
    // A new spool, or one whose cursor the operator removed to have everything sent again.
    return { next: first, committed: first, logSize: 0, suspensions: [] };
  }
}

class SpoolLoader {
  private readonly files: Files;
  private readonly directory: string;
  private readonly cursor: CursorState;
  private readonly segments: Segment[] = [];
  private next: number;
  private queueBytes = 0;
  private oldestUnixMs: number | undefined;
  private group = 0;
  private candidates: (SpoolPosition & { readonly end: number })[] = [];
  private torn: TornEnd | undefined;

  constructor(files: Files, directory: string, cursor: CursorState) {
    this.files = files;
    this.directory = directory;
    this.cursor = cursor;
    this.next = cursor.next;
  }

  async load(listed: readonly Segment[]): Promise<LoadedSpool> {
    for (const [at, segment] of listed.entries()) {
      const following = listed[at + 1];
      // All of its entries are done: it was about to be removed.
      if (following !== undefined && following.first <= this.cursor.next) {
        this.segments.push(segment);
        this.next = following.first;
      } else await this.add(segment, following === undefined);
    }
    const { committed, next: done } = this.cursor;
    if (this.next < Math.max(committed, done)) {
      throw missing(this.directory, this.next, Math.max(committed, done));
    }
    const { cursor, segments, next, queueBytes, oldestUnixMs, candidates, torn } = this;
    const knownSize = Math.max(this.group, torn?.claim?.group ?? 0, cursor.logSize);
    return { cursor, segments, next, queueBytes, oldestUnixMs, knownSize, candidates, torn };
  }

  private async add(segment: Segment, isLast: boolean): Promise<void> {
    if (this.segments.length > 0 && segment.first !== this.next) {
      throw missing(this.directory, this.next, segment.first);
    }
    const read = await this.files.read(segment.path);
    const bytes = Buffer.from(read.buffer, read.byteOffset, read.byteLength);
    const scanned = scanSegment(bytes, {
      first: segment.first,
      from: this.cursor.next,
      committed: this.cursor.committed,
    });
    const isBroken =
      scanned.rest === "damaged" ||
      (scanned.rest === "torn" && (!isLast || scanned.next < this.cursor.committed));
    if (isBroken) throw damaged(segment, scanned);
    segment.bytes = scanned.bytes;
    this.next = scanned.next;
    if (scanned.rest === "torn") {
      const at = { segment, offset: scanned.bytes, number: scanned.next };
      this.torn = { at, claim: scanned.torn };
    }
    // An empty file is left to be written over, a torn one to be cut back.
    if (scanned.bytes > 0 || scanned.rest === "torn") this.segments.push(segment);
    this.count(segment, scanned);
  }

  private count(segment: Segment, scanned: ScannedSegment): void {
    const holdsNext = segment.first <= this.cursor.next;
    this.queueBytes += scanned.bytes - (holdsNext ? scanned.fromOffset : 0);
    this.oldestUnixMs ??= scanned.fromStagedUnixMs;
    if (scanned.group === undefined) return;
    if (scanned.group > this.group) this.candidates = [];
    this.group = Math.max(this.group, scanned.group);
    const place = (candidate: CutCandidate): SpoolPosition & { readonly end: number } => ({
      ...candidate,
      segment,
    });
    this.candidates.push(...scanned.candidates.map(place));
  }
}

function damaged(segment: Segment, scanned: ScannedSegment): ForwardError {
  return new ForwardError(
    "spool_damaged",
    `reading the spool file ${segment.path}: entry ${scanned.next} at byte ${scanned.bytes} is ` +
      "not what was written, and it was once durable",
    { remedy },
  );
}

function missing(directory: string, from: number, to: number): ForwardError {
  return new ForwardError(
    "spool_damaged",
    `reading the spool ${directory}: entries ${from} to ${to - 1} are missing`,
    { remedy },
  );
}

const remedy =
  "restore the file from a copy, or move the folder of this signal aside to give up what it " +
  "holds (the audit log is not touched)";

/** @throws ForwardError `spool_damaged` where the log proves that the torn end had been durable. */
export function checkTornEnd(torn: TornEnd, logSize: number): void {
  const { claim, at } = torn;
  if (claim === undefined || claim.end <= claim.group || claim.end > logSize) return;
  throw new ForwardError(
    "spool_damaged",
    `reading the spool file ${at.segment.path}: entry ${at.number} at byte ${at.offset} is torn, ` +
      `but the log holds its records (to ${claim.end} of ${logSize})`,
    { remedy },
  );
}
