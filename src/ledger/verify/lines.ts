/** Splits a segment into lines as it streams by, holding at most one line beside the chunk. */
import { lineBytesMax } from "../../limits.ts";

const LINE_FEED = 0x0a;

/** Called for each line, without its line feed. The bytes hold until the next chunk. */
export type LineHandler = (bytes: Buffer, start: number, end: number) => void;

export class LineSplitter {
  readonly #handle: LineHandler;
  #rest: Buffer[] = [];
  #restBytes = 0;
  /** Bytes of an over-long line that were dropped. */
  #dropped = 0;

  constructor(handle: LineHandler) {
    this.#handle = handle;
  }

  push(chunk: Uint8Array): void {
    const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    let start = 0;
    for (;;) {
      const end = bytes.indexOf(LINE_FEED, start);
      if (end < 0) break;
      if (this.#restBytes === 0) this.#handle(bytes, start, end);
      else this.#finish(bytes.subarray(start, end));
      start = end + 1;
    }
    if (start < bytes.length) this.#keep(bytes.subarray(start));
  }

  #keep(part: Buffer): void {
    this.#restBytes += part.length;
    // One byte over the bound is enough for the parser to refuse the line.
    const room = lineBytesMax + 1 - (this.#restBytes - part.length - this.#dropped);
    const kept = part.subarray(0, Math.max(0, room));
    this.#dropped += part.length - kept.length;
    if (kept.length > 0) this.#rest.push(Buffer.from(kept));
  }

  #finish(part: Buffer): void {
    if (part.length > 0) this.#keep(part);
    const line = Buffer.concat(this.#rest);
    this.#rest = [];
    this.#restBytes = 0;
    this.#dropped = 0;
    this.#handle(line, 0, line.length);
  }

  /** Bytes after the last line feed. */
  get incompleteBytes(): number {
    return this.#restBytes;
  }
}
