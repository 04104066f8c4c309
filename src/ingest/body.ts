/**
 * The body of one request, copied once from the chunks that a socket yields. The chunks themselves
 * are not kept: each is a part of a larger buffer that it would keep alive.
 */
import { bodyAheadBytesMax } from "../limits.ts";
import type { Admission } from "./budget.ts";

/** So many times what has come is made ready for what may come. */
const aheadFactor = 64;

export class Body {
  /** Bytes that came so far. */
  size = 0;
  private buffer: Buffer = Buffer.alloc(0);
  private readonly admission: Admission;
  private readonly announced: number;

  /** @param announced bytes that the sender said it would send; Infinity where it did not say */
  constructor(admission: Admission, announced: number) {
    this.admission = admission;
    this.announced = announced;
  }

  /** @throws Refusal `overloaded`, with nothing more taken. */
  push(chunk: Buffer): void {
    const size = this.size + chunk.length;
    this.admission.take(chunk.length);
    if (size > this.buffer.length) this.grow(size);
    chunk.copy(this.buffer, this.size);
    this.size = size;
  }

  /** Nothing is believed that was only announced: a sender gets room for what it really sends. */
  private grow(needed: number): void {
    const ahead = Math.min(needed * aheadFactor, bodyAheadBytesMax);
    const room = Math.max(needed, ahead, 2 * this.buffer.length);
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, Math.min(room, this.announced)));
    this.buffer.copy(grown, 0, 0, this.size);
    this.buffer = grown;
  }

  /** All that came, in a buffer of just that size. */
  bytes(): Buffer {
    const { buffer, size } = this;
    return size === buffer.length ? buffer : copyOf(buffer.subarray(0, size));
  }
}

/** A copy that keeps nothing else alive. */
export function copyOf(bytes: Buffer): Buffer {
  const copy = Buffer.allocUnsafeSlow(bytes.length);
  bytes.copy(copy);
  return copy;
}
