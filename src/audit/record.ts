/** Writes the body of one record as canonical JSON, member by member in the order of the table. */
import { canonicalize } from "../bytes/canonical-json.ts";
import { cutAttributes, cutContentBytes, cutValueBytes } from "../limits.ts";
import { ABSENT, COMPOSED, type Draft, EVENTS, JSON_BYTES, JSON_TEXT, RANGE } from "./draft.ts";
import { doubleAt, integerAt, isTrue, writeValue } from "./json-value.ts";
import type { JsonWriter } from "./json-writer.ts";
import { MEMBER, MEMBERS, type Member } from "./members.ts";
import type { Attributes } from "./walk/attributes.ts";
import { ARRAY, BOOL, type Columns, DOUBLE, INT, KVLIST, STRING } from "./walk/columns.ts";
import type { EventItem } from "./walk/items.ts";
import type { Layout } from "./walk/layout.ts";

const COMMA = 0x2c;
const QUOTE = 0x22;
const COLON = 0x3a;
const OPEN = 0x7b;
const CLOSE = 0x7d;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;

/** What the encoder needs beside the draft. */
export interface RecordSource {
  readonly bytes: Uint8Array;
  readonly columns: Columns;
  readonly attributes: Attributes;
  readonly layout: Layout;
  readonly draft: Draft;
  /** Cut long values and leave out attributes beyond a number: the item is too large to record. */
  readonly cut: boolean;
  /** Writes a member of state `COMPOSED`. */
  compose(writer: JsonWriter, member: number): void;
}

const ATTRIBUTES = MEMBER.attributes;
const REPEATED = MEMBER.repeated_attributes;
const FLAGS = MEMBER.flags;
const PROVENANCE = MEMBER.provenance;

/**
 * Appends the body. Flags stand before some of the values that can raise them: where one was raised
 * too late the body is written once more, with that flag known.
 */
export function writeBody(writer: JsonWriter, source: RecordSource): void {
  const start = writer.at;
  const { flags } = source.draft;
  writer.coerced = false;
  writeMembers(writer, source);
  if (writer.coerced && !flags.has("coerced")) {
    flags.add("coerced");
    writer.at = start;
    writeMembers(writer, source);
  }
}

function writeMembers(writer: JsonWriter, source: RecordSource): void {
  const { draft } = source;
  draft.state[FLAGS] = draft.flags.size > 0 ? COMPOSED : ABSENT;
  draft.state[PROVENANCE] = draft.foreignCount > 0 ? COMPOSED : ABSENT;
  draft.state[ATTRIBUTES] = hasLeftovers(source) ? COMPOSED : ABSENT;
  draft.state[REPEATED] = source.layout.repeated.length > 0 ? COMPOSED : ABSENT;
  const start = writer.at;
  let outer = -1;
  let inner = -1;
  for (const member of MEMBERS) {
    const state = draft.state[member.index]!;
    if (state === ABSENT) continue;
    let opened = 0;
    if (member.inner !== inner) {
      if (inner >= 0) writer.byte(CLOSE);
      if (member.inner >= 0) opened++;
      inner = member.inner;
    }
    if (member.outer !== outer) {
      if (outer >= 0) writer.byte(CLOSE);
      if (member.outer >= 0) opened++;
      outer = member.outer;
    }
    writer.raw(member.labels[opened]!);
    writeMember(writer, source, member, state);
  }
  if (inner >= 0) writer.byte(CLOSE);
  if (outer >= 0) writer.byte(CLOSE);
  writer.byte(CLOSE);
  // The comma before the first member: every record has some.
  writer.bytes[start] = OPEN;
}

function writeMember(
  writer: JsonWriter,
  source: RecordSource,
  member: Member,
  state: number,
): void {
  const { draft } = source;
  const { index } = member;
  if (state > 0) writeRow(writer, source, member, state - 1);
  else if (state === JSON_BYTES) writer.raw(draft.raw[index]!);
  else if (state === JSON_TEXT) writer.json(draft.json[index]!);
  else if (state === RANGE) {
    const from = draft.from[index]!;
    writer.string(source.bytes, from, cutAt(source, draft.to[index]!, from, cutValueBytes));
  } else if (state === EVENTS) writeEvents(writer, source, draft.lists[index]!);
  else writeComposed(writer, source, index);
}

function writeComposed(writer: JsonWriter, source: RecordSource, member: number): void {
  switch (member) {
    case ATTRIBUTES:
      writeLeftovers(writer, source);
      return;
    case REPEATED:
      writeRepeated(writer, source);
      return;
    case FLAGS:
      writer.json(canonicalize([...source.draft.flags].toSorted()));
      return;
    case PROVENANCE:
      writeProvenance(writer, source.draft);
      return;
    default:
      source.compose(writer, member);
  }
}

function writeRow(writer: JsonWriter, source: RecordSource, member: Member, row: number): void {
  const { columns, bytes } = source;
  const kind = columns.kind[row]!;
  const start = columns.valueStart[row]!;
  const stop = cutAt(source, columns.valueStop[row]!, start, cutContentBytes);
  if (isTorn(kind, stop, columns.valueStop[row]!)) {
    writer.ascii("null");
    return;
  }
  if (kind === STRING && (member.type === "text" || member.type === "any")) {
    writer.string(bytes, start, stop);
    return;
  }
  switch (member.type) {
    case "any":
      writeValue(writer, bytes, { kind, start, stop });
      return;
    case "texts":
      if (kind === ARRAY) writeValue(writer, bytes, { kind, start, stop });
      else writeListText(writer, Buffer.from(bytes.subarray(start, stop)).toString());
      return;
    case "boolean":
      writer.ascii(
        kind === BOOL ? String(isTrue(bytes, start, stop)) : asciiOf(bytes, start, stop),
      );
      if (kind !== BOOL) writer.coerced = true;
      return;
    case "integer":
      if (kind === INT) writeValue(writer, bytes, { kind, start, stop });
      else {
        writer.ascii(String(Number(asciiOf(bytes, start, stop))));
        writer.coerced = true;
      }
      return;
    default:
      writeScalarText(writer, bytes, { kind, start, stop });
  }
}

