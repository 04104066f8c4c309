/**
 * Single records by index. Lines of a segment are in index order without gap, so a few small reads
 * find any of them, however large the segment is.
 */
import { join } from "node:path";

import { contentDigest } from "../audit/content-digest.ts";
import { lineBytesMax, lineRunBytes, lineSearchBytes } from "../limits.ts";
import type { Files } from "./files.ts";
import { FormatError } from "./format-error.ts";
import type { EarlierRecord, EarlierRecords } from "./group-builder.ts";
import { LedgerError } from "./ledger-error.ts";
import { scanLine, type ScannedLine } from "./line.ts";
import { parseSegmentName, segmentName } from "./segment-name.ts";

export interface FoundLine {
  /** Name of the segment's file. */
  readonly segment: string;
  /** Where the line begins in it. */
  readonly offset: number;
  /** Without line feed. */
  readonly line: Buffer;
}

/** Complete lines of one segment as they were read. */
interface Block {
  readonly segment: string;
  readonly firstIndex: number;
  readonly offset: number;
  readonly bytes: Buffer;
  readonly lines: readonly LineBounds[];
}

interface LineBounds {
  readonly start: number;
  readonly end: number;
}

/** The record's line lies in the bytes between, where those of `[low, high)` are expected. */
interface Search {
  readonly segment: string;
  low: LineStart;
  high: LineStart;
  blockBytes: number;
}

interface LineStart {
  readonly index: number;
  readonly offset: number;
}

/** Finds the lines of a log as it is at the first call; neighbours share a read. */
export class LineFinder {
  readonly #folder: string;
  readonly #files: Files;
  readonly #blockBytes: number;
  #firsts: readonly number[] | undefined;
  #block: Block | undefined;

  /** @param blockBytes of one read: more where many neighbours are wanted */
  constructor(directory: string, files: Files, blockBytes: number = lineSearchBytes) {
    this.#folder = join(directory, "segments");
    this.#files = files;
    this.#blockBytes = blockBytes;
  }

  /** The complete line of record `index`; undefined where it is not where it should be. */
  async find(index: number): Promise<FoundLine | undefined> {
    const known = this.#inBlock(index);
    if (known !== undefined) return known;
    const search = await this.#begin(index);
    if (search === undefined) return undefined;
    for (;;) {
      const isOpen = await this.#narrow(search, index);
      const found = this.#inBlock(index);
      if (found !== undefined || !isOpen) return found;
    }
  }

  async #begin(index: number): Promise<Search | undefined> {
    this.#firsts ??= (await this.#files.list(this.#folder))
      .map(parseSegmentName)
      .filter((first) => first !== undefined);
    const place = this.#firsts.findLastIndex((first) => first <= index);
    const first = this.#firsts[place];
    if (first === undefined) return undefined;
    const segment = segmentName(first);
    const offset = await this.#files.size(join(this.#folder, segment));
    const high = { index: this.#firsts[place + 1] ?? index + 1, offset };
    const low = this.#behindBlock(segment, index) ?? { index: first, offset: 0 };
    return { segment, low, high, blockBytes: this.#blockBytes };
  }

  /** Where the next block begins, where the record is in it or later. */
  #behindBlock(segment: string, index: number): LineStart | undefined {
    const block = this.#block;
    if (block?.segment !== segment) return undefined;
    const next = block.firstIndex + block.lines.length;
    if (next > index) return undefined;
    return { index: next, offset: block.offset + block.lines.at(-1)!.end + 1 };
  }

  /** Reads one block between the bounds; false where the record cannot be in the segment. */
  async #narrow(search: Search, index: number): Promise<boolean> {
    const { segment, low, high } = search;
    if (low.offset >= high.offset) return false;
    const offset = guess(search, index);
    const path = join(this.#folder, segment);
    const wanted = Math.min(search.blockBytes, high.offset - offset);
    const read = await this.#files.readRange(path, offset, wanted);
    const bytes = Buffer.from(read.buffer, read.byteOffset, read.length);
    const lines = linesOf(bytes, offset === low.offset);
    const [first] = lines;
    if (first === undefined) return widen(search, offset);
    search.blockBytes = this.#blockBytes;
    const firstIndex = indexOf(bytes, first);
    if (firstIndex === undefined || firstIndex < low.index) return false;
    this.#block = { segment, firstIndex, offset, bytes, lines };
    const nextIndex = firstIndex + lines.length;
    if (index < firstIndex) search.high = { index: firstIndex, offset: offset + first.start };
    else search.low = { index: nextIndex, offset: offset + lines.at(-1)!.end + 1 };
    return index < firstIndex || index >= nextIndex;
  }

  #inBlock(index: number): FoundLine | undefined {
    const block = this.#block;
    const bounds = block?.lines[index - block.firstIndex];
    if (block === undefined || bounds === undefined) return undefined;
    if (indexOf(block.bytes, bounds) !== index) return undefined;
    const line = block.bytes.subarray(bounds.start, bounds.end);
    return { segment: block.segment, offset: block.offset + bounds.start, line };
  }
}

