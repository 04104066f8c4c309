/**
 * Attributes as exporters write them: `{"key":"…","value":{"stringValue":"…"}}`, or with `intValue`,
 * without spaces and escapes, less than 128 bytes as protobuf. Most of a request is those, so they
 * are told by a few words of text and need neither a plan nor levels.
 */
import type { JsonCursor } from "./json-cursor.ts";
import { QUOTE } from "./json-cursor.ts";
import { EXACT_DIGITS } from "./json-integer.ts";
import { copyRun } from "./json-scalar.ts";
import { wordsOf } from "./json-words.ts";
import type { ProtobufOutput } from "./protobuf-output.ts";

const OPENING = wordsOf('{"key":"');
const STRING = wordsOf('","value":{"stringValue":"');
const INTEGER = wordsOf('","value":{"intValue":"');
const CLOSING = wordsOf('"}}');

/** Of KeyValue and AnyValue. */
const KEY_TAG = 0x0a;
const VALUE_TAG = 0x12;
const STRING_VALUE_TAG = 0x0a;
const INT_VALUE_TAG = 0x18;
/** Tag and length, one byte each. */
const headBytes = 2;
const lengthMax = 0x7f;

/**
 * Writes the attribute at the cursor as a field with this tag.
 *
 * @returns false, with nothing done, where it is not such a one
 */
export function writeUsualAttribute(
  cursor: JsonCursor,
  output: ProtobufOutput,
  tag: number,
): boolean {
  const begin = cursor.at;
  const written = cursor.skipWords(OPENING) ? writeMembers(cursor, output) : 0;
  if (written === 0 || written > lengthMax) {
    cursor.at = begin;
    return false;
  }
  output.bytes[output.size] = tag;
  output.bytes[output.size + 1] = written;
  output.size += headBytes + written;
  return true;
}

/** Writes key and value behind the room for tag and length. @returns their bytes, 0 for none */
function writeMembers(cursor: JsonCursor, output: ProtobufOutput): number {
  // Twice tag and length for key and value, and what a run may write behind itself.
  output.reserve(cursor.end - cursor.at + 16);
  const start = output.size + headBytes;
  const keyStart = start + headBytes;
  const keyEnd = runAfter(cursor, output, keyStart);
  const valueStart = keyEnd + headBytes;
  const valueEnd = writeValue(cursor, output, valueStart);
  if (valueEnd === 0 || valueEnd - start > lengthMax) return 0;
  const { bytes } = output;
  bytes[start] = KEY_TAG;
  bytes[start + 1] = keyEnd - keyStart;
  bytes[keyEnd] = VALUE_TAG;
  bytes[keyEnd + 1] = valueEnd - valueStart;
  return valueEnd - start;
}

/** Copies the characters at the cursor to `to`. @returns where they end there */
function runAfter(cursor: JsonCursor, output: ProtobufOutput, to: number): number {
  const from = cursor.at;
  cursor.at = copyRun(cursor, from, output, to);
  return to + cursor.at - from;
}

/** Writes an AnyValue to `to`. @returns where it ends, 0 for none */
function writeValue(cursor: JsonCursor, output: ProtobufOutput, to: number): number {
  const { bytes } = output;
  if (cursor.skipWords(STRING)) {
    const end = runAfter(cursor, output, to + headBytes);
    bytes[to] = STRING_VALUE_TAG;
    bytes[to + 1] = end - to - headBytes;
    return cursor.skipWords(CLOSING) ? end : 0;
  }
  if (!cursor.skipWords(INTEGER)) return 0;
  const value = digitsAt(cursor);
  if (value < 0 || !cursor.skipWords(CLOSING)) return 0;
  bytes[to] = INT_VALUE_TAG;
  let end = to + 1;
  for (let rest = value; ; rest = Math.floor(rest / 128)) {
    bytes[end++] = rest < 0x80 ? rest : (rest % 128) | 0x80;
    if (rest < 0x80) return end;
  }
}

/** Steps over a non-negative integer before a quote. @returns -1 where there is none, or a longer one */
function digitsAt(cursor: JsonCursor): number {
  const { text, at: start } = cursor;
  let value = 0;
  let at = start;
  for (; at < cursor.end && text[at] !== QUOTE; at++) {
    const digit = text[at]! - 0x30;
    if (digit < 0 || digit > 9 || at - start === EXACT_DIGITS) return -1;
    value = value * 10 + digit;
  }
  // A zero before other digits is no JSON number.
  if (at === start || (text[start] === 0x30 && at - start > 1)) return -1;
  cursor.at = at;
  return value;
}
