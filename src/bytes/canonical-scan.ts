/**
 * Says whether bytes are a canonical JSON object (RFC 8785) without making a value of them: one
 * pass, no allocation for plain members. Agrees with `parseCanonical` on every input.
 */
import { isUtf8 } from "node:buffer";

import { SpecialBytes } from "./special-bytes.ts";
import { decodeUtf8 } from "./utf8.ts";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COMMA = 0x2c;
const COLON = 0x3a;
const OBJECT_OPEN = 0x7b;
const OBJECT_CLOSE = 0x7d;
const ARRAY_OPEN = 0x5b;
const ARRAY_CLOSE = 0x5d;
const LETTER_U = 0x75;

/** What may follow a backslash, beside `u`: `"`, `\`, b, f, n, r, t. */
const SHORT_ESCAPES = new Set([0x22, 0x5c, 0x62, 0x66, 0x6e, 0x72, 0x74]);
/** Controls that have a short escape and so must not be written as \u00xx. */
const SHORT_CONTROLS = new Set([0x08, 0x09, 0x0a, 0x0c, 0x0d]);
const LITERALS = ["true", "false", "null"].map((text) => Buffer.from(text));

class NotCanonical extends Error {}

/** Nesting is bounded, because the bytes may be anybody's: beyond it the answer is false. */
export function isCanonicalObject(
  bytes: Buffer,
  bounds: { readonly start: number; readonly end: number },
  depthMax: number,
): boolean {
  if (bytes[bounds.start] !== OBJECT_OPEN) return false;
  special.take(bytes, bounds.start, bounds.end);
  const scanner = new Scanner(bounds.end - bounds.start);
  try {
    if (scanner.value(0, depthMax) !== scanner.end) return false;
  } catch (error) {
    if (error instanceof NotCanonical) return false;
    throw error;
  }
  return scanner.ascii || isUtf8(bytes.subarray(bounds.start, bounds.end));
}

const special = new SpecialBytes();

/** Each method takes the place where something begins and answers where it ends. */
class Scanner {
  readonly bytes: Uint8Array = special.text;
  readonly map: Int32Array = special.map;
  readonly end: number;
  ascii = true;
  /** True where the last string had an escape or a byte outside ASCII. */
  special = false;

  constructor(end: number) {
    this.end = end;
  }

  value(start: number, depth: number): number {
    const byte = start < this.end ? this.bytes[start]! : 0;
    if (byte === QUOTE) return this.string(start);
    if (byte === OBJECT_OPEN) return this.object(start, depth - 1);
    if (byte === ARRAY_OPEN) return this.array(start, depth - 1);
    if (byte === 0x2d || (byte >= 0x30 && byte <= 0x39)) return this.number(start);
    return this.literal(start);
  }

  object(start: number, depth: number): number {
    if (depth < 0) throw new NotCanonical();
    const { bytes, end } = this;
    let at = start + 1;
    if (at < end && bytes[at] === OBJECT_CLOSE) return at + 1;
    let previousStart = -1;
    let previousEnd = -1;
    let previousSpecial = false;
    for (;;) {
      if (at >= end || bytes[at] !== QUOTE) throw new NotCanonical();
      const stop = this.string(at);
      const { special } = this;
      if (previousStart >= 0) {
        const ascending =
          special || previousSpecial
            ? this.text(previousStart, previousEnd) < this.text(at, stop)
            : this.ascends(previousStart, previousEnd, at, stop);
        if (!ascending) throw new NotCanonical();
      }
      previousStart = at;
      previousEnd = stop;
      previousSpecial = special;
      if (stop >= end || bytes[stop] !== COLON) throw new NotCanonical();
      at = this.value(stop + 1, depth);
      const next = at < end ? bytes[at] : 0;
      at++;
      if (next === OBJECT_CLOSE) return at;
      if (next !== COMMA) throw new NotCanonical();
    }
  }

  array(start: number, depth: number): number {
    if (depth < 0) throw new NotCanonical();
    const { bytes, end } = this;
    let at = start + 1;
    if (at < end && bytes[at] === ARRAY_CLOSE) return at + 1;
    for (;;) {
      at = this.value(at, depth);
      const next = at < end ? bytes[at] : 0;
      at++;
      if (next === ARRAY_CLOSE) return at;
      if (next !== COMMA) throw new NotCanonical();
    }
  }

