/** One scalar of OTLP/JSON to one scalar of protobuf, by kind. */
import { type Field, idBytes, type ScalarKind } from "../audit/otlp/schema.ts";
import { fromLenientBase64 } from "../bytes/base64.ts";
import {
  BACKSLASH,
  HEX_DIGITS,
  JsonCursor,
  NO_DIGIT,
  QUOTE,
  SIMPLE_ESCAPES,
  numberEnd,
  runBytes,
} from "./json-cursor.ts";
import { readInteger } from "./json-integer.ts";
import type { Integer } from "./json-integer.ts";
import { ProtobufOutput } from "./protobuf-output.ts";

/** Reads the value at the cursor and writes its payload: for strings and bytes with the length. */
export type ScalarWriter = (cursor: JsonCursor, output: ProtobufOutput, field: Field) => void;

const integer: Integer = { negative: false, high: 0, low: 0 };
const HALF = 0x8000_0000;

/** Copies a string as it is looked at. */
function writeString(cursor: JsonCursor, output: ProtobufOutput): void {
  if (cursor.peek() !== QUOTE) cursor.fail("expected a string");
  const { text, at: begin } = cursor;
  // For all that the text may still hold, the length, and three bytes of a last word.
  output.reserve(cursor.end - begin + 16);
  const lengthAt = output.size;
  let from = begin + 1;
  let to = lengthAt + 1;
  for (;;) {
    const stop = copyRun(cursor, from, output, to);
    to += stop - from;
    if (text[stop] === QUOTE && stop < cursor.end) {
      cursor.at = stop + 1;
      output.settleLength(lengthAt, to);
      return;
    }
    // No escape: the cursor knows how to say what is wrong.
    if (text[stop] !== BACKSLASH) cursor.string();
    from = escapeEnd(cursor, stop);
    to = writeEscape(cursor, stop, output, to);
  }
}

/**
 * Copies the run of ordinary characters at `from`, four bytes at a time; up to three bytes behind
 * the run are written as well. @returns its end
 */
export function copyRun(
  cursor: JsonCursor,
  from: number,
  output: ProtobufOutput,
  to: number,
): number {
  const { view, text, end } = cursor;
  const target = output.view;
  const ahead = to - from;
  let at = from;
  while (at + 4 <= end) {
    const word = view.getInt32(at, true);
    target.setInt32(at + ahead, word, true);
    const count = runBytes(word);
    at += count;
    if (count < 4) return at;
  }
  for (; at < end && runBytes(text[at]!) > 0; at++) output.bytes[at + ahead] = text[at]!;
  return at;
}

/** The end of the escape at `at`, with the low surrogate after a high one. */
function escapeEnd(cursor: JsonCursor, at: number): number {
  const stop = cursor.escape(at);
  if (stop - at < 6 || !isHighSurrogate(codeUnit(cursor.text, at + 2))) return stop;
  if (cursor.text[stop] !== BACKSLASH) return stop;
  const after = cursor.escape(stop);
  return followingLowSurrogate(cursor.text, stop, cursor.end) === 0 ? stop : after;
}

/** Writes what the escape at `at` stands for to `to`. @returns the position after it */
function writeEscape(cursor: JsonCursor, at: number, output: ProtobufOutput, to: number): number {
  const { text } = cursor;
  const letter = text[at + 1]!;
  if (letter !== 0x75) {
    output.bytes[to] = SIMPLE_ESCAPES[letter]!;
    return to + 1;
  }
  const unit = codeUnit(text, at + 2);
  const low = isHighSurrogate(unit) ? followingLowSurrogate(text, at + 6, cursor.end) : 0;
  return writeCodePoint(output.bytes, to, codePoint(unit, low));
}

/** Writes the characters of the string last stepped over, escapes resolved, as UTF-8. */
export function unescape(cursor: JsonCursor, output: ProtobufOutput): void {
  const { text, start, stop } = cursor;
  output.reserve(stop - start);
  const { bytes } = output;
  let to = output.size;
  let at = start;
  while (at < stop) {
    if (text[at] !== BACKSLASH) bytes[to++] = text[at++]!;
    else {
      to = writeEscape(cursor, at, output, to);
      at = escapeEnd(cursor, at);
    }
  }
  output.size = to;
}

