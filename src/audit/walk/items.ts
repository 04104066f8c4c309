/** What the walk yields: where things lie in the request. Offsets of -1 mean absent. */
import type { WireReader } from "../../bytes/wire.ts";
import type { Enclosure } from "../otlp/splice.ts";
import type { Signal } from "../otlp/schema.ts";
import type { Attributes } from "./attributes.ts";

export interface ResourceContext {
  /** Running number of ResourceX in the request. */
  readonly ordinal: number;
  readonly enclosure: Enclosure;
  readonly attributes: Attributes;
}

export interface ScopeContext {
  readonly signal: Signal;
  /** Running number of ScopeX in the request. */
  readonly ordinal: number;
  readonly resource: ResourceContext;
  readonly enclosure: Enclosure;
  readonly attributes: Attributes;
  readonly name: string;
  readonly version: string;
  readonly schemaUrl: string;
  /** Some of these texts was not UTF-8. */
  readonly coerced: boolean;
}

export interface EventItem {
  readonly name: string;
  readonly timeAt: number;
  readonly attributes: Attributes;
  /** Position among all events of the span. */
  readonly ordinal: number;
}

/**
 * A span or a log record. A class, because V8 takes what is made by literals for long-lived after a
 * few collections in the middle of a request, and then leaves all of them to the full collector.
 */
export class Item {
  readonly signal: Signal;
  /** Running number of the span or log record in the request. */
  readonly ordinal: number;
  readonly scope: ScopeContext;
  readonly lengthStart: number;
  readonly start: number;
  readonly stop: number;
  attributes: Attributes;
  /** False where the rows were given back: the item is walked again to look at attributes. */
  loaded = true;
  traceAt = -1;
  spanAt = -1;
  parentAt = -1;
  nameStart = 0;
  nameStop = 0;
  kind = 0;
  startAt = -1;
  endAt = -1;
  statusCode = 0;
  messageStart = 0;
  messageStop = 0;
  /** Only those that some table names. */
  events: readonly EventItem[] = noEvents;
  /** Payload bounds of each link, flat: start, stop, start, stop … */
  links: readonly number[] = noLinks;
  /** Log records: the event's name, from the field or the older attribute. */
  eventName = "";
  /** Log records: when it was observed. */
  observedAt = -1;

  /** @param field what it is in its scope */
  constructor(scope: ScopeContext, ordinal: number, field: WireReader, attributes: Attributes) {
    this.signal = scope.signal;
    this.ordinal = ordinal;
    this.scope = scope;
    this.lengthStart = lengthStartOf(field);
    this.start = field.start;
    this.stop = field.stop;
    this.attributes = attributes;
  }
}

const noEvents: readonly EventItem[] = [];
const noLinks: readonly number[] = [];

/** Where the length varint of the current field begins. */
export function lengthStartOf(reader: WireReader): number {
  let at = reader.tagStart;
  while (reader.bytes[at]! >= 0x80) at++;
  return at + 1;
}