  /** Plain names only: their bytes sort as their UTF-16 units do. */
  // oxlint-disable-next-line max-params -- two ranges of the same bytes, on the hot path
  ascends(start: number, end: number, nextStart: number, nextEnd: number): boolean {
    const { bytes } = this;
    // The closing quote is compared too; it is below every character that a plain name may have,
    // except the space and `!`, so lengths decide where one name is the start of the other.
    const length = Math.min(end - start, nextEnd - nextStart) - 1;
    for (let offset = 1; offset < length; offset++) {
      const difference = bytes[start + offset]! - bytes[nextStart + offset]!;
      if (difference !== 0) return difference < 0;
    }
    return end - start < nextEnd - nextStart;
  }

  text(start: number, end: number): string {
    try {
      return JSON.parse(decodeUtf8(this.bytes.subarray(start, end))) as string;
    } catch {
      throw new NotCanonical();
    }
  }

  string(start: number): number {
    const { bytes, end } = this;
    let at = start + 1;
    this.special = false;
    for (;;) {
      at = this.nextSpecial(at);
      if (at >= end) throw new NotCanonical();
      const byte = bytes[at]!;
      if (byte === QUOTE) return at + 1;
      at = this.unusual(byte, at) + 1;
    }
  }

  /** The place of the next special byte, `at` or later; there is one behind the end. */
  nextSpecial(at: number): number {
    const { map } = this;
    let place = at >> 5;
    let word = map[place]! >>> (at & 31);
    if (word !== 0) return at + firstBit(word);
    do word = map[++place]!;
    while (word === 0);
    return place * 32 + firstBit(word);
  }

  /** Returns the position of the last byte of what is no plain character. */
  unusual(byte: number, at: number): number {
    this.special = true;
    if (byte === BACKSLASH) return this.escape(at + 1);
    if (byte < 0x20) throw new NotCanonical();
    this.ascii = false;
    return at;
  }

  /** Returns the position of the escape's last byte. */
  escape(at: number): number {
    const byte = at < this.end ? this.bytes[at]! : 0;
    if (SHORT_ESCAPES.has(byte)) return at;
    if (byte !== LETTER_U || at + 4 >= this.end) throw new NotCanonical();
    const digits = Buffer.from(this.bytes.subarray(at + 1, at + 5)).toString("latin1");
    const code = /^00[01][0-9a-f]$/.test(digits) ? Number.parseInt(digits, 16) : -1;
    if (code < 0 || SHORT_CONTROLS.has(code)) throw new NotCanonical();
    return at + 4;
  }

  number(start: number): number {
    const { bytes, end } = this;
    let at = start;
    while (at < end && bytes[at]! >= 0x30 && bytes[at]! <= 0x39) at++;
    const digits = at - start;
    const next = at < end ? bytes[at]! : 0;
    const whole = next !== 0x2e && next !== 0x65 && next !== 0x45 && digits > 0 && digits < 16;
    if (whole && (bytes[start] !== 0x30 || digits === 1)) return at;
    while (at < end && isNumberByte(bytes[at]!)) at++;
    const text = Buffer.from(bytes.subarray(start, at)).toString("latin1");
    if (!Number.isFinite(Number(text)) || String(Number(text)) !== text) throw new NotCanonical();
    return at;
  }

  literal(start: number): number {
    for (const literal of LITERALS) {
      let length = 0;
      while (length < literal.length && this.bytes[start + length] === literal[length]) length++;
      const isWhole = length === literal.length && start + length <= this.end;
      if (isWhole) return start + length;
    }
    throw new NotCanonical();
  }
}

function firstBit(word: number): number {
  return 31 - Math.clz32(word & -word);
}

/** A digit, `+`, `-`, `.`, `e` or `E`. */
function isNumberByte(byte: number): boolean {
  if (byte >= 0x30 && byte <= 0x39) return true;
  return byte === 0x2b || byte === 0x2d || byte === 0x2e || byte === 0x65 || byte === 0x45;
}
