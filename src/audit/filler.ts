/** Fills the form of a record with what the request has for it. */
import { encodeUtf8 } from "../bytes/utf8.ts";
import { cutContentBytes, cutValueBytes } from "../limits.ts";
import { canonicalize } from "../bytes/canonical-json.ts";
import type { ContextBytes } from "./context-bytes.ts";
import { BLANK, type Form, numbersPerBlank, PLACE } from "./form.ts";
import type { FormMemory } from "./form-memory.ts";
import { stepBytes } from "./form-program.ts";
import { linksJson, writeLogBody, writeValue } from "./json-value.ts";
import { type JsonWriter, textBytesMax } from "./json-writer.ts";
import { MEMBER, MEMBERS } from "./members.ts";
import { isSentinel } from "./sentinels.ts";
import type { Attributes } from "./walk/attributes.ts";
import { ARRAY, type Columns, KVLIST, STRING } from "./walk/columns.ts";
import type { EventItem, Item } from "./walk/items.ts";
import type { View } from "./walk/view.ts";
import { writeAs } from "./write-as.ts";

/** One for record after record: what its fields say is set before each. */
export class Filler {
  readonly json: string[] = [];
  readonly lists: (readonly EventItem[])[] = [];
  item!: Item;
  /** The record's own attributes. */
  attributes!: Attributes;
  /** The first row of what was inherited. */
  inheritedAt = 0;
  /** Long values are cut: the item is too large to record. */
  cut = false;
  #contextBytes = 0;
  readonly #bytes: Uint8Array;
  readonly #columns: Columns;
  readonly #memory: FormMemory;
  readonly #writer: JsonWriter;

  constructor({ bytes, columns }: View, memory: FormMemory, writer: JsonWriter) {
    this.#bytes = bytes;
    this.#columns = columns;
    this.#memory = memory;
    this.#writer = writer;
  }

  /** The records that follow are of this scope. */
  enter({ service, scope, schemaUrl }: ContextBytes): void {
    const memory = this.#memory;
    memory.setContext(PLACE.service, service ?? NOTHING);
    memory.setContext(PLACE.scope, scope ?? NOTHING);
    memory.setContext(PLACE.schemaUrl, schemaUrl ?? NOTHING);
    this.#contextBytes = memory.contextBytes;
  }

  /** The record that follows is about this. */
  begin(item: Item, event: EventItem | undefined): void {
    this.item = item;
    const memory = this.#memory;
    const startAt = event?.timeAt ?? (item.startAt >= 0 ? item.startAt : item.observedAt);
    memory.set(PLACE.spanName, item.nameStart, item.nameStop);
    memory.set(PLACE.message, item.messageStart, item.messageStop);
    memory.set(PLACE.traceId, item.traceAt, item.traceAt);
    memory.set(PLACE.spanId, item.spanAt, item.spanAt);
    memory.set(PLACE.parentId, item.parentAt, item.parentAt);
    memory.set(PLACE.start, startAt, startAt);
    memory.set(PLACE.end, item.endAt, item.endAt);
  }

  /** @returns false where the form turned out to be unfit: what was written counts for nothing */
  fill(form: Form): boolean {
    return form.lasting ? this.#fillByProgram(form) : this.#fillOnce(form);
  }

  #fillByProgram(form: Form): boolean {
    const memory = this.#memory;
    const writer = this.#writer;
    const { blanks } = form;
    const first = memory.stepsOf(form);
    const room = form.text.length + this.#setRows();
    for (let step = first; ; step += stepBytes) {
      writer.reserve(room);
      step = memory.fill(step, writer.at);
      writer.at = memory.written;
      const at = ((step - first) / stepBytes) * numbersPerBlank;
      if (blanks[at + 1] === BLANK.end) return true;
      if (!this.#put(blanks, at)) return false;
    }
  }

