/**
 * A form is the JSON of a record with blanks: runs of text that are the same for every record of its
 * kind, and between them what to put from the request. It is drawn once and filled for each record.
 */
import type { Circumstances } from "./outline.ts";

/** What is put in a blank. */
export const BLANK = {
  /** Nothing: the record ends. */
  end: 0,
  /** A text attribute. */
  text: 1,
  /** One that makes the form unfit where it turns out to be a text that stands for nothing. */
  checkedText: 2,
  /** An attribute that no member took. */
  leftover: 3,
  /** Any other attribute, by the type of its member. */
  row: 4,
  checkedRow: 5,
  spanName: 6,
  statusMessage: 7,
  /** What `Blanks.json` has for the member. */
  json: 8,
  /** What `Blanks.raw` has for the member. */
  raw: 9,
  events: 10,
  nonce: 11,
  observed: 12,
  start: 13,
  endTime: 14,
  traceId: 15,
  spanId: 16,
  parentId: 17,
  logBody: 18,
  links: 19,
} as const;
export type Blank = (typeof BLANK)[keyof typeof BLANK];

/** What rows are counted from: the first of the request, of the item, of what was inherited. */
export const FROM = { request: 0, item: 1, inherited: 2 } as const;
export type From = (typeof FROM)[keyof typeof FROM];

export interface Form {
  readonly circumstances: Circumstances;
  /** It says that a value changed its type. */
  readonly coerced: boolean;
  /** All runs, one after the other, and at least eight bytes more. */
  readonly text: DataView;
  /** For each blank: length of the run before it, `BLANK`, row, `FROM`, member. */
  readonly blanks: Int32Array;
}

export const numbersPerBlank = 5;