function codeUnit(text: Uint8Array, at: number): number {
  let unit = 0;
  for (let digit = at; digit < at + 4; digit++) unit = unit * 16 + HEX_DIGITS[text[digit]!]!;
  return unit;
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit < 0xdc00;
}

/** The low surrogate written as an escape at `at`, or 0. */
function followingLowSurrogate(text: Uint8Array, at: number, stop: number): number {
  if (at + 6 > stop || text[at] !== BACKSLASH || text[at + 1] !== 0x75) return 0;
  const unit = codeUnit(text, at + 2);
  return unit >= 0xdc00 && unit < 0xe000 ? unit : 0;
}

/** A surrogate without its other half has no UTF-8: it becomes U+FFFD. */
function codePoint(unit: number, low: number): number {
  if (low !== 0) return 0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
  return unit >= 0xd800 && unit < 0xe000 ? 0xfffd : unit;
}

function writeCodePoint(bytes: Uint8Array, position: number, point: number): number {
  let to = position;
  if (point < 0x80) {
    bytes[to++] = point;
    return to;
  }
  if (point < 0x800) bytes[to++] = 0xc0 | (point >> 6);
  else {
    if (point < 0x1_0000) bytes[to++] = 0xe0 | (point >> 12);
    else {
      bytes[to++] = 0xf0 | (point >> 18);
      bytes[to++] = 0x80 | ((point >> 12) & 0x3f);
    }
    bytes[to++] = 0x80 | ((point >> 6) & 0x3f);
  }
  bytes[to++] = 0x80 | (point & 0x3f);
  return to;
}

/**
 * Steps over a string. @returns a cursor whose `start` and `stop` bound its characters: this one,
 * or where there are escapes one over the unescaped copy.
 */
function plainString(cursor: JsonCursor): JsonCursor {
  cursor.string();
  if (!cursor.escaped) return cursor;
  const copy = new ProtobufOutput(cursor.stop - cursor.start);
  unescape(cursor, copy);
  const plain = new JsonCursor(copy.bytes.subarray(0, copy.size));
  plain.stop = copy.size;
  return plain;
}

/** Steps over a number, or a string that holds one. @returns a cursor that bounds it. */
function plainNumber(cursor: JsonCursor, field: Field): JsonCursor {
  if (cursor.peek() !== QUOTE) {
    cursor.number();
    return cursor;
  }
  const plain = plainString(cursor);
  if (numberEnd(plain.text, plain.start, plain.stop) !== plain.stop) {
    cursor.fail(`${field.name}: expected a number`, cursor.start);
  }
  return plain;
}

interface IntegerRange {
  readonly bits: 32 | 64;
  readonly signed: boolean;
}

/** Reads an integer within [-2^(bits-1), 2^(bits-1)) or [0, 2^bits) into `integer`. */
function readRanged(cursor: JsonCursor, field: Field, range: IntegerRange): void {
  const { text, start, stop } = plainNumber(cursor, field);
  if (readInteger(text, start, stop, integer) && inRange(range)) return;
  const sign = range.signed ? "a signed" : "an unsigned";
  cursor.fail(`${field.name}: expected ${sign} ${range.bits}-bit integer`, cursor.start);
}

function inRange({ bits, signed }: IntegerRange): boolean {
  const { negative, high, low } = integer;
  const zero = high === 0 && low === 0;
  if (!signed) return (zero || !negative) && (bits === 64 || high === 0);
  if (bits === 32) return high === 0 && (low < HALF || (negative && low === HALF));
  return high < HALF || (negative && high === HALF && low === 0);
}

/** Two's complement of `integer`, in its halves. */
function applySign(): void {
  if (!integer.negative) return;
  integer.low = -integer.low >>> 0;
  integer.high = (~integer.high + (integer.low === 0 ? 1 : 0)) >>> 0;
}

function varintWriter(range: IntegerRange): ScalarWriter {
  return (cursor, output, field) => {
    readRanged(cursor, field, range);
    applySign();
    output.varint64(integer.high, integer.low);
  };
}

