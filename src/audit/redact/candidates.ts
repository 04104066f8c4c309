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

/** What digits say, of which some may have been tags and lengths beside the value. */
export const FROM_DIGITS: number = NUMBERS | DOTTED;
export const EVERYTHING = 0x0fff;
/** What a key says about its value, which stands in another field. */
export const FROM_KEY: number = SECRET_WORD | PERSON_WORD | RULE;

/** The bits of a key that hold for its value: what is written in escapes may be any word. */
export function fromKey(bits: number): number {
  return (bits & HIDDEN) === 0 ? bits & FROM_KEY : FROM_KEY;
}

/** Each candidate is one number, so that they sort as numbers do: offset, then `bitsWidth` bits. */
const bitsWidth = 2 ** 13;

const lateEntriesMax = 8;

/** What a scan tells what it found. */
export interface Finder {
  add(offset: number, bits: number): void;
}

/** Candidates of one text or request, found once and then asked for by range. */
export class Candidates implements Finder {
  private entries: number[] = [];
  private sorted = true;
  /** Where the last question began: the next one mostly begins there or soon behind. */
  private cursor = 0;

  get count(): number {
    return this.entries.length;
  }

  add(offset: number, bits: number): void {
    const { entries } = this;
    const entry = offset * bitsWidth + bits;
    let at = entries.length;
    entries.push(entry);
    // Most that come late come a little late: a number is found to its end before what is in it.
    const lateMost = Math.max(0, at - lateEntriesMax);
    for (; at > lateMost && entries[at - 1]! > entry; at--) entries[at] = entries[at - 1]!;
    entries[at] = entry;
    if (at > 0 && entries[at - 1]! > entry) this.sorted = false;
  }

  /** All bits of candidates in `[start, stop)`. */
  between(start: number, stop: number): number {
    const end = stop * bitsWidth;
    let found = 0;
    let at = this.firstFrom(start);
    for (const { entries } = this; at < entries.length && entries[at]! < end; at++) {
      found |= entries[at]! % bitsWidth;
    }
    return found;
  }

  any(start: number, stop: number): boolean {
    const at = this.firstFrom(start);
    return at < this.entries.length && this.entries[at]! < stop * bitsWidth;
  }

  private firstFrom(start: number): number {
    if (!this.sorted) this.sort();
    const { entries, cursor } = this;
    const size = entries.length;
    const first = start * bitsWidth;
    if (cursor === 0 || entries[cursor - 1]! < first) {
      if (cursor === size || entries[cursor]! >= first) return cursor;
    }
    let low = 0;
    let high = size;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (entries[middle]! < first) low = middle + 1;
      else high = middle;
    }
    this.cursor = low;
    return low;
  }

  private sort(): void {
    this.entries = [...Float64Array.from(this.entries).toSorted()];
    this.sorted = true;
    this.cursor = 0;
  }
}
