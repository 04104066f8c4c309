/**
 * A cursor over JSON text (RFC 8259) as bytes. It checks the grammar, steps over values that nobody
 * asks for, and leaves the decoding of those that are asked for to its user. The text is the
 * sender's: nothing here recurses and nothing grows with its nesting.
 */
import { dataViewOf } from "../bytes/copy.ts";
import { encodeUtf8 } from "../bytes/utf8.ts";
import { nestingDepthMax } from "../limits.ts";
import type { Words } from "./json-words.ts";

export type JsonErrorCode = "malformed" | "too_deep" | "too_large";

/**
 * A JSON body that can never be accepted: the sender's fault, not retryable. The message names
 * fields of OTLP and positions, never a key or a value of the sender.
 */
export class JsonError extends Error {
  override name = "JsonError";
  readonly code: JsonErrorCode;
  readonly offset: number;

  constructor(code: JsonErrorCode, message: string, offset: number) {
    super(`${message} at byte ${offset}`);
    this.code = code;
    this.offset = offset;
  }
}

export const QUOTE = 0x22;
export const BACKSLASH = 0x5c;
export const OBJECT_START = 0x7b;
export const OBJECT_END = 0x7d;
export const ARRAY_START = 0x5b;
export const ARRAY_END = 0x5d;
const COMMA = 0x2c;
const COLON = 0x3a;
const MINUS = 0x2d;
const PLUS = 0x2b;
const DOT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;

/** Bytes that end a run of ordinary characters in a string: quote, backslash, control. */
const ENDS_RUN = new Uint8Array(256);
ENDS_RUN.fill(1, 0, 0x20);
ENDS_RUN[QUOTE] = 1;
ENDS_RUN[BACKSLASH] = 1;

const TRUE = encodeUtf8("true");
const FALSE = encodeUtf8("false");
const NULL = encodeUtf8("null");

/** The first of the four bytes of a word that ends such a run, or 4. */
export function runBytes(word: number): number {
  const quote = word ^ 0x22222222;
  const backslash = word ^ 0x5c5c5c5c;
  // The top bit of each byte that is zero in the first two, below 0x20 in the third; a borrow can
  // only set the bits of bytes behind such a one.
  const ends =
    (((quote - 0x01010101) & ~quote) |
      ((backslash - 0x01010101) & ~backslash) |
      ((word - 0x20202020) & ~word)) &
    0x80808080;
  return ends === 0 ? 4 : (31 - Math.clz32(ends & -ends)) >>> 3;
}

export class JsonCursor {
  readonly text: Uint8Array;
  /** Of the same bytes. */
  readonly view: DataView;
  readonly end: number;
  at = 0;
  /** Bounds of the string (without quotes) or number that was last stepped over. */
  start = 0;
  stop = 0;
  /** True where the string last stepped over has a backslash. */
  escaped = false;

  constructor(text: Uint8Array) {
    this.text = text;
    this.view = dataViewOf(text);
    this.end = text.length;
  }

  fail(message: string, offset: number = this.at): never {
    throw new JsonError("malformed", message, offset);
  }

  /** The next byte that is not white space, without stepping over it; -1 at the end. */
  peek(): number {
    const { text, end } = this;
    let at = this.at;
    while (at < end) {
      const byte = text[at]!;
      if (byte > 0x20 || (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09)) {
        this.at = at;
        return byte;
      }
      at++;
    }
    this.at = at;
    return -1;
  }

  /** Steps into an object or array. @returns false where it is empty and now behind. */
  enter(opening: number, closing: number): boolean {
    if (this.peek() !== opening) this.fail(`expected "${String.fromCharCode(opening)}"`);
    this.at++;
    if (this.peek() !== closing) return true;
    this.at++;
    return false;
  }

  /** Between members. @returns false where the object or array ended and is now behind. */
  more(closing: number): boolean {
    const byte = this.peek();
    if (byte !== COMMA && byte !== closing) {
      this.fail(`expected "," or "${String.fromCharCode(closing)}"`);
    }
    this.at++;
    return byte === COMMA;
  }

  colon(): void {
    if (this.peek() !== COLON) this.fail('expected ":"');
    this.at++;
  }

  /** Steps over a string and sets its bounds. Escapes are checked here, so decoding cannot fail. */
  string(): void {
    if (this.peek() !== QUOTE) this.fail("expected a string");
    const { text, end } = this;
    let at = this.at + 1;
    this.start = at;
    this.escaped = false;
    for (;;) {
      at = this.runEnd(at);
      if (at >= end) this.fail("unterminated string", this.at);
      if (text[at] === QUOTE) break;
      if (text[at] !== BACKSLASH) this.fail("control character in a string", at);
      this.escaped = true;
      at = this.escape(at);
    }
    this.stop = at;
    this.at = at + 1;
  }

  /** The end of the run of ordinary characters that begins at `from`. */
  private runEnd(from: number): number {
    const { text, view, end } = this;
    let at = from;
    while (at + 4 <= end) {
      const count = runBytes(view.getInt32(at, true));
      at += count;
      if (count < 4) return at;
    }
    while (at < end && ENDS_RUN[text[at]!] === 0) at++;
    return at;
  }

