/**
 * A form is the JSON of a record with blanks: runs of text that are the same for every record of its
 * kind, and between them what to put from the request. It is drawn once and filled for each record.
 */
import { shapeAttributesMax } from "../limits.ts";
import type { Circumstances } from "./outline.ts";

/** What is put in a blank. Those before `value` are what `form-program.ts` can do, see there. */
export const BLANK = {
  /** Nothing: the record ends. */
  end: 0,
  /** A text. */
  text: 1,
  /** One that makes the form unfit where it turns out to be a text that stands for nothing. */
  checkedText: 2,
  integer: 3,
  boolean: 4,
  /** A list, of texts perhaps. */
  list: 5,
  traceId: 6,
  spanId: 7,
  time: 8,
  /** JSON as it is. */
  raw: 9,
  /** Any attribute that no member took. */
  value: 10,
  /** Any other attribute, by the type of its member. */
  row: 11,
  checkedRow: 12,
  /** What `Filler.json` has for the member. */
  json: 13,
  events: 14,
  logBody: 15,
  links: 16,
} as const;
export type Blank = (typeof BLANK)[keyof typeof BLANK];

/** Where what is put in a blank lies. The first do not stand in attributes. */
const BESIDE = {
  none: 0,
  spanName: 1,
  /** The message of a status, or the body of a log record. */
  message: 2,
  traceId: 3,
  spanId: 4,
  parentId: 5,
  start: 6,
  end: 7,
  nonce: 8,
  service: 9,
  scope: 10,
  schemaUrl: 11,
  observed: 12,
} as const;
const firstItem = 16;

/** Attributes follow: of the item, as many as a shape can have, then what was inherited. */
export const PLACE: Readonly<Record<keyof typeof BESIDE | "item" | "inherited" | "rows", number>> =
  {
    ...BESIDE,
    item: firstItem,
    inherited: firstItem + shapeAttributesMax,
    /** Rows of the request, in forms that are filled once. */
    rows: 1024,
  };

export const placesMax: number = PLACE.inherited + 16;
/** From `service` on. */
export const PLACES_OF_CONTEXT = 4;

export interface Form {
  readonly circumstances: Circumstances;
  /** It says that a value changed its type. */
  readonly coerced: boolean;
  /** It may be filled for other records. */
  readonly lasting: boolean;
  /** All runs, one after the other. */
  readonly text: Uint8Array;
  /** For each blank: length of the run before it, `BLANK`, `PLACE`, member. */
  readonly blanks: Int32Array;
  /** Where it lies in a memory, see `form-memory.ts`. */
  turn: number;
  stepsAt: number;
}

export const numbersPerBlank = 4;
