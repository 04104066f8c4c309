/**
 * Places where something sensitive may be: what the cheap scan yields and the detectors look at.
 * A candidate is an offset inside the value it stands for, with the reasons as bits.
 */

/** Runs of digits that may be a card, an SSN, a telephone number. */
export const NUMBERS = 1;
export const AT_SIGN = 2;
/** Four groups of digits between dots. */
export const DOTTED = 4;
export const COLONS = 8;
/** Two capital letters and two digits. */
export const IBAN_HEAD = 16;
/** The beginning of a token with a fixed prefix. */
export const LITERAL = 32;
/** `bearer` or `basic`. */
export const SCHEME = 64;
/** A word that names a secret, in a key or before a value. */
export const SECRET_WORD = 128;
/** A word that says that a date or a number is a person's. */
export const PERSON_WORD = 256;
/** An integer or a double large enough to be an identifier. */
export const INTEGER = 512;
/** Characters written as escapes or look-alikes: anything may hide there. */
export const HIDDEN = 1024;
/** An operator's rule must look. */
export const RULE = 2048;
/** A name of a declared table: the item may hold its rows. */
export const TABLE = 4096;

export const EVERYTHING = 0x0fff;
/** What a key says about its value, which stands in another field. */
export const FROM_KEY: number = SECRET_WORD | PERSON_WORD | RULE;

/** Offsets in ascending order, found once per request and then asked for by range. */
export class Candidates {
  private offsets: number[] = [];
  private bits: number[] = [];
  private sorted = true;

  get count(): number {
    return this.offsets.length;
  }

  add(offset: number, bits: number): void {
    const last = this.offsets.length - 1;
    if (last >= 0 && this.offsets[last]! > offset) this.sorted = false;
    this.offsets.push(offset);
    this.bits.push(bits);
  }

  /** All bits of candidates in `[start, stop)`. */
  between(start: number, stop: number): number {
    let found = 0;
    for (let at = this.firstFrom(start); at < this.offsets.length; at++) {
      if (this.offsets[at]! >= stop) break;
      found |= this.bits[at]!;
    }
    return found;
  }

  any(start: number, stop: number): boolean {
    const at = this.firstFrom(start);
    return at < this.offsets.length && this.offsets[at]! < stop;
  }

  private firstFrom(start: number): number {
    if (!this.sorted) this.sort();
    const { offsets } = this;
    let low = 0;
    let high = offsets.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (offsets[middle]! < start) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private sort(): void {
    const order = Array.from(this.offsets.keys());
    order.sort((left, right) => this.offsets[left]! - this.offsets[right]!);
    this.bits = order.map((at) => this.bits[at]!);
    this.offsets = order.map((at) => this.offsets[at]!);
    this.sorted = true;
  }
}