function asciiOf(bytes: Uint8Array, start: number, stop: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, stop - start).toString("latin1");
}

/** A number or boolean where a text is expected: its text. */
function writeScalarText(
  writer: JsonWriter,
  bytes: Uint8Array,
  place: { kind: number; start: number; stop: number },
): void {
  const { kind, start, stop } = place;
  let text: string;
  if (kind === INT) text = String(integerAt(bytes, start, stop));
  else if (kind === DOUBLE) text = String(doubleAt(bytes, start));
  else text = String(isTrue(bytes, start, stop));
  writer.ascii(`"${text}"`);
  writer.coerced = true;
}

/** A list that came as one text: as a JSON list where it is one, else as its only element. */
function writeListText(writer: JsonWriter, text: string): void {
  writer.coerced = true;
  if (text.startsWith("[")) {
    try {
      const list = JSON.parse(text) as unknown;
      if (Array.isArray(list) && list.every((element) => typeof element === "string")) {
        writer.json(canonicalize(list));
        return;
      }
    } catch {
      // Not JSON: then it is a text that begins with a bracket.
    }
  }
  writer.json(canonicalize([text]));
}

function hasLeftovers(source: RecordSource): boolean {
  const { draft, layout } = source;
  const { used, turn } = draft;
  for (const position of layout.order) if (used[position] !== turn) return true;
  return false;
}

function writeLeftovers(writer: JsonWriter, source: RecordSource): void {
  const { layout, draft, attributes } = source;
  const { used, turn } = draft;
  const { order } = layout;
  const most = source.cut ? Math.min(order.length, cutAttributes) : order.length;
  writer.byte(OPEN);
  let first = true;
  for (let rank = 0; rank < most; rank++) {
    const position = order[rank]!;
    if (used[position] === turn) continue;
    if (!first) writer.byte(COMMA);
    first = false;
    writer.raw(layout.names[position]!);
    writer.byte(COLON);
    writeAttribute(writer, source, attributes.base + position);
  }
  writer.byte(CLOSE);
}

function writeAttribute(writer: JsonWriter, source: RecordSource, row: number): void {
  const { columns, bytes } = source;
  const kind = columns.kind[row]!;
  const start = columns.valueStart[row]!;
  const stop = cutAt(source, columns.valueStop[row]!, start, cutValueBytes);
  if (kind === STRING) writer.string(bytes, start, stop);
  else if (isTorn(kind, stop, columns.valueStop[row]!)) writer.ascii("null");
  else writeValue(writer, bytes, { kind, start, stop });
}

/** Half a list or map cannot be read, so one that is too long is left out. */
function isTorn(kind: number, stop: number, whole: number): boolean {
  return stop < whole && (kind === ARRAY || kind === KVLIST);
}

/** Where a value ends in a record that is cut: a text between two characters. */
function cutAt(source: RecordSource, stop: number, start: number, bytesMax: number): number {
  if (!source.cut || stop - start <= bytesMax) return stop;
  let at = start + bytesMax;
  while (at > start && (source.bytes[at]! & 0xc0) === 0x80) at--;
  return at;
}

function writeRepeated(writer: JsonWriter, source: RecordSource): void {
  const { layout, attributes } = source;
  const { repeated } = layout;
  const most = source.cut ? Math.min(repeated.length, cutAttributes) : repeated.length;
  writer.byte(OPEN_LIST);
  for (let rank = 0; rank < most; rank++) {
    if (rank > 0) writer.byte(COMMA);
    writer.byte(OPEN_LIST);
    writer.raw(layout.names[repeated[rank]!]!);
    writer.byte(COMMA);
    writeAttribute(writer, source, attributes.base + repeated[rank]!);
    writer.byte(CLOSE_LIST);
  }
  writer.byte(CLOSE_LIST);
}

function writeProvenance(writer: JsonWriter, draft: Draft): void {
  writer.byte(OPEN);
  let first = true;
  for (const member of MEMBERS) {
    const from = draft.provenance[member.index];
    if (from === undefined || draft.state[member.index] === ABSENT) continue;
    if (!first) writer.byte(COMMA);
    first = false;
    writer.byte(QUOTE);
    writer.ascii(member.path);
    writer.byte(QUOTE);
    writer.byte(COLON);
    writer.json(canonicalize(from));
  }
  writer.byte(CLOSE);
}

/** Messages that came as one span event each: their attributes, and the event's name as `event`. */
function writeEvents(writer: JsonWriter, source: RecordSource, events: readonly EventItem[]): void {
  const { bytes, columns } = source;
  writer.byte(OPEN_LIST);
  for (const [rank, event] of events.entries()) {
    if (rank > 0) writer.byte(COMMA);
    const layout = event.attributes.layout(bytes, columns);
    writer.raw(ATTRIBUTES_OPEN);
    for (const [place, position] of layout.order.entries()) {
      if (place > 0) writer.byte(COMMA);
      writer.raw(layout.names[position]!);
      writer.byte(COLON);
      writeAttribute(writer, source, event.attributes.base + position);
    }
    writer.raw(EVENT_LABEL);
    writer.json(canonicalize(event.name));
    writer.byte(CLOSE);
  }
  writer.byte(CLOSE_LIST);
}

const ATTRIBUTES_OPEN = Buffer.from('{"attributes":{', "latin1");
const EVENT_LABEL = Buffer.from('},"event":', "latin1");
