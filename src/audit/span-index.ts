/**
 * Finds the parent of a span within its trace and request. A table of its own over the bytes of the
 * ids, because every span of every request is looked up.
 */
import { sameIdProbesMax } from "../limits.ts";
import type { Item } from "./walk/items.ts";

/** There is no parent in this request. */
const NO_PARENT = -1;
/** Spans with the same id name different parents. */
export const DISPUTED = -2;

const UNKNOWN = -3;

export class SpanIndex {
  readonly #bytes: Uint8Array;
  readonly #spanAt: number[] = [];
  readonly #parentAt: number[] = [];
  readonly #traces: number[] = [];
  /** By hash: the first span with an id, plus one. */
  #slots = new Int32Array(0);
  /** By span: the next one with the same id, or -1. */
  #next = new Int32Array(0);
  #parents = new Int32Array(0);

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Every span in the order of the request, before the first question. */
  add({ spanAt, parentAt }: Item, trace: number): void {
    this.#spanAt.push(trace < 0 ? -1 : spanAt);
    this.#parentAt.push(trace < 0 ? -1 : parentAt);
    this.#traces.push(trace);
  }

  /** The first span with the id that `span` names as its parent, or NO_PARENT. */
  parent(span: number): number {
    const parentAt = this.#parentAt[span]!;
    if (parentAt < 0) return NO_PARENT;
    if (this.#slots.length === 0) this.#build();
    const known = this.#parents[span]!;
    if (known !== UNKNOWN) return known;
    const slot = this.#slot(parentAt, this.#traces[span]!);
    const found = slot < 0 ? NO_PARENT : this.#slots[slot]! - 1;
    this.#parents[span] = found;
    return found;
  }

  /** The parent that all spans with the id of `first` have, NO_PARENT or DISPUTED. */
  parentOfAlike(first: number): number {
    const parent = this.parent(first);
    for (let span = this.nextAlike(first); span >= 0; span = this.nextAlike(span)) {
      if (this.parent(span) !== parent) return DISPUTED;
    }
    return parent;
  }

  /** The next span with the same id in the same trace, or -1. */
  nextAlike(span: number): number {
    return this.#next[span]!;
  }

  #build(): void {
    const count = this.#spanAt.length;
    let size = 16;
    while (size < count * 2) size *= 2;
    this.#slots = new Int32Array(size);
    this.#next = new Int32Array(count).fill(-1);
    this.#parents = new Int32Array(count).fill(UNKNOWN);
    for (let span = count - 1; span >= 0; span--) {
      const at = this.#spanAt[span]!;
      const slot = at < 0 ? -1 : this.#slot(at, this.#traces[span]!);
      if (slot < 0) continue;
      this.#next[span] = this.#slots[slot]! - 1;
      this.#slots[slot] = span + 1;
    }
  }

  /** Where an id stands or would stand. @returns -1 where too many others stand in its place */
  #slot(at: number, trace: number): number {
    const bytes = this.#bytes;
    const low = word(bytes, at);
    const high = word(bytes, at + 4);
    let hash = Math.imul(low ^ Math.imul(high, 0x9e3779b1), 0x85ebca6b);
    hash = Math.imul(hash ^ (hash >>> 15) ^ Math.imul(trace, 0xc2b2ae35), 0x27d4eb2f);
    hash ^= hash >>> 13;
    const mask = this.#slots.length - 1;
    for (let probe = 0; probe < sameIdProbesMax; probe++) {
      const slot = (hash + probe) & mask;
      const other = this.#slots[slot]! - 1;
      if (other < 0) return slot;
      if (this.#traces[other] !== trace) continue;
      const otherAt = this.#spanAt[other]!;
      if (word(bytes, otherAt) === low && word(bytes, otherAt + 4) === high) return slot;
    }
    return -1;
  }
}

function word(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}
