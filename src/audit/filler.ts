/** Fills the form of a record with what the request has for it. */
import { encodeUtf8 } from "../bytes/utf8.ts";
import { cutContentBytes, cutValueBytes } from "../limits.ts";
import { canonicalize } from "../bytes/canonical-json.ts";
import { BLANK, type Form, FROM, numbersPerBlank } from "./form.ts";
import { linksJson, writeLogBody, writeValue } from "./json-value.ts";
import { type JsonWriter, textBytesMax } from "./json-writer.ts";
import { MEMBERS } from "./members.ts";
import { isSentinel } from "./sentinels.ts";
import type { Attributes } from "./walk/attributes.ts";
import { ARRAY, type Columns, KVLIST, STRING } from "./walk/columns.ts";
import type { EventItem, Item } from "./walk/items.ts";
import { writeAs } from "./write-as.ts";

/** One for record after record: what its fields say is set before each. */
export class Filler {
  readonly json: string[] = [];
  readonly raw: Uint8Array[] = [];
  readonly lists: (readonly EventItem[])[] = [];
  item!: Item;
  event: EventItem | undefined = undefined;
  /** The first row of the record's own attributes, and of what was inherited. */
  itemAt = 0;
  inheritedAt = 0;
  /** Long values are cut: the item is too large to record. */
  cut = false;
  /** Where zeros stand that nonce and time of observation replace. */
  nonceAt = 0;
  observedAt = 0;
  readonly #bytes: Uint8Array;
  readonly #columns: Columns;
  readonly #writer: JsonWriter;
  readonly #unobserved: Uint8Array;

  constructor(bytes: Uint8Array, columns: Columns, writer: JsonWriter, observedChars: number) {
    this.#bytes = bytes;
    this.#columns = columns;
    this.#writer = writer;
    this.#unobserved = encodeUtf8(`"${"0".repeat(observedChars)}"`);
  }

