/**
 * Reads a ledger directory, also that of a running sidecar: records by index or time, one record,
 * hashes for proofs. Verifies nothing; memory does not depend on the ledger's size.
 */
import { join } from "node:path";

import { findBoundary, LineFinder, readFirstLine } from "./find-line.ts";
import { FormatError } from "./format-error.ts";
import { nodeFiles, type Files } from "./files.ts";
import { LedgerError } from "./ledger-error.ts";
import { parseLine, type ParsedLine, type ScannedLine } from "./line.ts";
import { readLineChunks } from "./segment-lines.ts";
import { parseSegmentName, segmentName } from "./segment-name.ts";

export interface ReadRange {
  /** First index wanted. */
  readonly from?: number;
  /** Index after the last one wanted. */
  readonly to?: number;
  /** Times in nanoseconds since 1970: `[fromTime, toTime)`. */
  readonly fromTime?: bigint;
  readonly toTime?: bigint;
}

/** A record with the exact bytes of its head, and where its line stands. */
export interface StoredRecord extends ParsedLine {
  readonly segment: string;
  readonly offset: number;
  readonly lineBytes: number;
}

/**
 * Records in index order. What a running sidecar is still writing is not there yet; any other line
 * that is none is an error.
 *
 * @throws LedgerError `damaged` naming segment and byte.
 */
export async function* readRecords(
  directory: string,
  range: ReadRange = {},
  files: Files = nodeFiles,
): AsyncGenerator<StoredRecord> {
  const segments = await listSegments(directory, files);
  const skipped = await firstSegment(directory, { files, range, segments });
  for (const [at, first] of segments.entries()) {
    if (at < skipped) continue;
    if (range.to !== undefined && first >= range.to) return;
    const isNewest = at === segments.length - 1;
    const path = join(directory, "segments", segmentName(first));
    const start = await startIn(files, path, range);
    const end = await endIn(files, path, range);
    yield* readSegment(directory, { files, first, isNewest, start, end });
    if (end !== undefined) return;
  }
}

/** What is no line at a boundary is read, so that it is named. */
async function startIn(files: Files, path: string, range: ReadRange): Promise<number> {
  if (range.from === undefined && range.fromTime === undefined) return 0;
  return (await findBoundary(files, path, (line) => isBefore(line, range))).low;
}

async function endIn(files: Files, path: string, range: ReadRange): Promise<number | undefined> {
  if (range.to === undefined && range.toTime === undefined) return undefined;
  return (await findBoundary(files, path, (line) => !isAfter(line, range))).high;
}

/** The record at an index; undefined where the log does not have it. */
export async function readRecord(
  directory: string,
  index: number,
  files: Files = nodeFiles,
): Promise<StoredRecord | undefined> {
  const found = await new LineFinder(directory, files).find(index);
  if (found !== undefined) {
    const { segment, offset, line } = found;
    const path = join(directory, "segments", segment);
    return { ...parseStored(line, { path, offset }), segment, offset, lineBytes: line.length };
  }
  // Not where it should be: it is missing, or the log was damaged before it.
  for await (const record of readRecords(directory, { from: index, to: index + 1 }, files)) {
    return record;
  }
  return undefined;
}

/** All records with an id, in index order: more than one where a sender contradicted itself. */
export async function* findRecords(
  directory: string,
  id: Uint8Array,
  files: Files = nodeFiles,
): AsyncGenerator<StoredRecord> {
  const wanted = Buffer.from(id).toString("hex");
  const segments = await listSegments(directory, files);
  for (const [at, first] of segments.entries()) {
    const isNewest = at === segments.length - 1;
    for await (const record of readSegment(directory, { files, first, isNewest, id: wanted })) {
      yield record;
    }
  }
}

/** First indexes of all segments, ascending. */
export async function listSegments(directory: string, files: Files = nodeFiles): Promise<number[]> {
  const names = await files.list(join(directory, "segments"));
  return names.map(parseSegmentName).filter((first) => first !== undefined);
}

