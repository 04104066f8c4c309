/** Walks a request down to its spans or log records, one at a time, in the order they came. */
import { decodeUtf8Lossy } from "../../bytes/utf8.ts";
import { LENGTH_DELIMITED, WireReader } from "../../bytes/wire.ts";
import { requestAttributesMax } from "../../limits.ts";
import type { Enclosure } from "../otlp/splice.ts";
import type { Signal } from "../otlp/schema.ts";
import { AttributeReader, type Attributes } from "./attributes.ts";
import { type EventFilter, readLogRecord, readSpan } from "./item-fields.ts";
import { Item, lengthStartOf, type ResourceContext, type ScopeContext } from "./items.ts";

export class RequestWalk {
  readonly bytes: Uint8Array;
  readonly signal: Signal;
  readonly reader: AttributeReader;
  readonly #events: EventFilter;
  /** Spans or log records seen so far. */
  items = 0;
  #scopes = 0;
  #lent: Item | undefined = undefined;
  #lentFrom = 0;

  constructor(signal: Signal, reader: AttributeReader, events: EventFilter) {
    this.bytes = reader.bytes;
    this.signal = signal;
    this.reader = reader;
    this.#events = events;
  }

  /**
   * Calls `visit` for every item. An item's attributes are loaded during the call; what is kept of
   * it afterwards is read after `lend`.
   */
  forEach(visit: (item: Item) => boolean): void {
    const top = new WireReader(this.bytes);
    let ordinal = 0;
    while (top.next()) {
      if (top.field !== 1 || top.wireType !== LENGTH_DELIMITED) continue;
      this.#resource(enclosureOf(top, null), ordinal++, visit);
    }
  }

  /**
   * Makes the attributes of the item readable until another is asked for: one item at a time is
   * walked again where its rows were given back.
   */
  lend(item: Item): void {
    if (item.loaded || item === this.#lent) return;
    const { columns } = this.reader;
    if (this.#lent !== undefined) columns.size = this.#lentFrom;
    this.#lent = item;
    this.#lentFrom = columns.size;
    item.attributes = this.reader.begin();
    this.#fields(item);
  }

  /** Where the span's attributes of these names stand, tag and length included. */
  attributePlaces(item: Item, names: ReadonlySet<string>): { start: number; stop: number }[] {
    const places: { start: number; stop: number }[] = [];
    const fields = new WireReader(this.bytes, item.start, item.stop);
    while (fields.next()) {
      if (fields.field !== 9 || fields.wireType !== LENGTH_DELIMITED) continue;
      let name = "";
      const pair = fields.message();
      while (pair.next()) {
        if (pair.field !== 1 || pair.wireType !== LENGTH_DELIMITED) continue;
        name = decodeUtf8Lossy(pair.payload());
      }
      if (names.has(name)) places.push({ start: fields.tagStart, stop: fields.stop });
    }
    return places;
  }

  #resource(enclosure: Enclosure, ordinal: number, visit: (item: Item) => boolean): void {
    // A second copy of the field adds to the first, as protobuf says.
    const attributes = this.reader.begin();
    const scopes: Enclosure[] = [];
    const reader = new WireReader(this.bytes, enclosure.start, enclosure.stop);
    while (reader.next()) {
      if (reader.wireType !== LENGTH_DELIMITED) continue;
      if (reader.field === 1) this.#attributes(attributes, reader.message(), 1);
      else if (reader.field === 2) scopes.push(enclosureOf(reader, enclosure));
    }
    const resource: ResourceContext = { ordinal, enclosure, attributes };
    for (const scope of scopes) this.#scope(scope, resource, visit);
  }

  #scope(enclosure: Enclosure, resource: ResourceContext, visit: (item: Item) => boolean): void {
    const scope = this.#scopeContext(enclosure, resource);
    const reader = new WireReader(this.bytes, enclosure.start, enclosure.stop);
    while (reader.next()) {
      if (reader.field !== 2 || reader.wireType !== LENGTH_DELIMITED) continue;
      this.#item(scope, reader, visit);
    }
  }

  #item(scope: ScopeContext, reader: WireReader, visit: (item: Item) => boolean): void {
    const { columns } = this.reader;
    const mark = columns.size;
    const item = new Item(scope, this.items++, reader, this.reader.begin());
    this.#fields(item);
    const kept = visit(item);
    if (kept && columns.size <= requestAttributesMax) return;
    columns.size = mark;
    item.loaded = false;
  }

  #fields(item: Item): void {
    if (this.signal === "traces") readSpan(this.reader, item, this.#events);
    else readLogRecord(this.reader, item);
  }

  #scopeContext(enclosure: Enclosure, resource: ResourceContext): ScopeContext {
    const attributes = this.reader.begin();
    const texts = { name: "", version: "", schemaUrl: "" };
    const reader = new WireReader(this.bytes, enclosure.start, enclosure.stop);
    while (reader.next()) {
      if (reader.wireType !== LENGTH_DELIMITED) continue;
      if (reader.field === 3) texts.schemaUrl = decodeUtf8Lossy(reader.payload());
      if (reader.field !== 1) continue;
      this.#attributes(attributes, reader.message(), 3);
      const scope = reader.message();
      while (scope.next()) {
        if (scope.wireType !== LENGTH_DELIMITED) continue;
        if (scope.field === 1) texts.name = decodeUtf8Lossy(scope.payload());
        else if (scope.field === 2) texts.version = decodeUtf8Lossy(scope.payload());
      }
    }
    const coerced = `${texts.name}${texts.version}${texts.schemaUrl}`.includes("\ufffd");
    const { signal } = this;
    return { signal, ordinal: this.#scopes++, resource, enclosure, attributes, ...texts, coerced };
  }

  #attributes(attributes: Attributes, reader: WireReader, field: number): void {
    while (reader.next()) {
      if (reader.field !== field || reader.wireType !== LENGTH_DELIMITED) continue;
      this.reader.read(attributes, reader.start, reader.stop);
    }
  }
}

function enclosureOf(reader: WireReader, parent: Enclosure | null): Enclosure {
  return {
    lengthStart: lengthStartOf(reader),
    start: reader.start,
    stop: reader.stop,
    parent,
  };
}