  /** Steps over this text where it comes next. */
  skipWords({ words, lastMask, byteCount }: Words): boolean {
    const { view, at } = this;
    const last = words.length - 1;
    if (at + 4 * words.length > this.end) return false;
    for (let index = 0; index < last; index++) {
      if (view.getInt32(at + 4 * index, true) !== words[index]) return false;
    }
    if ((view.getInt32(at + 4 * last, true) & lastMask) !== words[last]) return false;
    this.at = at + byteCount;
    return true;
  }

  /** Checks the escape at a backslash. @returns the position after it. */
  escape(at: number): number {
    const { text, end } = this;
    const letter = at + 1 < end ? text[at + 1]! : 0;
    if (letter !== 0x75) {
      if (SIMPLE_ESCAPES[letter] === 0) this.fail("unknown escape in a string", at);
      return at + 2;
    }
    for (let digit = at + 2; digit < at + 6; digit++) {
      if (digit >= end || HEX_DIGITS[text[digit]!] === NO_DIGIT) {
        this.fail("expected four hexadecimal digits after \\u", at);
      }
    }
    return at + 6;
  }

  /** Steps over a number and sets its bounds. */
  number(): void {
    this.peek();
    const stop = numberEnd(this.text, this.at, this.end);
    if (stop < 0) this.fail("expected a value");
    this.start = this.at;
    this.stop = stop;
    this.at = stop;
  }

  /** Steps over `null` where it comes next. */
  skipNull(): boolean {
    if (this.peek() !== NULL[0]) return false;
    this.literal(NULL);
    return true;
  }

  boolean(): boolean {
    const value = this.peek() === TRUE[0];
    this.literal(value ? TRUE : FALSE);
    return value;
  }

  private literal(word: Uint8Array): void {
    for (let index = 0; index < word.length; index++) {
      if (this.text[this.at + index] !== word[index]) this.fail("expected a value");
    }
    this.at += word.length;
  }

  /** Steps over a string, number, boolean or null. */
  private skipScalar(byte: number): void {
    if (byte === QUOTE) this.string();
    else if (byte === TRUE[0] || byte === FALSE[0]) this.boolean();
    else if (!this.skipNull()) this.number();
  }

  /**
   * Steps over one value of any kind that stands `depth` levels deep.
   *
   * @throws JsonError `too_deep` beyond `nestingDepthMax` levels.
   */
  stepOver(depth: number): void {
    const closings: number[] = [];
    for (;;) {
      const byte = this.peek();
      if (byte === OBJECT_START || byte === ARRAY_START) {
        if (depth + closings.length >= nestingDepthMax) this.tooDeep();
        const closing = byte + 2;
        if (this.enter(byte, closing)) {
          closings.push(closing);
          if (byte === OBJECT_START) this.skipKey();
          continue;
        }
      } else this.skipScalar(byte);
      while (closings.length > 0 && !this.more(closings.at(-1)!)) closings.pop();
      if (closings.length === 0) return;
      if (closings.at(-1) === OBJECT_END) this.skipKey();
    }
  }

  private skipKey(): void {
    this.string();
    this.colon();
  }

  tooDeep(): never {
    throw new JsonError("too_deep", `nested deeper than ${nestingDepthMax} levels`, this.at);
  }
}

export const NO_DIGIT = 0xff;
/** The value of each hexadecimal digit, either case. */
export const HEX_DIGITS: Uint8Array = new Uint8Array(256).fill(NO_DIGIT);
for (let value = 0; value < 16; value++) {
  const digit = value.toString(16);
  HEX_DIGITS[digit.charCodeAt(0)] = value;
  HEX_DIGITS[digit.toUpperCase().charCodeAt(0)] = value;
}

/** What stands for itself or a control character after a backslash; 0 where nothing does. */
export const SIMPLE_ESCAPES: Uint8Array = new Uint8Array(256);
for (const [letter, character] of ['""', "\\\\", "//", "b\b", "f\f", "n\n", "r\r", "t\t"]) {
  SIMPLE_ESCAPES[letter!.charCodeAt(0)] = character!.charCodeAt(0);
}

/** Where the JSON number that begins at `from` ends, or -1 where none begins. */
export function numberEnd(text: Uint8Array, from: number, end: number): number {
  let at = from;
  if (text[at] === MINUS) at++;
  const integer = digitsEnd(text, at, end);
  if (integer === at) return -1;
  // A leading zero stands alone; what follows it is not part of the number.
  at = text[at] === ZERO ? at + 1 : integer;
  if (at < end && text[at] === DOT) {
    const fraction = digitsEnd(text, at + 1, end);
    if (fraction === at + 1) return -1;
    at = fraction;
  }
  if (at < end && (text[at]! | 0x20) === 0x65) {
    const sign = text[at + 1] === PLUS || text[at + 1] === MINUS ? 1 : 0;
    const exponent = digitsEnd(text, at + 1 + sign, end);
    if (exponent === at + 1 + sign) return -1;
    at = exponent;
  }
  return at;
}

function digitsEnd(text: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at < end && text[at]! >= ZERO && text[at]! <= NINE) at++;
  return at;
}
