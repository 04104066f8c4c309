/** Writes an AnyValue as canonical JSON. */
import { canonicalize, type JsonValue } from "../bytes/canonical-json.ts";
import { toHex } from "../bytes/hex.ts";
import { decodeUtf8Lossy, encodeUtf8 } from "../bytes/utf8.ts";
import { LENGTH_DELIMITED, WireError, WireReader } from "../bytes/wire.ts";
import { nestingDepthMax } from "../limits.ts";
import type { JsonWriter } from "./json-writer.ts";
import { found, isListOfTexts, readAnyValue } from "./walk/attributes.ts";
import { ARRAY, BOOL, BYTES, DOUBLE, INT, KVLIST, STRING } from "./walk/columns.ts";

/** Where a value lies: a kind of AnyValue and the bounds of its payload. */
export interface ValuePlace {
  readonly kind: number;
  readonly start: number;
  readonly stop: number;
}

const TRUE = encodeUtf8("true");
const FALSE = encodeUtf8("false");
const NULL = encodeUtf8("null");

/**
 * Numbers that JSON cannot hold exactly become strings, bytes become hexadecimal, maps with a
 * repeated key become lists of [key, value]; each sets `writer.coerced`.
 *
 * @param depth lists and objects of JSON around the value, which a body has a bounded number of
 */
export function writeValue(
  writer: JsonWriter,
  bytes: Uint8Array,
  place: ValuePlace,
  depth = 0,
): void {
  const { kind, start, stop } = place;
  switch (kind) {
    case STRING:
      writer.string(bytes, start, stop);
      return;
    case INT:
      writeInteger(writer, bytes, start, stop);
      return;
    case BOOL:
      writer.raw(isTrue(bytes, start, stop) ? TRUE : FALSE);
      return;
    case DOUBLE:
      writeDouble(writer, doubleAt(bytes, start));
      return;
    case BYTES:
      writer.byte(0x22);
      writer.hex(bytes, start, stop);
      writer.byte(0x22);
      writer.coerced = true;
      return;
    case ARRAY:
      if (isListOfTexts(bytes, start, stop)) writeTexts(writer, bytes, start, stop);
      else writeArray(writer, new WireReader(bytes, start, stop), depth);
      return;
    case KVLIST:
      writeMap(writer, new WireReader(bytes, start, stop), depth);
      return;
    default:
      writer.raw(NULL);
  }
}

export function isTrue(bytes: Uint8Array, start: number, stop: number): boolean {
  for (let at = start; at < stop; at++) if ((bytes[at]! & 0x7f) !== 0) return true;
  return false;
}

const eight = new Uint8Array(8);
const asDouble = new DataView(eight.buffer);

export function doubleAt(bytes: Uint8Array, start: number): number {
  for (let index = 0; index < 8; index++) eight[index] = bytes[start + index]!;
  return asDouble.getFloat64(0, true);
}

/** @returns a number where it is exact, else its decimal text. */
export function integerAt(bytes: Uint8Array, start: number, stop: number): number | string {
  if (stop - start <= 4) {
    let value = 0;
    for (let at = stop - 1; at >= start; at--) value = value * 128 + (bytes[at]! & 0x7f);
    return value;
  }
  const reader = new WireReader(bytes, start, stop);
  reader.start = start;
  reader.stop = stop;
  const value = reader.int64();
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value.toString();
}

function writeInteger(writer: JsonWriter, bytes: Uint8Array, start: number, stop: number): void {
  const value = integerAt(bytes, start, stop);
  if (typeof value === "number") {
    if (value < 0) writer.byte(0x2d);
    writer.digits(Math.abs(value));
  } else {
    writer.ascii(`"${value}"`);
    writer.coerced = true;
  }
}

function writeDouble(writer: JsonWriter, value: number): void {
  if (Number.isFinite(value)) {
    writer.ascii(Object.is(value, -0) ? "0" : String(value));
  } else {
    writer.ascii(`"${value}"`);
    writer.coerced = true;
  }
}