  /** Says where the rows are. @returns how much all that is put in may take */
  #setRows(): number {
    const memory = this.#memory;
    const { valueStart, valueStop, size } = this.#columns;
    const { item, inheritedAt } = this;
    const { base, count } = this.attributes;
    let bytes = item.stop - item.start;
    for (let at = 0; at < count; at++) {
      memory.set(PLACE.item + at, valueStart[base + at]!, valueStop[base + at]!);
    }
    for (let row = inheritedAt; row < size; row++) {
      memory.set(PLACE.inherited + row - inheritedAt, valueStart[row]!, valueStop[row]!);
      bytes += valueStop[row]! - valueStart[row]!;
    }
    // Some stand in the body twice, as a value and as a name.
    return 2 * textBytesMax(bytes) + textBytesMax(count) + this.#contextBytes;
  }

  #fillOnce({ text, blanks }: Form): boolean {
    const writer = this.#writer;
    let from = 0;
    for (let at = 0; ; at += numbersPerBlank) {
      const to = from + blanks[at]!;
      writer.raw(text.subarray(from, to));
      from = to;
      if (blanks[at + 1] === BLANK.end) return true;
      if (!this.#put(blanks, at)) return false;
    }
  }

  #put(blanks: Int32Array, at: number): boolean {
    const blank = blanks[at + 1]!;
    const place = blanks[at + 2]!;
    const member = blanks[at + 3]!;
    if (blank >= BLANK.json) this.#other(blank, member);
    else if (blank === BLANK.traceId) this.#id(place, 16);
    else if (blank === BLANK.spanId) this.#id(place, 8);
    else if (blank === BLANK.time) this.#time(place);
    else if (blank === BLANK.raw) this.#raw(place);
    else if (place < PLACE.item) this.#ofItem(place);
    else {
      const row = this.#rowAt(place);
      const isChecked = blank === BLANK.checkedText || blank === BLANK.checkedRow;
      if (isChecked && this.#isSentinel(row)) return false;
      if (member === LEFTOVER) this.#value(row, cutValueBytes);
      else if (blank === BLANK.row || blank === BLANK.checkedRow) this.#row(row, member);
      else this.#value(row, cutContentBytes);
    }
    return true;
  }

  #rowAt(place: number): number {
    if (place >= PLACE.rows) return place - PLACE.rows;
    if (place >= PLACE.inherited) return this.inheritedAt + place - PLACE.inherited;
    return this.attributes.base + place - PLACE.item;
  }

  #isSentinel(row: number): boolean {
    const { valueStart, valueStop } = this.#columns;
    return isSentinel(this.#bytes, valueStart[row]!, valueStop[row]!);
  }

  /** A value as its member has it. */
  #row(row: number, member: number): void {
    const columns = this.#columns;
    const kind = columns.kind[row]!;
    const start = columns.valueStart[row]!;
    const whole = columns.valueStop[row]!;
    const stop = this.#cutAt(start, whole, cutContentBytes);
    if (isTorn(kind, stop, whole)) this.#writer.ascii("null");
    else writeAs(MEMBERS[member]!.type, this.#writer, this.#bytes, { kind, start, stop });
  }

  /** A value as it came. */
  #value(row: number, bytesMax: number): void {
    const columns = this.#columns;
    const kind = columns.kind[row]!;
    const start = columns.valueStart[row]!;
    const whole = columns.valueStop[row]!;
    const stop = this.#cutAt(start, whole, bytesMax);
    if (kind === STRING) this.#writer.string(this.#bytes, start, stop);
    else if (isTorn(kind, stop, whole)) this.#writer.ascii("null");
    else writeValue(this.#writer, this.#bytes, { kind, start, stop });
  }

  /** Where a value ends in a record that is cut: a text between two characters. */
  #cutAt(start: number, stop: number, bytesMax: number): number {
    if (!this.cut || stop - start <= bytesMax) return stop;
    let at = start + bytesMax;
    while (at > start && (this.#bytes[at]! & 0xc0) === 0x80) at--;
    return at;
  }

  #ofItem(place: number): void {
    const { nameStart, nameStop, messageStart, messageStop } = this.item;
    if (place === PLACE.spanName) this.#text(nameStart, nameStop);
    else this.#text(messageStart, messageStop);
  }

  #text(start: number, whole: number): void {
    this.#writer.string(this.#bytes, start, this.#cutAt(start, whole, cutValueBytes));
  }

  #other(blank: number, member: number): void {
    const { item } = this;
    const writer = this.#writer;
    switch (blank) {
      case BLANK.json:
        writer.json(this.json[member]!);
        return;
      case BLANK.events:
        this.#events(this.lists[member]!);
        return;
      case BLANK.logBody:
        // A body that is cut is not shown: half of a value is none.
        if (this.cut) writer.ascii("null");
        else writeLogBody(writer, this.#bytes, item.messageStart, item.messageStop);
        return;
      default:
        writer.json(linksJson(this.#bytes, item.links));
    }
  }

  #id(place: number, count: number): void {
    const writer = this.#writer;
    const start = this.#memory.startOf(place);
    writer.reserve(textBytesMax(2 * count));
    writer.byte(QUOTE);
    writer.hex(writer.bytes, start, start + count);
    writer.byte(QUOTE);
  }

  #time(place: number): void {
    const writer = this.#writer;
    const at = this.#memory.startOf(place);
    writer.reserve(textBytesMax(20));
    writer.byte(QUOTE);
    if (at === 0) writer.byte(ZERO);
    else writer.fixed64(writer.bytes, at);
    writer.byte(QUOTE);
  }

  #raw(place: number): void {
    const { length } = this.#memory.contextAt(place);
    this.#writer.again(this.#memory.startOf(place), length);
  }

  /** Messages that came as one span event each: their attributes, and the event's name as `event`. */
  #events(events: readonly EventItem[]): void {
    const writer = this.#writer;
    let before = OPEN_LIST;
    for (const event of events) {
      writer.byte(before);
      before = COMMA;
      writer.raw(ATTRIBUTES_OPEN);
      this.#attributes(event.attributes);
      writer.raw(EVENT_LABEL);
      writer.json(canonicalize(event.name));
      writer.byte(CLOSE);
    }
    writer.byte(CLOSE_LIST);
  }

  #attributes(attributes: Attributes): void {
    const writer = this.#writer;
    const { order, names } = attributes.layout(this.#bytes, this.#columns);
    for (const [place, position] of order.entries()) {
      if (place > 0) writer.byte(COMMA);
      writer.raw(names[position]!);
      writer.byte(COLON);
      this.#value(attributes.base + position, cutValueBytes);
    }
  }
}

/** Half a list or map cannot be read, so one that is too long is left out. */
function isTorn(kind: number, stop: number, whole: number): boolean {
  return stop < whole && (kind === ARRAY || kind === KVLIST);
}

const NOTHING = new Uint8Array(0);
const LEFTOVER = MEMBER.attributes;
const ATTRIBUTES_OPEN = encodeUtf8('{"attributes":{');
const EVENT_LABEL = encodeUtf8('},"event":');
const QUOTE = 0x22;
const ZERO = 0x30;
const COMMA = 0x2c;
const COLON = 0x3a;
const CLOSE = 0x7d;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
