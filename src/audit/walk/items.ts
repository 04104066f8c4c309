/** What the walk yields: where things lie in the request. Offsets of -1 mean absent. */
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

/** A span or a log record. */
export interface Item {
  readonly signal: Signal;
  /** Running number of the span or log record in the request. */
  readonly ordinal: number;
  readonly scope: ScopeContext;
  readonly lengthStart: number;
  readonly start: number;
  readonly stop: number;
  attributes: Attributes;
  /** False where the rows were given back: the item is walked again to look at attributes. */
  loaded: boolean;
  traceAt: number;
  spanAt: number;
  parentAt: number;
  nameStart: number;
  nameStop: number;
  kind: number;
  startAt: number;
  endAt: number;
  statusCode: number;
  messageStart: number;
  messageStop: number;
  /** Only those that some table names. */
  events: EventItem[];
  /** Payload bounds of each link, flat: start, stop, start, stop … */
  links: number[];
  /** Log records: the event's name, from the field or the older attribute. */
  eventName: string;
  /** Log records: when it was observed. */
  observedAt: number;
}

export function newItem(
  signal: Signal,
  ordinal: number,
  scope: ScopeContext,
  place: { lengthStart: number; start: number; stop: number; attributes: Attributes },
): Item {
  return {
    signal,
    ordinal,
    scope,
    lengthStart: place.lengthStart,
    start: place.start,
    stop: place.stop,
    attributes: place.attributes,
    loaded: true,
    traceAt: -1,
    spanAt: -1,
    parentAt: -1,
    nameStart: 0,
    nameStop: 0,
    kind: 0,
    startAt: -1,
    endAt: -1,
    statusCode: 0,
    messageStart: 0,
    messageStop: 0,
    events: noEvents,
    links: noLinks,
    eventName: "",
    observedAt: -1,
  };
}

const noEvents: EventItem[] = [];
const noLinks: number[] = [];
