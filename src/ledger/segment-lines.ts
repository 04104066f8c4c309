/** Reads a segment's lines in pieces of bounded size, forwards from any line's start. */
import { lineBytesMax, segmentReadBytes } from "../limits.ts";
import type { Files } from "./files.ts";

export interface LineChunk {
  readonly bytes: Buffer;
  /** Place of `bytes[0]` in the file. */
  readonly offset: number;
  /** The place in `bytes` after each complete line's line feed; the first line begins at 0. */
  readonly ends: readonly number[];
  /** True for the last chunk: what follows the last line is incomplete, or too long for a line. */
  readonly isLast: boolean;
}

const LINE_FEED = 0x0a;

/** Reads `[start, end)` of the file; to its end where `end` is left out. */
export async function* readLineChunks(
  files: Files,
  path: string,
  start: number,
  end: number = Number.MAX_SAFE_INTEGER,
): AsyncGenerator<LineChunk> {
  let offset = start;
  let byteCount = segmentReadBytes;
  for (;;) {
    const wanted = Math.min(byteCount, end - offset);
    const read = wanted > 0 ? await files.readRange(path, offset, wanted) : new Uint8Array();
    const bytes = Buffer.from(read.buffer, read.byteOffset, read.byteLength);
    const ends = lineEnds(bytes);
    const complete = ends.at(-1) ?? 0;
    const isLast =
      read.length < wanted || offset + read.length >= end || bytes.length - complete > lineBytesMax;
    if (isLast || complete > 0) yield { bytes, offset, ends, isLast };
    if (isLast) return;
    // The line that is not whole is read again, which costs less than putting its parts together.
    byteCount = complete > 0 ? segmentReadBytes : 2 * byteCount;
    offset += complete;
  }
}

function lineEnds(bytes: Buffer): number[] {
  const ends: number[] = [];
  for (let at = bytes.indexOf(LINE_FEED); at >= 0; at = bytes.indexOf(LINE_FEED, at + 1)) {
    ends.push(at + 1);
  }
  return ends;
}
