/**
 * The body of one request, copied once from the chunks that a socket yields. The chunks themselves
 * are not kept: each is a part of a larger buffer that it would keep alive.
 */
import { pool } from "../bytes/pool.ts";
import { bodyAheadBytesMax } from "../limits.ts";
import type { Admission } from "./budget.ts";

/** So many times what has come is made ready for what may come. */
const aheadFactor = 64;

export class Body {
  /** Bytes that came so far. */
  size = 0;
  private buffer: Uint8Array = NOTHING;
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
    const grown = pool.acquire(Math.max(needed, Math.min(room, this.announced)));
    grown.set(this.buffer.subarray(0, this.size));
    pool.release(this.buffer);
    this.buffer = grown;
  }

  /** All that came, to be released by the caller. */
  bytes(): Uint8Array {
    return pool.compact(this.buffer, this.size);
  }
}

const NOTHING = new Uint8Array(0);