/** A list for which `isListOfTexts` holds. */
function writeTexts(writer: JsonWriter, bytes: Uint8Array, start: number, stop: number): void {
  writer.byte(0x5b);
  for (let at = start; at < stop; at += 2 + bytes[at + 1]!) {
    if (at > start) writer.byte(0x2c);
    writer.string(bytes, at + 4, at + 2 + bytes[at + 1]!);
  }
  writer.byte(0x5d);
}

function writeArray(writer: JsonWriter, reader: WireReader, depth: number): void {
  checkDepth(reader, depth);
  writer.byte(0x5b);
  let first = true;
  while (reader.next()) {
    if (reader.field !== 1 || reader.wireType !== LENGTH_DELIMITED) continue;
    if (!first) writer.byte(0x2c);
    first = false;
    readAnyValue(reader.message());
    writeValue(writer, reader.bytes, { ...found }, depth + 1);
  }
  writer.byte(0x5d);
}

interface Entry {
  readonly key: string;
  readonly coerced: boolean;
  readonly place: ValuePlace;
}

function writeMap(writer: JsonWriter, reader: WireReader, depth: number): void {
  checkDepth(reader, depth);
  const entries = readEntries(reader);
  const unique = new Set(entries.map(({ key }) => key)).size === entries.length;
  if (!unique || entries.some(({ coerced }) => coerced)) writer.coerced = true;
  if (unique) entries.sort((a, b) => (a.key < b.key ? -1 : 1));
  writer.byte(unique ? 0x7b : 0x5b);
  for (const [rank, { key, place }] of entries.entries()) {
    if (rank > 0) writer.byte(0x2c);
    if (!unique) writer.byte(0x5b);
    writer.json(canonicalize(key));
    writer.byte(unique ? 0x3a : 0x2c);
    writeValue(writer, reader.bytes, place, depth + (unique ? 1 : 2));
    if (!unique) writer.byte(0x5d);
  }
  writer.byte(unique ? 0x7d : 0x5d);
}

function readEntries(reader: WireReader): Entry[] {
  const entries: Entry[] = [];
  while (reader.next()) {
    if (reader.field !== 1 || reader.wireType !== LENGTH_DELIMITED) continue;
    const pair = reader.message();
    let key = "";
    let place: ValuePlace = { kind: 0, start: 0, stop: 0 };
    while (pair.next()) {
      if (pair.wireType !== LENGTH_DELIMITED) continue;
      if (pair.field === 1) key = decodeUtf8Lossy(pair.payload());
      else if (pair.field === 2) {
        readAnyValue(pair.message());
        place = { ...found };
      }
    }
    entries.push({ key, coerced: key.includes("\ufffd"), place });
  }
  return entries;
}

function checkDepth(reader: WireReader, depth: number): void {
  if (depth < nestingDepthMax) return;
  throw new WireError("too_deep", `values nested deeper than ${nestingDepthMax}`, reader.position);
}

/** Writes a log record's body as it came. */
export function writeLogBody(
  writer: JsonWriter,
  bytes: Uint8Array,
  start: number,
  stop: number,
): void {
  readAnyValue(new WireReader(bytes, start, stop));
  writeValue(writer, bytes, { ...found });
}

/** How many links of one span a record names. */
const linksMax = 128;

/** @param places payload bounds of Link messages, flat */
export function linksJson(bytes: Uint8Array, places: readonly number[]): string {
  const links: JsonValue[] = [];
  for (let at = 0; at < places.length && links.length < linksMax; at += 2) {
    const link = { span_id: "", trace_id: "" };
    const reader = new WireReader(bytes, places[at], places[at + 1]);
    while (reader.next()) {
      if (reader.wireType !== LENGTH_DELIMITED || reader.stop - reader.start > 16) continue;
      if (reader.field === 1) link.trace_id = toHex(reader.payload());
      else if (reader.field === 2) link.span_id = toHex(reader.payload());
    }
    links.push(link);
  }
  return canonicalize(links);
}