  /**
   * Runs and plain texts, which are nearly all, are written here at once; the rest by `#put`.
   *
   * @returns false where the form turned out to be unfit: what was written counts for nothing
   */
  fill({ text, blanks }: Form): boolean {
    const writer = this.#writer;
    const { kind, valueStart, valueStop } = this.#columns;
    writer.from(this.#bytes);
    // Room for all runs is kept whatever comes between them.
    let limit = this.#reserve(text.byteLength);
    let { at, words } = writer;
    let from = 0;
    for (let place = 0; ; place += numbersPerBlank) {
      const length = blanks[place]!;
      for (let offset = 0; offset < length; offset += 8) {
        words.setBigInt64(at + offset, text.getBigInt64(from + offset, true), true);
      }
      at += length;
      from += length;
      const blank = blanks[place + 1]!;
      if (blank === BLANK.end) break;
      if (blank <= BLANK.leftover && !this.cut) {
        const row = this.#rowOf(blanks, place);
        const start = valueStart[row]!;
        const stop = valueStop[row]!;
        if (kind[row] === STRING && at + textBytesMax(stop - start) <= limit) {
          if (blank === BLANK.checkedText && isSentinel(this.#bytes, start, stop)) return false;
          at = writer.text(at, start, stop);
          continue;
        }
      }
      writer.at = at;
      if (!this.#put(blanks, place)) return false;
      limit = this.#reserve(text.byteLength);
      ({ at, words } = writer);
    }
    writer.at = at;
    return true;
  }

  /** @returns how far anything else may reach */
  #reserve(count: number): number {
    const writer = this.#writer;
    writer.reserve(count);
    return writer.bytes.length - count;
  }

  #rowOf(blanks: Int32Array, place: number): number {
    const from = blanks[place + 3];
    const first = from === FROM.item ? this.itemAt : from === FROM.inherited ? this.inheritedAt : 0;
    return first + blanks[place + 2]!;
  }

  #put(blanks: Int32Array, place: number): boolean {
    const blank = blanks[place + 1]!;
    const member = blanks[place + 4]!;
    if (blank > BLANK.checkedRow) {
      this.#other(blank, member);
      return true;
    }
    const row = this.#rowOf(blanks, place);
    if (blank === BLANK.leftover) this.#leftover(row);
    else if (blank === BLANK.checkedText || blank === BLANK.checkedRow) {
      const { valueStart, valueStop } = this.#columns;
      if (isSentinel(this.#bytes, valueStart[row]!, valueStop[row]!)) return false;
      this.#member(row, member);
    } else this.#member(row, member);
    return true;
  }

  #member(row: number, member: number): void {
    const columns = this.#columns;
    const kind = columns.kind[row]!;
    const start = columns.valueStart[row]!;
    const whole = columns.valueStop[row]!;
    const stop = this.cut ? this.#cutAt(start, whole, cutContentBytes) : whole;
    if (isTorn(kind, stop, whole)) this.#writer.ascii("null");
    else writeAs(MEMBERS[member]!.type, this.#writer, this.#bytes, { kind, start, stop });
  }

  #leftover(row: number): void {
    const columns = this.#columns;
    const kind = columns.kind[row]!;
    const start = columns.valueStart[row]!;
    const whole = columns.valueStop[row]!;
    const stop = this.cut ? this.#cutAt(start, whole, cutValueBytes) : whole;
    if (kind === STRING) this.#writer.string(this.#bytes, start, stop);
    else if (isTorn(kind, stop, whole)) this.#writer.ascii("null");
    else writeValue(this.#writer, this.#bytes, { kind, start, stop });
  }

  /** Where a value ends in a record that is cut: a text between two characters. */
  #cutAt(start: number, stop: number, bytesMax: number): number {
    if (stop - start <= bytesMax) return stop;
    let at = start + bytesMax;
    while (at > start && (this.#bytes[at]! & 0xc0) === 0x80) at--;
    return at;
  }

  #other(blank: number, member: number): void {
    const { item } = this;
    const writer = this.#writer;
    switch (blank) {
      case BLANK.spanName:
        this.#text(item.nameStart, item.nameStop);
        return;
      case BLANK.statusMessage:
        this.#text(item.messageStart, item.messageStop);
        return;
      case BLANK.json:
        writer.json(this.json[member]!);
        return;
      case BLANK.raw:
        writer.raw(this.raw[member]!);
        return;
      case BLANK.events:
        this.#events(this.lists[member]!);
        return;
      case BLANK.nonce:
        this.nonceAt = writer.at + 1;
        writer.raw(NO_NONCE);
        return;
      case BLANK.observed:
        this.observedAt = writer.at + 1;
        writer.raw(this.#unobserved);
        return;
      default:
        this.#ofItem(blank);
    }
  }

  #ofItem(blank: number): void {
    const { item, event } = this;
    switch (blank) {
      case BLANK.start:
        this.#time(event?.timeAt ?? (item.startAt >= 0 ? item.startAt : item.observedAt));
        return;
      case BLANK.endTime:
        this.#time(item.endAt);
        return;
      case BLANK.traceId:
        this.#id(item.traceAt, 16);
        return;
      case BLANK.spanId:
        this.#id(item.spanAt, 8);
        return;
      case BLANK.parentId:
        this.#id(item.parentAt, 8);
        return;
      case BLANK.logBody:
        // A body that is cut is not shown: half of a value is none.
        if (this.cut) this.#writer.ascii("null");
        else writeLogBody(this.#writer, this.#bytes, item.messageStart, item.messageStop);
        return;
      default:
        this.#writer.json(linksJson(this.#bytes, item.links));
    }
  }

  #text(start: number, whole: number): void {
    const stop = this.cut ? this.#cutAt(start, whole, cutValueBytes) : whole;
    this.#writer.string(this.#bytes, start, stop);
  }

  #id(start: number, count: number): void {
    const writer = this.#writer;
    writer.byte(QUOTE);
    writer.hex(this.#bytes, start, start + count);
    writer.byte(QUOTE);
  }

  #time(at: number): void {
    const writer = this.#writer;
    writer.byte(QUOTE);
    if (at < 0) writer.byte(ZERO);
    else writer.fixed64(this.#bytes, at);
    writer.byte(QUOTE);
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
      this.#leftover(attributes.base + position);
    }
  }
}

/** Half a list or map cannot be read, so one that is too long is left out. */
function isTorn(kind: number, stop: number, whole: number): boolean {
  return stop < whole && (kind === ARRAY || kind === KVLIST);
}

const NO_NONCE = encodeUtf8(`"${"0".repeat(32)}"`);
const ATTRIBUTES_OPEN = encodeUtf8('{"attributes":{');
const EVENT_LABEL = encodeUtf8('},"event":');
const QUOTE = 0x22;
const ZERO = 0x30;
const COMMA = 0x2c;
const COLON = 0x3a;
const CLOSE = 0x7d;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;
