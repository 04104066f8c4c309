/** A growing protobuf message, written front to back. */
import { varintSize, writeVarint } from "../bytes/wire.ts";
import { nestingDepthMax } from "../limits.ts";

const TWO_32 = 0x1_0000_0000;

export class ProtobufOutput {
  bytes: Uint8Array;
  /** Of the same bytes. */
  view: DataView;
  size = 0;
  /**
   * Bytes reserved for a length at each depth: as many as the last message of that depth needed.
   * Siblings resemble each other, so a message seldom has to be moved when its length is known,
   * and no byte is moved more than once per level around it.
   */
  private readonly lengthBytes = new Uint8Array(nestingDepthMax + 2).fill(1);

  constructor(capacity: number) {
    this.bytes = new Uint8Array(capacity);
    this.view = new DataView(this.bytes.buffer);
  }

  /** Makes room for `count` more bytes. */
  reserve(count: number): void {
    const needed = this.size + count;
    if (needed <= this.bytes.length) return;
    const grown = new Uint8Array(Math.max(needed, this.bytes.length * 2));
    grown.set(this.bytes.subarray(0, this.size));
    this.bytes = grown;
    this.view = new DataView(grown.buffer);
  }

  /** Begins a length-delimited field at `depth`. @returns where its payload starts. */
  open(tag: number, depth: number): number {
    this.varint(tag);
    this.reserve(8);
    this.size += this.lengthBytes[depth]!;
    return this.size;
  }

  /** Ends the field whose payload started at `start`, opened at the same `depth`. */
  close(start: number, depth: number): void {
    const reserved = this.lengthBytes[depth]!;
    const length = this.size - start;
    const needed = varintSize(length);
    if (needed !== reserved) {
      this.reserve(8);
      this.bytes.copyWithin(start - reserved + needed, start, this.size);
      this.size += needed - reserved;
      this.lengthBytes[depth] = needed;
    }
    writeVarint(this.bytes, start - reserved, length);
  }

  /** A non-negative safe integer. */
  varint(value: number): void {
    this.reserve(10);
    if (value < 0x80) this.bytes[this.size++] = value;
    else this.size = writeVarint(this.bytes, this.size, value);
  }

  /** A 64-bit varint from its halves, both unsigned. */
  varint64(high: number, low: number): void {
    if (high < 0x20_0000) {
      this.varint(high * TWO_32 + low);
      return;
    }
    this.reserve(10);
    let [upper, lower] = [high, low];
    while (upper !== 0 || lower > 0x7f) {
      this.bytes[this.size++] = (lower & 0x7f) | 0x80;
      lower = ((lower >>> 7) | (upper << 25)) >>> 0;
      upper >>>= 7;
    }
    this.bytes[this.size++] = lower;
  }

  fixed32(value: number): void {
    this.reserve(4);
    this.view.setInt32(this.size, value, true);
    this.size += 4;
  }

  double(value: number): void {
    this.reserve(8);
    this.view.setFloat64(this.size, value, true);
    this.size += 8;
  }

  /**
   * Ends the field whose length was given one byte, at `lengthAt`, and whose payload ends at `stop`:
   * where the length takes more, the payload moves.
   */
  settleLength(lengthAt: number, stop: number): void {
    const length = stop - lengthAt - 1;
    const needed = varintSize(length);
    if (needed > 1) this.bytes.copyWithin(lengthAt + needed, lengthAt + 1, stop);
    writeVarint(this.bytes, lengthAt, length);
    this.size = lengthAt + needed + length;
  }

  /** A copy of `text[start, stop)`. */
  copy(text: Uint8Array, start: number, stop: number): void {
    const count = stop - start;
    this.reserve(count);
    const { bytes, size } = this;
    // A call costs more than a short loop.
    if (count > 48) bytes.set(text.subarray(start, stop), size);
    else for (let index = 0; index < count; index++) bytes[size + index] = text[start + index]!;
    this.size = size + count;
  }
}
