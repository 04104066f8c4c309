/** Reads a spool file from front to back and tells a torn end from damage. Pure. */
import { findHeader, frameBytes, framePayload, parseHeader } from "./frame.ts";
import type { FrameHeader } from "./frame.ts";

/** An entry whose `end` is above all before it: where the spool would be cut back to. */
export interface CutCandidate {
  readonly number: number;
  readonly offset: number;
  readonly end: number;
}

export interface ScannedSegment {
  /** Number after the last whole entry. */
  readonly next: number;
  /** Bytes of whole entries from the front. */
  readonly bytes: number;
  /** Offset of entry `from`, or `bytes` where it is not in this file. */
  readonly fromOffset: number;
  readonly fromStagedUnixMs: number | undefined;
  /** Largest group; undefined in an empty file. */
  readonly group: number | undefined;
  /** Of the entries of that group, those that raise `end`. */
  readonly candidates: readonly CutCandidate[];
  /** What follows the whole entries, where anything does. */
  readonly rest: "none" | "torn" | "damaged";
  /** Range that the readable entries of a torn write claim; undefined where none is readable. */
  readonly torn: { readonly group: number; readonly end: number } | undefined;
}

interface Progress {
  readonly committed: number;
  offset: number;
  number: number;
  fromOffset: number;
  fromStagedUnixMs: number | undefined;
  group: number | undefined;
  candidates: CutCandidate[];
  /** Where the write of the latest entry begins and ends, and its first number. */
  writeStart: number;
  writeEnd: number;
  writeNumber: number;
}

export interface ScanOptions {
  /** The number that the first entry must have. */
  readonly first: number;
  /** The entry whose place is wanted. */
  readonly from: number;
  /**
   * Entries below this number were committed. Where a start cut a write back to the entries whose
   * records the log holds, the write ends there, whatever its headers say.
   */
  readonly committed: number;
}

export function scanSegment(bytes: Buffer, options: ScanOptions): ScannedSegment {
  const { first, from, committed } = options;
  const progress: Progress = {
    committed,
    offset: 0,
    number: first,
    fromOffset: -1,
    fromStagedUnixMs: undefined,
    group: undefined,
    candidates: [],
    writeStart: 0,
    writeEnd: 0,
    writeNumber: first,
  };
  while (progress.offset < bytes.length) {
    const header = parseHeader(bytes, progress.offset);
    if (header === undefined || !fits(header, progress)) break;
    if (framePayload(bytes, progress.offset, header) === undefined) break;
    step(progress, header, from);
  }
  const isWhole = progress.offset === bytes.length && !isUnfinished(progress);
  return isWhole ? result(progress, "none", undefined) : broken(bytes, progress);
}

/** Are entries of the latest write missing that it was not cut back to? */
function isUnfinished({ offset, writeEnd, number, committed }: Progress): boolean {
  return offset < writeEnd && number > committed;
}

/** Does this entry begin a write: after the end of the one before, or where that was cut back? */
function beginsWrite(header: FrameHeader, progress: Progress): boolean {
  const { offset, writeEnd, number, committed } = progress;
  return header.writeStart === offset && (offset === writeEnd || number <= committed);
}

/** Does this entry continue what came before? Anything else was never written here. */
function fits(header: FrameHeader, progress: Progress): boolean {
  const isInside = progress.offset < progress.writeEnd && header.writeStart === progress.writeStart;
  return (
    header.number === progress.number &&
    header.group >= (progress.group ?? 0) &&
    header.first <= header.end &&
    (isInside || beginsWrite(header, progress)) &&
    progress.offset + frameBytes(header.payloadBytes) <= header.writeStart + header.writeBytes
  );
}

function step(progress: Progress, header: FrameHeader, from: number): void {
  const { offset, number } = progress;
  if (beginsWrite(header, progress)) {
    progress.writeStart = offset;
    progress.writeEnd = offset + header.writeBytes;
    progress.writeNumber = number;
  }
  if (number === from) {
    progress.fromOffset = offset;
    progress.fromStagedUnixMs = header.stagedUnixMs;
  }
  if (header.group !== progress.group) progress.candidates = [];
  progress.group = header.group;
  const highest = progress.candidates.at(-1)?.end ?? header.group;
  if (header.end > highest) progress.candidates.push({ number, offset, end: header.end });
  progress.offset += frameBytes(header.payloadBytes);
  progress.number++;
}

/**
 * The file ends in something else than a whole write. It is torn where all of that belongs to one
 * write: the next one begins only when this one is synced, so a trace of a later write proves that
 * this one had been durable.
 */
function broken(bytes: Buffer, progress: Progress): ScannedSegment {
  const isInside = isUnfinished(progress);
  const start = isInside ? progress.writeStart : progress.offset;
  const isDamaged = isMisplaced(bytes, progress) || isFollowed(bytes, start);
  const rest = isDamaged ? "damaged" : "torn";
  const claimed = findLast(bytes, start, (found) => found.writeStart === start);
  const torn = claimed === undefined ? undefined : { group: claimed.group, end: claimed.end };
  if (isInside) cutToWriteStart(progress);
  return result(progress, rest, torn);
}

/** A whole header that does not belong here was put here by something else than a power cut. */
function isMisplaced(bytes: Buffer, progress: Progress): boolean {
  const header = parseHeader(bytes, progress.offset);
  return header !== undefined && !fits(header, progress);
}

/** Is there a trace of a write after the one that begins at `start`? */
function isFollowed(bytes: Buffer, start: number): boolean {
  const header = parseHeader(bytes, start);
  if (header !== undefined) return start + header.writeBytes < bytes.length;
  return findHeader(bytes, start + 1, (found) => found.writeStart > start) !== undefined;
}

/** No entry of an unfinished write was acknowledged, the whole ones among them included. */
function cutToWriteStart(progress: Progress): void {
  progress.offset = progress.writeStart;
  progress.number = progress.writeNumber;
  progress.candidates = progress.candidates.filter(({ offset }) => offset < progress.writeStart);
  if (progress.fromOffset >= progress.writeStart) {
    progress.fromOffset = -1;
    progress.fromStagedUnixMs = undefined;
  }
}

function findLast(
  bytes: Buffer,
  start: number,
  accept: (header: FrameHeader) => boolean,
): FrameHeader | undefined {
  let last: FrameHeader | undefined;
  findHeader(bytes, start, (header) => {
    if (accept(header)) last = header;
    return false;
  });
  return last;
}

function result(
  progress: Progress,
  rest: ScannedSegment["rest"],
  torn: ScannedSegment["torn"],
): ScannedSegment {
  return {
    next: progress.number,
    bytes: progress.offset,
    fromOffset: progress.fromOffset < 0 ? progress.offset : progress.fromOffset,
    fromStagedUnixMs: progress.fromStagedUnixMs,
    group: progress.group,
    candidates: progress.candidates,
    rest,
    torn,
  };
}
