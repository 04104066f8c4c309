/**
 * The protobuf wire format, read in place. A reader walks the fields of one message and yields
 * bounds into the bytes it was given; nothing is copied and nothing is decoded until asked for.
 *
 * Source: protobuf.dev/programming-guides/encoding.
 */
import { nestingDepthMax } from "../limits.ts";

export const VARINT = 0;
export const FIXED64 = 1;
export const LENGTH_DELIMITED = 2;
export const GROUP_START = 3;
export const GROUP_END = 4;
export const FIXED32 = 5;

/** Bytes that no decoder could accept: the sender's fault, never retryable. */
export class WireError extends Error {
  override name = "WireError";
  readonly code: "malformed" | "too_deep";
  readonly offset: number;

  constructor(code: "malformed" | "too_deep", message: string, offset: number) {
    super(`${message} at byte ${offset}`);
    this.code = code;
    this.offset = offset;
  }
}

/**
 * Steps through the fields of one message. After `next()` returned true, `field` and `wireType`
 * name the field, `tagStart` is where its tag begins, and its payload is `bytes[start, stop)`
 * (for a varint the varint itself, for a group what lies between its tags).
 */
export class WireReader {
  readonly bytes: Uint8Array;
  readonly end: number;
  position: number;
  field = 0;
  wireType = 0;
  tagStart = 0;
  start = 0;
  stop = 0;

  constructor(bytes: Uint8Array, start: number = 0, end: number = bytes.length) {
    this.bytes = bytes;
    this.position = start;
    this.end = end;
  }

  /** @throws WireError where the bytes are no protobuf message. */
  next(): boolean {
    if (this.position >= this.end) return false;
    this.tagStart = this.position;
    const tag = this.length();
    this.field = tag >>> 3;
    this.wireType = tag & 7;
    if (this.field === 0) throw new WireError("malformed", "field number 0", this.tagStart);
    this.start = this.position;
    this.skipPayload();
    return true;
  }

  private skipPayload(): void {
    switch (this.wireType) {
      case LENGTH_DELIMITED: {
        const size = this.length();
        this.start = this.position;
        this.advance(size);
        this.stop = this.position;
        return;
      }
      case VARINT:
        this.skipVarint();
        this.stop = this.position;
        return;
      case FIXED64:
        this.advance(8);
        this.stop = this.position;
        return;
      case FIXED32:
        this.advance(4);
        this.stop = this.position;
        return;
      case GROUP_START:
        this.skipGroup();
        return;
      default:
        throw new WireError("malformed", `wire type ${this.wireType}`, this.tagStart);
    }
  }

  private advance(size: number): void {
    if (size > this.end - this.position) {
      throw new WireError("malformed", "truncated field", this.tagStart);
    }
    this.position += size;
  }

  /** A tag or a length: an unsigned 32-bit varint, at most five bytes. */
  private length(): number {
    const { bytes, end } = this;
    let value = 0;
    let scale = 1;
    for (let count = 0; count < 5; count++) {
      if (this.position >= end) break;
      const byte = bytes[this.position++]!;
      value += (byte & 0x7f) * scale;
      if (byte < 0x80) {
        if (value > 0xffff_ffff) break;
        return value;
      }
      scale *= 128;
    }
    throw new WireError("malformed", "truncated or overlong varint", this.tagStart);
  }

  private skipVarint(): void {
    for (let count = 0; count < 10; count++) {
      if (this.position >= this.end) break;
      if (this.bytes[this.position++]! < 0x80) return;
    }
    throw new WireError("malformed", "truncated or overlong varint", this.tagStart);
  }

  /** Groups are deprecated but legal in unknown fields. Iterative: depth is the sender's. */
  private skipGroup(): void {
    const { tagStart, start, field } = this;
    const open: number[] = [field];
    while (open.length > 0) {
      if (open.length > nestingDepthMax) {
        throw new WireError("too_deep", `groups nested deeper than ${nestingDepthMax}`, tagStart);
      }
      if (this.position >= this.end) throw new WireError("malformed", "unclosed group", tagStart);
      const before = this.position;
      const tag = this.length();
      this.field = tag >>> 3;
      this.wireType = tag & 7;
      if (this.field === 0) throw new WireError("malformed", "field number 0", before);
      if (this.wireType === GROUP_START) open.push(this.field);
      else if (this.wireType === GROUP_END) {
        if (open.pop() !== this.field) {
          throw new WireError("malformed", "mismatched group end", before);
        }
        this.stop = before;
      } else this.skipPayload();
    }
    this.tagStart = tagStart;
    this.start = start;
    this.field = field;
    this.wireType = GROUP_START;
  }

  /** The current varint as an unsigned 64-bit value. */
  uint64(): bigint {
    let value = 0n;
    let shift = 0n;
    for (let at = this.start; at < this.stop; at++) {
      value |= BigInt(this.bytes[at]! & 0x7f) << shift;
      shift += 7n;
    }
    return BigInt.asUintN(64, value);
  }

  /** The current varint as a signed 64-bit value (int64, not zigzag). */
  int64(): bigint {
    return BigInt.asIntN(64, this.uint64());
  }

  /** The low 32 bits of the current varint, unsigned: enums, flags, booleans. */
  uint32(): number {
    let value = 0;
    const stop = Math.min(this.stop, this.start + 5);
    for (let at = this.start, shift = 0; at < stop; at++, shift += 7) {
      value |= (this.bytes[at]! & 0x7f) << shift;
    }
    return value >>> 0;
  }

  /** The current fixed64 as an unsigned value. */
  fixed64(): bigint {
    const view = new DataView(this.bytes.buffer, this.bytes.byteOffset + this.start, 8);
    return view.getBigUint64(0, true);
  }

  /** The current fixed64 as a double. */
  double(): number {
    const view = new DataView(this.bytes.buffer, this.bytes.byteOffset + this.start, 8);
    return view.getFloat64(0, true);
  }

  /** The payload as a view into the bytes, not a copy. */
  payload(): Uint8Array {
    return this.bytes.subarray(this.start, this.stop);
  }

  /** A reader over the current payload as a message. */
  message(): WireReader {
    return new WireReader(this.bytes, this.start, this.stop);
  }
}

/** Bytes that `value` takes as a varint. `value` is a non-negative safe integer. */
export function varintSize(value: number): number {
  let size = 1;
  for (let rest = value; rest >= 128; rest = Math.floor(rest / 128)) size++;
  return size;
}

/** Writes `value` (non-negative safe integer) as a varint and returns the position after it. */
export function writeVarint(target: Uint8Array, position: number, value: number): number {
  let rest = value;
  let at = position;
  while (rest >= 128) {
    target[at++] = (rest % 128) | 0x80;
    rest = Math.floor(rest / 128);
  }
  target[at++] = rest;
  return at;
}
