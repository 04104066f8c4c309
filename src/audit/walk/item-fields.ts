/** The fields of a Span and of a LogRecord. Attacker-controlled bytes are parsed here. */
import { FIXED64, LENGTH_DELIMITED, VARINT, WireReader } from "../../bytes/wire.ts";
import type { AttributeReader, Attributes } from "./attributes.ts";
import { STRING } from "./columns.ts";
import type { EventItem, Item } from "./items.ts";
import { keyId } from "./keys.ts";
import { textAt } from "./text.ts";

/** Which span events are worth keeping: by name, or else by one of the keys they carry. */
export interface EventFilter {
  readonly names: ReadonlySet<string>;
  readonly keys: readonly number[];
}

export function readSpan(reader: AttributeReader, item: Item, filter: EventFilter): void {
  const attributes = item.attributes;
  let events: number[] | undefined;
  let links: number[] | undefined;
  const fields = new WireReader(reader.bytes, item.start, item.stop);
  while (nextOther(reader, attributes, fields)) {
    switch (fields.wireType) {
      case LENGTH_DELIMITED:
        if (fields.field === 9) reader.read(attributes, fields.start, fields.stop);
        else if (fields.field === 11) (events ??= []).push(fields.start, fields.stop);
        else if (fields.field === 13) (links ??= []).push(fields.start, fields.stop);
        else readSpanBytes(item, fields);
        break;
      case FIXED64:
        if (fields.field === 7) item.startAt = fields.start;
        else if (fields.field === 8) item.endAt = fields.start;
        break;
      case VARINT:
        if (fields.field === 6) item.kind = fields.uint32();
        break;
    }
  }
  if (links !== undefined) item.links = links;
  if (events !== undefined) item.events = readEvents(reader, events, filter);
}

const ATTRIBUTE_TAG = (9 << 3) | LENGTH_DELIMITED;

/** Reads attributes of usual length, which are most of a span, and stops at any other field. */
function nextOther(reader: AttributeReader, attributes: Attributes, fields: WireReader): boolean {
  const { bytes } = reader;
  let at = fields.position;
  while (fields.end - at > 2 && bytes[at] === ATTRIBUTE_TAG) {
    let start = at + 2;
    let size = bytes[at + 1]!;
    if (size >= 0x80) {
      const high = bytes[at + 2]!;
      if (high >= 0x80) break;
      size += (high - 1) * 0x80;
      start++;
    }
    if (size > fields.end - start) break;
    reader.read(attributes, start, start + size);
    at = start + size;
  }
  fields.position = at;
  return fields.next();
}

function readSpanBytes(item: Item, fields: WireReader): void {
  const { start, stop } = fields;
  switch (fields.field) {
    case 1:
      item.traceAt = idAt(fields, 16);
      break;
    case 2:
      item.spanAt = idAt(fields, 8);
      break;
    case 4:
      item.parentAt = idAt(fields, 8);
      break;
    case 5:
      item.nameStart = start;
      item.nameStop = stop;
      break;
    case 15: {
      const status = fields.message();
      while (status.next()) {
        if (status.field === 3 && status.wireType === VARINT) item.statusCode = status.uint32();
        if (status.field !== 2 || status.wireType !== LENGTH_DELIMITED) continue;
        item.messageStart = status.start;
        item.messageStop = status.stop;
      }
      break;
    }
  }
}

/** Ids of another length, or all zero, are as good as none. */
function idAt(fields: WireReader, size: number): number {
  if (fields.stop - fields.start !== size) return -1;
  for (let at = fields.start; at < fields.stop; at++)
    if (fields.bytes[at] !== 0) return fields.start;
  return -1;
}

/** Read after the span's own attributes, which must stay one run of rows. */
function readEvents(reader: AttributeReader, places: number[], filter: EventFilter): EventItem[] {
  const events: EventItem[] = [];
  for (let at = 0; at < places.length; at += 2) {
    const event = readEvent(reader, places[at]!, places[at + 1]!, at / 2);
    const mark = event.attributes.base;
    const keep = filter.names.has(event.name) || carries(reader, event.attributes, filter.keys);
    if (keep) events.push(event);
    else reader.columns.size = mark;
  }
  return events;
}

function readEvent(
  reader: AttributeReader,
  start: number,
  stop: number,
  ordinal: number,
): EventItem {
  const attributes = reader.begin();
  let name = "";
  let timeAt = -1;
  const fields = new WireReader(reader.bytes, start, stop);
  while (fields.next()) {
    if (fields.field === 1 && fields.wireType === FIXED64) timeAt = fields.start;
    if (fields.wireType !== LENGTH_DELIMITED) continue;
    if (fields.field === 2) name = textAt(fields.bytes, fields.start, fields.stop);
    else if (fields.field === 3) reader.read(attributes, fields.start, fields.stop);
  }
  return { name, timeAt, attributes, ordinal };
}

function carries(
  reader: AttributeReader,
  attributes: Attributes,
  keys: readonly number[],
): boolean {
  if (attributes.count === 0) return false;
  const { positions } = attributes.layout(reader.bytes, reader.columns);
  return keys.some((key) => (positions[key] ?? -1) >= 0);
}

const EVENT_NAME = keyId("event.name");

export function readLogRecord(reader: AttributeReader, item: Item): void {
  const fields = new WireReader(reader.bytes, item.start, item.stop);
  while (fields.next()) {
    const { field, start, stop } = fields;
    if (fields.wireType === FIXED64) {
      if (field === 1) item.startAt = start;
      else if (field === 11) item.observedAt = start;
    }
    if (fields.wireType !== LENGTH_DELIMITED) continue;
    if (field === 6) reader.read(item.attributes, start, stop);
    else if (field === 9) item.traceAt = idAt(fields, 16);
    else if (field === 10) item.spanAt = idAt(fields, 8);
    else if (field === 12) item.eventName = textAt(fields.bytes, start, stop);
    else if (field === 5) [item.messageStart, item.messageStop] = [start, stop];
  }
  if (item.eventName === "") item.eventName = eventNameAttribute(reader, item.attributes);
}

/** Where the event's name stood before LogRecord had a field for it. */
function eventNameAttribute(reader: AttributeReader, attributes: Attributes): string {
  const { columns, bytes } = reader;
  const position = attributes.layout(bytes, columns).positions[EVENT_NAME] ?? -1;
  if (position < 0) return "";
  const row = attributes.base + position;
  if (columns.kind[row] !== STRING) return "";
  return textAt(bytes, columns.valueStart[row]!, columns.valueStop[row]!);
}
