/** Finds the first of equal texts of a request, over its bytes: strings of every id would be garbage. */
import { sameIdProbesMax } from "../limits.ts";

export class TextIndex {
  readonly #bytes: Uint8Array;
  /** By hash, three numbers each: the number given plus one, and the bounds of the text. */
  readonly #slots: Int32Array;
  readonly #mask: number;

  /** @param count of texts at most */
  constructor(bytes: Uint8Array, count: number) {
    let size = 16;
    while (size < count * 2) size *= 2;
    this.#bytes = bytes;
    this.#slots = new Int32Array(size * 3);
    this.#mask = size - 1;
  }

  /**
   * The number given with the first text that equals `bytes[start, stop)`; `number` where that is
   * the first, or where too many others stand in its place.
   */
  firstWith(start: number, stop: number, number: number): number {
    const slots = this.#slots;
    const hash = this.#hash(start, stop);
    for (let probe = 0; probe < sameIdProbesMax; probe++) {
      const slot = ((hash + probe) & this.#mask) * 3;
      if (slots[slot] === 0) {
        slots[slot] = number + 1;
        slots[slot + 1] = start;
        slots[slot + 2] = stop;
        return number;
      }
      if (this.#equals(slots[slot + 1]!, slots[slot + 2]!, start, stop)) return slots[slot]! - 1;
    }
    return number;
  }

  #hash(start: number, stop: number): number {
    const bytes = this.#bytes;
    // FNV-1a.
    let hash = 0x811c9dc5;
    for (let at = start; at < stop; at++) hash = Math.imul(hash ^ bytes[at]!, 0x01000193);
    return hash ^ (hash >>> 15);
  }

  // oxlint-disable-next-line max-params -- two places in the same bytes
  #equals(left: number, leftStop: number, right: number, rightStop: number): boolean {
    if (leftStop - left !== rightStop - right) return false;
    const bytes = this.#bytes;
    for (let at = 0; at < rightStop - right; at++) {
      if (bytes[left + at] !== bytes[right + at]) return false;
    }
    return true;
  }
}
