/**
 * Reads the fixed template of a line part by part: the text before a value, byte for byte, then the
 * value by its own rule. Bytes are looked at one by one and nothing is made of them but numbers.
 */
import { dataViewOf } from "../bytes/copy.ts";
import { chainNameCharsMax } from "../limits.ts";
import { FormatError, type FormatErrorCode } from "./format-error.ts";

/** What stands before a value, from the value before on, and what the value is called. */
export interface Part {
  readonly name: string;
  readonly byteCount: number;
  /** Two bytes each, and where they begin in the text; the last may overlap. */
  readonly words: readonly number[];
  readonly wordsAt: readonly number[];
  readonly code: FormatErrorCode;
}

const wordBytes = 2;

export function part(name: string, before: string, code: FormatErrorCode = "bad_head"): Part {
  const text = Buffer.from(before, "latin1");
  const count = Math.ceil(text.length / wordBytes);
  const wordsAt = Array.from({ length: count }, (_, word) =>
    Math.min(word * wordBytes, text.length - wordBytes),
  );
  const words = wordsAt.map((at) => text.readUInt16LE(at));
  return { name, byteCount: text.length, words, wordsAt, code };
}

const SPACE = 0x20;
const COLON = 0x3a;
const ZERO = 0x30;
const keyCheckDigits = 8;
const integerDigitsMax = 16;
const epochDigitsMax = 15;
const timeDigitsMax = 20;
const kindCharsMax = 32;

/** Bytes by class: bits for hexadecimal digits, letters of a kind, characters of a chain's name. */
const HEX = 1;
const KIND = 2;
const NAME = 4;
const CLASS = new Uint8Array(256);
for (const byte of Buffer.from("0123456789abcdef")) CLASS[byte]! |= HEX;
for (const byte of Buffer.from("abcdefghijklmnopqrstuvwxyz_")) CLASS[byte]! |= KIND;
// Visible ASCII and the space, without what JSON escapes.
for (let byte = SPACE; byte < 0x7f; byte++) CLASS[byte]! |= NAME;
for (const byte of Buffer.from('"\\')) CLASS[byte]! &= ~NAME;

/** By two bytes, the first one lower: 1 for two hexadecimal digits. */
const HEX_PAIR = Uint8Array.from(
  { length: 65_536 },
  (_, pair) => CLASS[pair & 255]! & CLASS[pair >> 8]! & HEX,
);

/** Answers where values begin, and numbers. */
export class LineCursor {
  #bytes: Uint8Array = new Uint8Array(0);
  /** Of the same bytes: several at a time are quicker than one by one. */
  #view = new DataView(this.#bytes.buffer);
  #start = 0;
  #end = 0;
  /** Place of the next byte in the bytes. */
  at = 0;

  begin(bytes: Uint8Array, start: number, end: number): void {
    if (bytes !== this.#bytes) {
      this.#bytes = bytes;
      this.#view = dataViewOf(bytes);
    }
    this.#start = start;
    this.#end = end;
    this.at = start;
  }

  /** True where the part's text stands here; moves nothing. */
  sees({ byteCount, words, wordsAt }: Part): boolean {
    const { at } = this;
    if (at + byteCount > this.#end) return false;
    const view = this.#view;
    for (let word = 0; word < words.length; word++) {
      if (view.getUint16(at + wordsAt[word]!, true) !== words[word]) return false;
    }
    return true;
  }

  /** Answers where the value begins. */
  expect(wanted: Part): number {
    if (!this.sees(wanted)) throw this.#mismatch(wanted);
    return (this.at += wanted.byteCount);
  }

  /** Lower-case hexadecimal of `digits` digits. */
  hex(wanted: Part, digits: number): number {
    const start = this.expect(wanted);
    if (this.#passesHex(digits)) return start;
    this.#while(HEX, digits);
    throw this.#mismatch(wanted);
  }

  /** A decimal number below 2^53. */
  integer(wanted: Part): number {
    const start = this.expect(wanted);
    this.#digits(wanted, integerDigitsMax);
    const value = this.#number(start, this.at);
    if (Number.isSafeInteger(value)) return value;
    throw new FormatError("bad_head", `${wanted.name} is not below 2^53`);
  }

  time(wanted: Part): number {
    const start = this.expect(wanted);
    this.#digits(wanted, timeDigitsMax);
    return start;
  }

  /** `<epoch>:<8 hex digits>`. */
  keyName(wanted: Part): number {
    const start = this.expect(wanted);
    this.#digits(wanted, epochDigitsMax);
    const isEpoch = this.#bytes[start] !== ZERO && this.at < this.#end;
    if (!isEpoch || this.#bytes[this.at++] !== COLON) throw this.#mismatch(wanted);
    if (this.#while(HEX, keyCheckDigits) < keyCheckDigits) throw this.#mismatch(wanted);
    return start;
  }

  kind(wanted: Part): number {
    const start = this.expect(wanted);
    if (this.#while(KIND, kindCharsMax) === 0) throw this.#mismatch(wanted);
    return start;
  }

  /** Neither begins nor ends with a space. */
  chainName(wanted: Part): number {
    const start = this.expect(wanted);
    const isEmpty = this.#while(NAME, chainNameCharsMax) === 0;
    const isPadded = this.#bytes[start] === SPACE || this.#bytes[this.at - 1] === SPACE;
    if (isEmpty || isPadded) throw this.#mismatch(wanted);
    return start;
  }

  /** Passes an even number of digits; moves nothing where there are fewer. */
  #passesHex(digits: number): boolean {
    const view = this.#view;
    const stop = this.at + digits;
    if (stop > this.#end) return false;
    for (let at = this.at; at < stop; at += 2) {
      if (HEX_PAIR[view.getUint16(at, true)] === 0) return false;
    }
    this.at = stop;
    return true;
  }

  /** Passes up to `countMax` bytes of a class; answers how many. */
  #while(wantedClass: number, countMax: number): number {
    const bytes = this.#bytes;
    const start = this.at;
    const limit = Math.min(this.#end, start + countMax);
    let at = start;
    while (at < limit && (CLASS[bytes[at]!]! & wantedClass) !== 0) at++;
    this.at = at;
    return at - start;
  }

  /** Passes decimal digits without leading zero. */
  #digits(wanted: Part, countMax: number): void {
    const bytes = this.#bytes;
    const start = this.at;
    const limit = Math.min(this.#end, start + countMax);
    let at = start;
    while (at < limit && bytes[at]! >= ZERO && bytes[at]! <= ZERO + 9) at++;
    const isPadded = bytes[start] === ZERO && at > start + 1;
    if (at === start || isPadded) throw this.#mismatch(wanted);
    this.at = at;
  }

  /** Of digits. Beyond 2^53 the sum is rounded, but stays beyond. */
  #number(start: number, end: number): number {
    let value = 0;
    for (let at = start; at < end; at++) value = value * 10 + (this.#bytes[at]! - ZERO);
    return value;
  }

  #mismatch({ name, code }: Part): FormatError {
    return new FormatError(code, `expected ${name} at byte ${this.at - this.#start} of the line`);
  }
}