/** A little before the place where lines of equal length would put the record. */
function guess({ low, high, blockBytes }: Search, index: number): number {
  const share = (index - low.index) / (high.index - low.index);
  const offset = low.offset + Math.floor(share * (high.offset - low.offset)) - (blockBytes >> 1);
  return Math.max(low.offset, offset);
}

/** No line both begins and ends in the block: it is longer, or the last one, not yet written. */
function widen(search: Search, offset: number): boolean {
  const isAll = offset === search.low.offset && offset + search.blockBytes >= search.high.offset;
  if (isAll || search.blockBytes > 2 * lineBytesMax) return false;
  search.blockBytes *= 2;
  return true;
}

const LINE_FEED = 0x0a;

/** The complete lines; what comes before them is the end of another one. */
function linesOf(bytes: Buffer, beginsWithLine: boolean): LineBounds[] {
  const lines: LineBounds[] = [];
  const before = beginsWithLine ? -1 : bytes.indexOf(LINE_FEED);
  if (before < 0 && !beginsWithLine) return lines;
  let start = before + 1;
  for (let end = bytes.indexOf(LINE_FEED, start); end >= 0;) {
    lines.push({ start, end });
    start = end + 1;
    end = bytes.indexOf(LINE_FEED, start);
  }
  return lines;
}

function indexOf(bytes: Buffer, bounds: LineBounds): number | undefined {
  return scanIfLine(bytes, bounds)?.index;
}

function scanIfLine(bytes: Buffer, { start, end }: LineBounds): ScannedLine | undefined {
  try {
    return scanLine(bytes, start, end);
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

/** True for lines before some place of the log; once false it stays so along the log. */
export type IsBefore = (line: ScannedLine) => boolean;

/** A place between two lines of a segment. What is no line may lie between the two. */
export interface Boundary {
  /** Where the last line before it ends, 0 without one. */
  readonly low: number;
  /** Where the first line after it begins; undefined where all lines are before. */
  readonly high: number | undefined;
}

/** Reads a few blocks, whatever the file's size. */
export async function findBoundary(
  files: Files,
  path: string,
  isBefore: IsBefore,
): Promise<Boundary> {
  let low = 0;
  let high: number | undefined;
  let end = await files.size(path);
  let blockBytes = lineSearchBytes;
  while (low < end) {
    const isLast = end - low <= blockBytes;
    const offset = isLast ? low : Math.max(low, Math.floor((low + end - blockBytes) / 2));
    const wanted = Math.min(blockBytes, end - offset);
    const bytes = Buffer.from(await files.readRange(path, offset, wanted));
    const { last, first } = lookAround(bytes, linesOf(bytes, offset === low), isBefore);
    if (last !== undefined) low = offset + last.end + 1;
    if (first !== undefined) high = end = offset + first.start;
    if (isLast || (last !== undefined && first !== undefined)) break;
    if (last !== undefined || first !== undefined) continue;
    if (blockBytes > 2 * lineBytesMax) break;
    blockBytes *= 2;
  }
  return { low, high };
}

/** The last line before and the first one after the boundary. */
function lookAround(
  bytes: Buffer,
  lines: readonly LineBounds[],
  isBefore: IsBefore,
): { last?: LineBounds; first?: LineBounds } {
  let last: LineBounds | undefined;
  for (const line of lines) {
    const scanned = scanIfLine(bytes, line);
    if (scanned === undefined) continue;
    if (!isBefore(scanned)) return { ...(last && { last }), first: line };
    last = line;
  }
  return last === undefined ? {} : { last };
}

/** The first line of a file; undefined where there is none, or none that is whole. */
export async function readFirstLine(files: Files, path: string): Promise<ScannedLine | undefined> {
  for (let byteCount = lineSearchBytes; ; byteCount *= 2) {
    const bytes = Buffer.from(await files.readRange(path, 0, byteCount));
    const end = bytes.indexOf(LINE_FEED);
    if (end >= 0) return scanIfLine(bytes, { start: 0, end });
    if (bytes.length < byteCount || byteCount > lineBytesMax) return undefined;
  }
}

/**
 * What new records with the ids of these are compared with, by index.
 *
 * @throws LedgerError `unavailable` where one cannot be read.
 */
export async function readEarlier(
  directory: string,
  indexes: readonly number[],
  files: Files,
): Promise<EarlierRecords> {
  const blockBytes = Math.min(indexes.length * lineSearchBytes, lineRunBytes);
  const finder = new LineFinder(directory, files, blockBytes);
  const records = new Map<number, EarlierRecord>();
  for (const index of new Set(indexes.toSorted((left, right) => left - right))) {
    const found = await finder.find(index);
    const line = found === undefined ? undefined : scanLine(found.line, 0, found.line.length);
    if (line === undefined || line.bodyStart < 0) {
      throw new LedgerError("unavailable", `record ${index}, whose id came again, cannot be read`, {
        remedy: 'run "spanseal verify"',
      });
    }
    const content = contentDigest(line.bytes.subarray(line.bodyStart, line.bodyEnd));
    records.set(index, { mac: line.mac, content });
  }
  return records;
}
