/**
 * The first look at a sender's bytes: one walk over the messages of a request by the OTLP schema.
 * After it, every walk downstream finds well-formed messages at a bounded depth, whatever the
 * signal and whether redaction is on or off.
 *
 * What passes (protobuf.dev "encoding"): unknown fields of every wire type, groups included; known
 * fields with another wire type, which parsers treat as unknown; repeated scalars and any order of
 * fields. Strings are not checked for UTF-8: refusing a batch would lose it, so ill-formed text is
 * forwarded as it came and read with U+FFFD in its place.
 */
import { type Message, messageNamed, REQUEST, SIGNALS, type Signal } from "../audit/otlp/schema.ts";
import { FIXED64, LENGTH_DELIMITED, VARINT, WireError, WireReader } from "../bytes/wire.ts";
import { nestingDepthMax } from "../limits.ts";

const COUNTED: ReadonlySet<string> = new Set(["Span", "LogRecord", "Metric"]);
const fieldsMax = 32;
const NONE = 0xff;

/** The schema as flat tables: `INNER[32 × message + field]` is the message of that field. */
const NUMBERS = new Map<Message, number>();
for (const signal of SIGNALS) enumerate(REQUEST[signal]);
const INNER = new Uint8Array(fieldsMax * NUMBERS.size).fill(NONE);
const KEY_VALUE = NUMBERS.get(messageNamed("KeyValue"))!;
const IS_ITEM = new Uint8Array(NUMBERS.size);
for (const [message, number] of NUMBERS) {
  IS_ITEM[number] = COUNTED.has(message.name) ? 1 : 0;
  for (const field of message.fields) {
    if (field.message === undefined) continue;
    INNER[fieldsMax * number + field.number] = NUMBERS.get(field.message)!;
  }
}

function enumerate(message: Message): void {
  if (NUMBERS.has(message)) return;
  NUMBERS.set(message, NUMBERS.size);
  for (const field of message.fields) if (field.message !== undefined) enumerate(field.message);
}

/**
 * @returns the number of spans, log records or metrics
 * @throws WireError where `bytes` is no such request or nests too deep
 */
export function checkWire(signal: Signal, bytes: Uint8Array): number {
  const check = new WireCheck(bytes);
  check.message(NUMBERS.get(REQUEST[signal])!, 0, bytes.length);
  return check.items;
}

/** Of KeyValue and AnyValue: field number, then wire type. */
const STRING_TAG = (1 << 3) | LENGTH_DELIMITED;
const VALUE_TAG = (2 << 3) | LENGTH_DELIMITED;
const BOOL_TAG = (2 << 3) | VARINT;
const INT_TAG = (3 << 3) | VARINT;
const DOUBLE_TAG = (4 << 3) | FIXED64;

class WireCheck {
  items = 0;
  private depth = 0;
  private readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  message(message: number, start: number, end: number): void {
    if (this.depth === nestingDepthMax) {
      const levels = `nested deeper than ${nestingDepthMax} messages`;
      throw new WireError("too_deep", levels, start);
    }
    this.depth++;
    this.items += IS_ITEM[message]!;
    const { bytes } = this;
    let at = start;
    while (at < end) {
      const tag = bytes[at]!;
      // Most fields have one byte of tag, and one or two of length: those need no reader.
      if ((tag & 0x87) !== LENGTH_DELIMITED || end - at < 3 || tag < 8) {
        at = this.field(message, at, end);
        continue;
      }
      let from = at + 2;
      let size = bytes[at + 1]!;
      if (size >= 0x80) {
        const high = bytes[at + 2]!;
        size = high < 0x80 ? size - 0x80 + 0x80 * high : end;
        from++;
      }
      if (size > end - from) {
        at = this.field(message, at, end);
        continue;
      }
      const inner = INNER[fieldsMax * message + (tag >>> 3)]!;
      const usual = inner === KEY_VALUE && this.usualAttribute(from, from + size);
      if (inner !== NONE && !usual) this.message(inner, from, from + size);
      at = from + size;
    }
    this.depth--;
  }

  /**
   * True for an attribute as most of them are, which needs no walk: a key, then a string, a boolean
   * or a number, both shorter than 128 bytes.
   */
  private usualAttribute(start: number, end: number): boolean {
    const { bytes } = this;
    if (this.depth + 2 > nestingDepthMax || end - start < 6) return false;
    const keyLength = bytes[start + 1]!;
    const value = start + 4 + keyLength;
    if (bytes[start] !== STRING_TAG || keyLength >= 0x80 || value + 2 > end) return false;
    const length = end - value;
    if (bytes[value - 2] !== VALUE_TAG || length >= 0x80 || bytes[value - 1] !== length)
      return false;
    switch (bytes[value]) {
      case STRING_TAG:
        return bytes[value + 1] === length - 2;
      case BOOL_TAG:
      case INT_TAG: {
        const last = Math.min(end, value + 11) - 1;
        let at = value + 1;
        while (at < last && bytes[at]! >= 0x80) at++;
        return at === end - 1 && bytes[at]! < 0x80;
      }
      case DOUBLE_TAG:
        return length === 9;
      default:
        return false;
    }
  }

  /** Any field, by the reader. @returns where it ends. */
  private field(message: number, start: number, end: number): number {
    const reader = new WireReader(this.bytes, start, end);
    reader.next();
    if (reader.wireType === LENGTH_DELIMITED && reader.field < fieldsMax) {
      const inner = INNER[fieldsMax * message + reader.field]!;
      if (inner !== NONE) this.message(inner, reader.start, reader.stop);
    }
    return reader.position;
  }
}