function fixedWriter(range: IntegerRange): ScalarWriter {
  return (cursor, output, field) => {
    readRanged(cursor, field, range);
    applySign();
    output.fixed32(integer.low);
    if (range.bits === 64) output.fixed32(integer.high);
  };
}

const INT32: IntegerRange = { bits: 32, signed: true };
const UINT32: IntegerRange = { bits: 32, signed: false };
const INT64: IntegerRange = { bits: 64, signed: true };
const UINT64: IntegerRange = { bits: 64, signed: false };

function writeZigzag(cursor: JsonCursor, output: ProtobufOutput, field: Field): void {
  readRanged(cursor, field, INT32);
  output.varint(integer.negative ? integer.low * 2 - 1 : integer.low * 2);
}

const writeInt32 = varintWriter(INT32);

function writeEnum(cursor: JsonCursor, output: ProtobufOutput, field: Field): void {
  if (cursor.peek() === QUOTE) {
    cursor.fail(`${field.name}: OTLP/JSON wants the number of the enum value, received a string`);
  }
  writeInt32(cursor, output, field);
}

const SPECIAL_DOUBLES: ReadonlyMap<string, number> = new Map([
  ["NaN", Number.NaN],
  ["Infinity", Number.POSITIVE_INFINITY],
  ["-Infinity", Number.NEGATIVE_INFINITY],
]);

function writeDouble(cursor: JsonCursor, output: ProtobufOutput, field: Field): void {
  const from = cursor.at;
  if (cursor.peek() === QUOTE) {
    const special = SPECIAL_DOUBLES.get(latin1(plainString(cursor)));
    if (special !== undefined) {
      output.double(special);
      return;
    }
    cursor.at = from;
  }
  const value = Number(latin1(plainNumber(cursor, field)));
  if (!Number.isFinite(value)) {
    cursor.fail(`${field.name}: the number is beyond the range of a double`, cursor.start);
  }
  output.double(value);
}

function latin1({ text, start, stop }: JsonCursor): string {
  return Buffer.from(text.buffer, text.byteOffset + start, stop - start).toString("latin1");
}

function writeBoolean(cursor: JsonCursor, output: ProtobufOutput): void {
  output.varint(cursor.boolean() ? 1 : 0);
}

function writeId(cursor: JsonCursor, output: ProtobufOutput, field: Field): void {
  const { text, start, stop } = plainString(cursor);
  const byteCount = idBytes(field);
  const present = stop > start;
  output.varint(present ? byteCount : 0);
  if (!present) return;
  let wellFormed = stop - start === 2 * byteCount;
  output.reserve(byteCount);
  for (let at = start; wellFormed && at < stop; at += 2) {
    const upper = HEX_DIGITS[text[at]!]!;
    const lower = HEX_DIGITS[text[at + 1]!]!;
    wellFormed = upper !== NO_DIGIT && lower !== NO_DIGIT;
    output.bytes[output.size++] = (upper << 4) | lower;
  }
  if (wellFormed) return;
  const digits = 2 * byteCount;
  cursor.fail(
    `${field.name}: OTLP/JSON wants ${digits} hexadecimal digits or an empty string, not base64`,
    cursor.start,
  );
}

/** Standard base64; the URL alphabet and missing padding are understood as well. */
function writeBytes(cursor: JsonCursor, output: ProtobufOutput, field: Field): void {
  const { text, start, stop } = plainString(cursor);
  let bytes: Uint8Array;
  try {
    bytes = fromLenientBase64(text.subarray(start, stop));
  } catch {
    cursor.fail(`${field.name}: expected base64`, cursor.start);
  }
  output.varint(bytes.length);
  output.copy(bytes, 0, bytes.length);
}

export const SCALAR_WRITERS: Readonly<Record<ScalarKind, ScalarWriter>> = {
  string: writeString,
  bytes: writeBytes,
  id: writeId,
  bool: writeBoolean,
  int32: writeInt32,
  uint32: varintWriter(UINT32),
  int64: varintWriter(INT64),
  uint64: varintWriter(UINT64),
  sint32: writeZigzag,
  enum: writeEnum,
  fixed32: fixedWriter(UINT32),
  fixed64: fixedWriter(UINT64),
  sfixed64: fixedWriter(INT64),
  double: writeDouble,
};
