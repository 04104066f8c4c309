/** Appends JSON to one growing buffer, from bytes where bytes are at hand. */
import { dataViewOf } from "../bytes/copy.ts";
import { isUtf8 } from "node:buffer";
import { writeHex } from "../bytes/hex.ts";
import { decodeUtf8Lossy } from "../bytes/utf8.ts";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const ZERO = 0x30;

/** Per ASCII byte: 0 stands for itself, 1 is written as \u00xx, else the letter after a backslash. */
export const ESCAPE: Uint8Array = new Uint8Array(256);
ESCAPE.fill(1, 0, 0x20);
for (const [code, letter] of [
  [0x08, "b"],
  [0x09, "t"],
  [0x0a, "n"],
  [0x0c, "f"],
  [0x0d, "r"],
  [QUOTE, '"'],
  [BACKSLASH, "\\"],
] as const) {
  ESCAPE[code] = letter.charCodeAt(0);
}
/** Not ASCII: what follows must be looked at as UTF-8. */
const WIDE = 2;
ESCAPE.fill(WIDE, 0x80);

export const HEX: Uint8Array = Buffer.from("0123456789abcdef", "latin1");

export class JsonWriter {
  bytes: Uint8Array;
  at: number;
  /** Some text was not UTF-8 and is written with U+FFFD. */
  coerced = false;
  readonly #grow: Grow;
  /** The same bytes. */
  #view!: Buffer;
  #words!: DataView;
  /** The texts of a batch all come from one source. */
  #source: Uint8Array = NO_SOURCE;
  #sourceWords: DataView = NO_WORDS;

  /** Writes to `bytes` from `at` on, and what `grow` makes of them where they are too few. */
  constructor(bytes: Uint8Array, at: number = 0, grow: Grow = grown) {
    this.at = at;
    this.#grow = grow;
    this.#look((this.bytes = bytes));
  }

  /** Makes room for `count` more bytes. */
  reserve(count: number): void {
    const end = this.at + count;
    if (end > this.bytes.length) this.#look((this.bytes = this.#grow(this.bytes, end)));
  }

  #look({ buffer }: Uint8Array): void {
    this.#view = Buffer.from(buffer);
    this.#words = new DataView(buffer);
  }

  byte(value: number): void {
    if (this.at === this.bytes.length) this.reserve(1);
    this.bytes[this.at++] = value;
  }

  /** Bytes as they are. */
  raw(source: Uint8Array): void {
    const { length } = source;
    this.reserve(length);
    const { bytes, at } = this;
    if (length > loopBytesMax) bytes.set(source, at);
    else for (let index = 0; index < length; index++) bytes[at + index] = source[index]!;
    this.at = at + length;
  }

  /** Bytes that stand somewhere before. */
  again(start: number, count: number): void {
    this.reserve(count);
    this.bytes.copyWithin(this.at, start, start + count);
    this.at += count;
  }

  /** Copies what was written from `start` on. */
  copy(start: number, target: Uint8Array, at: number): void {
    this.#view.copy(target, at, start, this.at);
  }

  /** JSON text that is already complete. */
  json(text: string): void {
    this.reserve(text.length * 3);
    this.at += this.#view.write(text, this.at, "utf8");
  }

  /** ASCII that needs no escape, without quotes. */
  ascii(text: string): void {
    this.reserve(text.length);
    const { bytes, at } = this;
    for (let index = 0; index < text.length; index++) bytes[at + index] = text.charCodeAt(index);
    this.at = at + text.length;
  }

  /** A JSON string of the UTF-8 text in `source[start, stop)`. */
  string(source: Uint8Array, start: number, stop: number): void {
    this.reserve(textBytesMax(stop - start));
    if (source !== this.#source) {
      this.#source = source;
      this.#sourceWords = dataViewOf(source);
    }
    this.at = this.#text(this.at, start, stop);
  }

  /** @returns where it ends */
  #text(position: number, start: number, stop: number): number {
    const { bytes } = this;
    const from = this.#sourceWords;
    const to = this.#words;
    let at = position;
    let index = start;
    bytes[at++] = QUOTE;
    while (index < stop) {
      for (; index + 8 <= stop; index += 8, at += 8) {
        const low = from.getInt32(index, true);
        const high = from.getInt32(index + 4, true);
        if (((special(low) | special(high)) & TOP_BITS) !== 0) break;
        to.setInt32(at, low, true);
        to.setInt32(at + 4, high, true);
      }
      const end = Math.min(index + 8, stop);
      for (; index < end; index++) {
        const byte = this.#source[index]!;
        const escape = ESCAPE[byte]!;
        if (escape === 0) bytes[at++] = byte;
        else if (escape === WIDE) return this.#wide(at, index, stop);
        else {
          bytes[at++] = BACKSLASH;
          at = escapeTail(bytes, at, byte, escape);
        }
      }
    }
    bytes[at++] = QUOTE;
    return at;
  }

  /** The rest of a string from its first byte beyond ASCII, and the closing quote. */
  #wide(position: number, start: number, stop: number): number {
    const rest = this.#source.subarray(start, stop);
    let text: Uint8Array = rest;
    if (!isUtf8(rest)) {
      this.coerced = true;
      // One bad byte becomes three.
      text = Buffer.from(decodeUtf8Lossy(rest), "utf8");
    }
    const { bytes } = this;
    let at = position;
    for (const byte of text) {
      const escape = ESCAPE[byte]!;
      if (escape === 0 || escape === WIDE) bytes[at++] = byte;
      else {
        bytes[at++] = BACKSLASH;
        at = escapeTail(bytes, at, byte, escape);
      }
    }
    bytes[at++] = QUOTE;
    return at;
  }

  hex(source: Uint8Array, start: number, stop: number): void {
    const count = stop - start;
    this.reserve(count * 2);
    writeHex(this.bytes, this.at, source, start, count);
    this.at += count * 2;
  }

  /** An unsigned 64-bit little-endian integer as decimal digits. */
  fixed64(source: Uint8Array, start: number): void {
    this.reserve(20);
    const low = uint32(source, start);
    const high = uint32(source, start + 4);
    // value = high·2³² + low, split at 10⁹ without leaving exact doubles.
    const upper = 294_967_296 * (high >>> 16);
    let billions = 4 * high + Math.floor(upper / BILLION) * 65_536;
    let rest = (upper % BILLION) * 65_536 + 294_967_296 * (high & 0xffff) + low;
    billions += Math.floor(rest / BILLION);
    rest %= BILLION;
    if (billions === 0) this.digits(rest);
    else {
      this.digits(billions);
      this.at = nineDigits(this.bytes, this.at, rest);
    }
  }

  /** A non-negative safe integer in decimal. */
  digits(value: number): void {
    this.reserve(16);
    const { bytes } = this;
    if (value < BILLION) {
      this.at = fewDigits(bytes, this.at, value);
      return;
    }
    const upper = Math.floor(value / BILLION);
    this.at = nineDigits(bytes, fewDigits(bytes, this.at, upper), value - upper * BILLION);
  }
}

