/** Appends JSON to one growing buffer, from bytes where bytes are at hand. */
import { decodeUtf8, decodeUtf8Lossy } from "../bytes/utf8.ts";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

/** Per ASCII byte: 0 stands for itself, 1 is written as \u00xx, else the letter after a backslash. */
const ESCAPE = new Uint8Array(256);
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

const HEX = Buffer.from("0123456789abcdef", "latin1");

export class JsonWriter {
  bytes: Uint8Array;
  at = 0;
  /** Some text was not UTF-8 and is written with U+FFFD. */
  coerced = false;
  #view: Buffer;
  #words: DataView;
  /** The texts of a batch all come from one source. */
  #source: Uint8Array = NO_SOURCE;
  #sourceWords: DataView = NO_WORDS;

  constructor(size: number) {
    this.bytes = blank(size);
    this.#view = Buffer.from(this.bytes.buffer);
    this.#words = new DataView(this.bytes.buffer);
  }

  /** Makes room for `count` more bytes. */
  reserve(count: number): void {
    if (this.at + count <= this.bytes.length) return;
    let size = this.bytes.length * 2;
    while (size < this.at + count) size *= 2;
    const bytes = blank(size);
    bytes.set(this.bytes.subarray(0, this.at));
    this.bytes = bytes;
    this.#view = Buffer.from(bytes.buffer);
    this.#words = new DataView(bytes.buffer);
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
    this.reserve((stop - start) * 6 + 2);
    if (source !== this.#source) {
      this.#source = source;
      this.#sourceWords = new DataView(source.buffer, source.byteOffset, source.length);
    }
    const { bytes } = this;
    const from = this.#sourceWords;
    const to = this.#words;
    let at = this.at;
    bytes[at++] = QUOTE;
    for (let index = start; index < stop;) {
      while (index + 4 <= stop) {
        const word = from.getInt32(index, true);
        if (!isPlain(word)) break;
        to.setInt32(at, word, true);
        index += 4;
        at += 4;
      }
      if (index === stop) break;
      const byte = source[index]!;
      const escape = ESCAPE[byte]!;
      if (escape === 0) {
        bytes[at++] = byte;
        index++;
        continue;
      }
      if (escape === WIDE) {
        this.at = at;
        this.#wide(source, index, stop);
        return;
      }
      bytes[at++] = BACKSLASH;
      at = escapeTail(bytes, at, byte, escape);
      index++;
    }
    bytes[at++] = QUOTE;
    this.at = at;
  }

  /** The rest of a string from its first byte beyond ASCII, and the closing quote. */
  #wide(source: Uint8Array, start: number, stop: number): void {
    const rest = source.subarray(start, stop);
    let text: Uint8Array = rest;
    if (!wellFormed(rest)) {
      this.coerced = true;
      text = Buffer.from(decodeUtf8Lossy(rest), "utf8");
      // One bad byte becomes three.
      this.reserve(text.length * 6 + 2);
    }
    const { bytes } = this;
    let at = this.at;
    for (const byte of text) {
      const escape = ESCAPE[byte]!;
      if (escape === 0 || escape === WIDE) bytes[at++] = byte;
      else {
        bytes[at++] = BACKSLASH;
        at = escapeTail(bytes, at, byte, escape);
      }
    }
    bytes[at++] = QUOTE;
    this.at = at;
  }

  /** `length` bytes of `source`, which has eight more behind them. */
  run(source: DataView, start: number, length: number): void {
    this.reserve(length + 8);
    const { at } = this;
    const to = this.#words;
    for (let offset = 0; offset < length; offset += 8) {
      to.setBigInt64(at + offset, source.getBigInt64(start + offset, true), true);
    }
    this.at = at + length;
  }

  /** A JSON string of `count` bytes as hexadecimal. */
  hexText(source: Uint8Array, start: number, count: number): void {
    this.byte(QUOTE);
    this.hex(source, start, start + count);
    this.byte(QUOTE);
  }

  hex(source: Uint8Array, start: number, stop: number): void {
    this.reserve((stop - start) * 2);
    const { bytes } = this;
    let at = this.at;
    for (let index = start; index < stop; index++) {
      const byte = source[index]!;
      bytes[at++] = HEX[byte >> 4]!;
      bytes[at++] = HEX[byte & 15]!;
    }
    this.at = at;
  }

  /** An unsigned 64-bit little-endian integer as decimal digits. */
  fixed64(source: Uint8Array, start: number): void {
    this.reserve(20);
    const low = uint32(source, start);
    const high = uint32(source, start + 4);
    // value = high·2³² + low, split at 10⁹ without leaving exact doubles.
    const upper = 294_967_296 * (high >>> 16);
    let billions = 4 * high + Math.floor(upper / 1e9) * 65_536;
    let rest = (upper % 1e9) * 65_536 + 294_967_296 * (high & 0xffff) + low;
    billions += Math.floor(rest / 1e9);
    rest %= 1e9;
    if (billions === 0) this.digits(rest);
    else {
      this.digits(billions);
      const { bytes, at } = this;
      for (let digit = 8; digit >= 0; digit--) {
        const next = Math.floor(rest / 10);
        bytes[at + digit] = 0x30 + (rest - next * 10);
        rest = next;
      }
      this.at = at + 9;
    }
  }

  /** A non-negative safe integer in decimal. */
  digits(value: number): void {
    this.reserve(16);
    const { bytes, at } = this;
    let count = 1;
    for (let power = 10; power <= value; power *= 10) count++;
    let rest = value;
    for (let digit = count - 1; digit >= 0; digit--) {
      const next = Math.floor(rest / 10);
      bytes[at + digit] = 0x30 + (rest - next * 10);
      rest = next;
    }
    this.at = at + count;
  }
}

/** Up to so many bytes a loop copies faster than a call does. */
const loopBytesMax = 20;

const NO_SOURCE = new Uint8Array(0);
const NO_WORDS = new DataView(NO_SOURCE.buffer);

/** Whether none of the four bytes needs an escape or a look at it as UTF-8. */
function isPlain(word: number): boolean {
  const quote = word ^ 0x22222222;
  const backslash = word ^ 0x5c5c5c5c;
  // Subtracting sets the top bit of a byte below 0x20, or of one that is the quote or backslash.
  // A borrow may set it in the byte above as well, which is then looked at for nothing.
  const special = (word - 0x20202020) | (quote - 0x01010101) | (backslash - 0x01010101) | word;
  return (special & 0x80808080) === 0;
}

/** Not zeroed: only what was written is ever read. */
function blank(size: number): Uint8Array {
  return new Uint8Array(Buffer.allocUnsafeSlow(size).buffer);
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

function wellFormed(bytes: Uint8Array): boolean {
  try {
    decodeUtf8(bytes);
    return true;
  } catch {
    return false;
  }
}
