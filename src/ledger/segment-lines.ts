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
  let rest: Buffer = Buffer.alloc(0);
  let offset = start;
  let position = start;
  for (;;) {
    const wanted = Math.min(segmentReadBytes, end - position);
    const read = wanted > 0 ? await files.readRange(path, position, wanted) : new Uint8Array();
    position += read.length;
    const bytes = Buffer.concat([rest, read]);
    const ends = lineEnds(bytes, rest.length);
    const complete = ends.at(-1) ?? 0;
    const isLast =
      read.length < wanted || position >= end || bytes.length - complete > lineBytesMax;
    yield { bytes, offset, ends, isLast };
    if (isLast) return;
    rest = bytes.subarray(complete);
    offset += complete;
  }
}

/** `from`: bytes before it are known to hold no line feed. */
function lineEnds(bytes: Buffer, from: number): number[] {
  const ends: number[] = [];
  for (let at = bytes.indexOf(LINE_FEED, from); at >= 0; at = bytes.indexOf(LINE_FEED, at + 1)) {
    ends.push(at + 1);
  }
  return ends;
}
