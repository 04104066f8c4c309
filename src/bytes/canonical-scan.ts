/**
 * Says whether bytes are a canonical JSON object (RFC 8785) without making a value of them: one
 * pass, no allocation for plain members. Agrees with `parseCanonical` on every input.
 */
import { isUtf8 } from "node:buffer";

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
  bytes: Uint8Array,
  bounds: { readonly start: number; readonly end: number },
  depthMax: number,
): boolean {
  if (bytes[bounds.start] !== OBJECT_OPEN) return false;
  const scanner = new Scanner(bytes, bounds.start, bounds.end);
  try {
    scanner.value(depthMax);
  } catch (error) {
    if (error instanceof NotCanonical) return false;
    throw error;
  }
  if (scanner.at !== bounds.end) return false;
  return scanner.ascii || isUtf8(bytes.subarray(bounds.start, bounds.end));
}

class Scanner {
  readonly bytes: Uint8Array;
  readonly end: number;
  at: number;
  ascii = true;
  /** True where the last string had an escape or a byte outside ASCII. */
  special = false;

  constructor(bytes: Uint8Array, start: number, end: number) {
    this.bytes = bytes;
    this.at = start;
    this.end = end;
  }

  value(depth: number): void {
    const byte = this.at < this.end ? this.bytes[this.at]! : 0;
    if (byte === QUOTE) this.string();
    else if (byte === OBJECT_OPEN) this.object(depth - 1);
    else if (byte === ARRAY_OPEN) this.array(depth - 1);
    else if (byte === 0x2d || (byte >= 0x30 && byte <= 0x39)) this.number();
    else this.literal();
  }

  object(depth: number): void {
    if (depth < 0) throw new NotCanonical();
    this.at++;
    if (this.take(OBJECT_CLOSE)) return;
    let previousStart = -1;
    let previousEnd = -1;
    let previousSpecial = false;
    for (;;) {
      const start = this.at;
      if (this.bytes[start] !== QUOTE || start >= this.end) throw new NotCanonical();
      this.string();
      const stop = this.at;
      const special = this.special;
      if (previousStart >= 0) {
        const plain = !special && !previousSpecial;
        const ascending = plain
          ? this.ascends(previousStart, previousEnd, start, stop)
          : this.text(previousStart, previousEnd) < this.text(start, stop);
        if (!ascending) throw new NotCanonical();
      }
      previousStart = start;
      previousEnd = stop;
      previousSpecial = special;
      this.expect(COLON);
      this.value(depth);
      if (this.take(OBJECT_CLOSE)) return;
      this.expect(COMMA);
    }
  }

  array(depth: number): void {
    if (depth < 0) throw new NotCanonical();
    this.at++;
    if (this.take(ARRAY_CLOSE)) return;
    for (;;) {
      this.value(depth);
      if (this.take(ARRAY_CLOSE)) return;
      this.expect(COMMA);
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

  string(): void {
    const { bytes, end } = this;
    let at = this.at + 1;
    this.special = false;
    for (; at < end; at++) {
      const byte = bytes[at]!;
      // One comparison for both ends of ASCII without controls.
      if (byte !== QUOTE && byte !== BACKSLASH && (byte - 0x20) >>> 0 < 0x60) continue;
      if (byte === QUOTE) {
        this.at = at + 1;
        return;
      }
      at = this.unusual(byte, at);
    }
    throw new NotCanonical();
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

  number(): void {
    const { bytes, end } = this;
    const start = this.at;
    let at = start;
    let value = 0;
    while (at < end && bytes[at]! >= 0x30 && bytes[at]! <= 0x39) {
      value = value * 10 + bytes[at++]! - 0x30;
    }
    const digits = at - start;
    const next = at < end ? bytes[at]! : 0;
    const whole = next !== 0x2e && next !== 0x65 && next !== 0x45 && digits > 0 && digits < 16;
    if (whole && (bytes[start] !== 0x30 || digits === 1)) {
      this.at = at;
      return;
    }
    while (at < end && isNumberByte(bytes[at]!)) at++;
    const text = Buffer.from(bytes.subarray(start, at)).toString("latin1");
    if (!Number.isFinite(Number(text)) || String(Number(text)) !== text) throw new NotCanonical();
    this.at = at;
  }

  literal(): void {
    for (const literal of LITERALS) {
      let length = 0;
      while (length < literal.length && this.bytes[this.at + length] === literal[length]) length++;
      if (length === literal.length && this.at + length <= this.end) {
        this.at += length;
        return;
      }
    }
    throw new NotCanonical();
  }

  take(byte: number): boolean {
    if (this.at >= this.end || this.bytes[this.at] !== byte) return false;
    this.at++;
    return true;
  }

  expect(byte: number): void {
    if (!this.take(byte)) throw new NotCanonical();
  }
}

/** A digit, `+`, `-`, `.`, `e` or `E`. */
function isNumberByte(byte: number): boolean {
  if (byte >= 0x30 && byte <= 0x39) return true;
  return byte === 0x2b || byte === 0x2d || byte === 0x2e || byte === 0x65 || byte === 0x45;
}