interface Search {
  readonly files: Files;
  readonly range: ReadRange;
  readonly segments: readonly number[];
}

/** Number of segments that hold nothing of the range, by their names and first heads. */
async function firstSegment(directory: string, search: Search): Promise<number> {
  const { range, segments } = search;
  let low = 0;
  let high = segments.length - 1;
  // The last segment that begins at or before what is wanted. Times never go back along the log.
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (await beginsAfter(directory, search, segments[middle]!)) high = middle - 1;
    else low = middle;
  }
  return range.from === undefined && range.fromTime === undefined ? 0 : low;
}

async function beginsAfter(directory: string, search: Search, first: number): Promise<boolean> {
  const { from, fromTime } = search.range;
  if (from !== undefined && first <= from) return false;
  if (fromTime === undefined) return from !== undefined;
  const path = join(directory, "segments", segmentName(first));
  const line = await readFirstLine(search.files, path);
  // Records of one time may begin in the segment before.
  return line === undefined || BigInt(line.time) >= fromTime;
}

/** Records of one segment from a line's start on, as far as they are written. */
export function readSegmentFrom(
  directory: string,
  place: { readonly segment: number; readonly offset: number },
  files: Files = nodeFiles,
): AsyncGenerator<StoredRecord> {
  const { segment: first, offset: start } = place;
  return readSegment(directory, { files, first, start, isNewest: true });
}

interface SegmentReading {
  readonly files: Files;
  readonly first: number;
  /** Where to begin: the start of a line; 0 if left out. */
  readonly start?: number;
  /** Where to end: the start of another, or the end of the file. */
  readonly end?: number | undefined;
  readonly isNewest: boolean;
  /** Only records with this id, as hexadecimal. */
  readonly id?: string;
}

async function* readSegment(
  directory: string,
  reading: SegmentReading,
): AsyncGenerator<StoredRecord> {
  const segment = segmentName(reading.first);
  const path = join(directory, "segments", segment);
  const wanted = reading.id === undefined ? undefined : Buffer.from(`"id":"${reading.id}"`);
  for await (const chunk of readLineChunks(reading.files, path, reading.start ?? 0, reading.end)) {
    let start = 0;
    for (const end of chunk.ends) {
      const line = chunk.bytes.subarray(start, end - 1);
      const offset = chunk.offset + start;
      start = end;
      // Bodies may hold the same text: only the head decides, but most lines need no parse.
      if (wanted !== undefined && !line.includes(wanted)) continue;
      const parsed = parseStored(line, { path, offset });
      if (wanted !== undefined && Buffer.from(parsed.head.id).toString("hex") !== reading.id) {
        continue;
      }
      yield { ...parsed, segment, offset, lineBytes: end - 1 - (offset - chunk.offset) };
    }
    if (chunk.isLast && start < chunk.bytes.length && !reading.isNewest) {
      throw damaged(path, chunk.offset + start, "the segment ends within a line");
    }
  }
}

function parseStored(line: Buffer, place: { path: string; offset: number }): ParsedLine {
  try {
    return parseLine(line);
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw damaged(place.path, place.offset, error.message);
  }
}

function damaged(path: string, offset: number, detail: string): LedgerError {
  return new LedgerError("damaged", `${path} is damaged at byte ${offset} (${detail})`, {
    remedy: 'run "spanseal verify"',
  });
}

function isAfter(line: ScannedLine, { to, toTime }: ReadRange): boolean {
  if (to !== undefined && line.index >= to) return true;
  return toTime !== undefined && BigInt(line.time) >= toTime;
}

function isBefore(line: ScannedLine, { from, fromTime }: ReadRange): boolean {
  if (from !== undefined && line.index < from) return true;
  return fromTime !== undefined && BigInt(line.time) < fromTime;
}