const BILLION = 1e9;

/** An integer below 10⁹. @returns the position after it */
function fewDigits(bytes: Uint8Array, at: number, value: number): number {
  let count = 1;
  for (let power = 10; power <= value; power *= 10) count++;
  let rest = value;
  for (let digit = count - 1; digit >= 0; digit--) {
    const next = (rest / 10) | 0;
    bytes[at + digit] = ZERO + rest - next * 10;
    rest = next;
  }
  return at + count;
}

/** An integer below 10⁹ with zeros in front. @returns the position after it */
function nineDigits(bytes: Uint8Array, at: number, value: number): number {
  let rest = value;
  for (let digit = 8; digit >= 0; digit--) {
    const next = (rest / 10) | 0;
    bytes[at + digit] = ZERO + rest - next * 10;
    rest = next;
  }
  return at + 9;
}

/** Room that `JsonWriter.string` may take for a text of so many bytes. */
export function textBytesMax(length: number): number {
  return length * 6 + 2;
}

/** Up to so many bytes a loop copies faster than a call does. */
const loopBytesMax = 20;

const NO_SOURCE = new Uint8Array(0);
const NO_WORDS = new DataView(NO_SOURCE.buffer);

const TOP_BITS = 0x80808080;

/** Top bits are set where a byte needs an escape or a look at it as UTF-8. */
function special(word: number): number {
  const quote = word ^ 0x22222222;
  const backslash = word ^ 0x5c5c5c5c;
  // Subtracting sets the top bit of a byte below 0x20, or of one that is the quote or backslash.
  // A borrow may set it in the byte above as well, which is then looked at for nothing.
  return (word - 0x20202020) | (quote - 0x01010101) | (backslash - 0x01010101) | word;
}

/** Makes room up to `end` in bytes that begin with the same ones. */
type Grow = (bytes: Uint8Array, end: number) => Uint8Array;

function grown(bytes: Uint8Array, end: number): Uint8Array {
  const more = new Uint8Array(2 * end);
  more.set(bytes);
  return more;
}

function escapeTail(bytes: Uint8Array, start: number, byte: number, escape: number): number {
  let at = start;
  if (escape === 1) {
    bytes[at++] = 0x75;
    bytes[at++] = 0x30;
    bytes[at++] = 0x30;
    bytes[at++] = HEX[byte >> 4]!;
    bytes[at++] = HEX[byte & 15]!;
  } else bytes[at++] = escape;
  return at;
}

function uint32(source: Uint8Array, at: number): number {
  return (
    (source[at]! | (source[at + 1]! << 8) | (source[at + 2]! << 16) | (source[at + 3]! << 24)) >>> 0
  );
}
