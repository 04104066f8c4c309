/** Reads KeyValue messages into columns. Attacker-controlled bytes are parsed here. */
import { dataViewOf } from "../../bytes/copy.ts";
import { LENGTH_DELIMITED, FIXED64, VARINT, WireError, WireReader } from "../../bytes/wire.ts";
import { attributesPerItemMax, nestingDepthMax } from "../../limits.ts";
import { RequestError } from "../request-error.ts";
import { ARRAY, BOOL, BYTES, type Columns, DOUBLE, EMPTY, INT, KVLIST, STRING } from "./columns.ts";
import { type Key, keyOf, layOut, type Layout } from "./layout.ts";
import { type Shape, ShapeTree } from "./shapes.ts";

/** A run of rows: the attributes of one span, event, log record, scope or resource. */
export class Attributes {
  readonly base: number;
  count = 0;
  shape: Shape | undefined;
  #layout: Layout | undefined = undefined;

  constructor(base: number, shape: Shape | undefined) {
    this.base = base;
    this.shape = shape;
  }

  layout(bytes: Uint8Array, columns: Columns): Layout {
    if (this.#layout === undefined) {
      this.#layout = this.shape === undefined ? this.#wide(bytes, columns) : this.shape.layout;
    }
    return this.#layout;
  }

  /** Too wide for the tree: laid out on its own. */
  #wide(bytes: Uint8Array, columns: Columns): Layout {
    const keys: Key[] = [];
    for (let row = this.base; row < this.base + this.count; row++) {
      keys.push(keyOf(bytes.subarray(columns.keyStart[row], columns.keyStop[row])));
    }
    return layOut(keys, undefined);
  }
}

export class AttributeReader {
  readonly bytes: Uint8Array;
  readonly #words: DataView;
  readonly columns: Columns;
  readonly shapes: ShapeTree;

  constructor(bytes: Uint8Array, shapes: ShapeTree, columns: Columns) {
    this.bytes = bytes;
    this.#words = dataViewOf(bytes);
    this.columns = columns;
    this.shapes = shapes;
  }

  begin(): Attributes {
    return new Attributes(this.columns.size, this.shapes.root);
  }

  /** Appends the KeyValue in `[start, stop)` to `attributes`, which must be the last run. */
  read(attributes: Attributes, start: number, stop: number): void {
    const row = this.columns.add();
    if (!this.#readPlain(row, start, stop)) this.#readAny(row, start, stop);
    if (++attributes.count > attributesPerItemMax) {
      throw new RequestError(
        "too_large",
        `more than ${attributesPerItemMax} attributes on one item`,
      );
    }
    if (attributes.shape === undefined) return;
    const { kind, keyStart, keyStop } = this.columns;
    const keyAt = keyStart[row]!;
    const latest = attributes.shape.latest;
    if (latest?.is(this.#words, keyAt, keyStop[row]! - keyAt, kind[row]!) === true) {
      attributes.shape = latest;
    } else attributes.shape = this.shapes.after(attributes.shape, this.#words, this.columns, row);
  }

  /** The one layout that encoders write: key, then value, each once, with short lengths. */
  #readPlain(row: number, start: number, stop: number): boolean {
    const bytes = this.bytes;
    if (stop - start < 4 || bytes[start] !== 0x0a) return false;
    const keyStop = start + 2 + bytes[start + 1]!;
    if (bytes[start + 1]! > 127 || keyStop + 2 > stop || bytes[keyStop] !== 0x12) return false;
    const valueStart = lengthEnd(bytes, keyStop + 1, stop);
    if (valueStart < 0) return false;
    const { columns } = this;
    columns.keyStart[row] = start + 2;
    columns.keyStop[row] = keyStop;
    const tag = bytes[valueStart];
    if (tag === 0x0a) {
      const textStart = lengthEnd(bytes, valueStart + 1, stop);
      if (textStart < 0) return false;
      columns.kind[row] = STRING;
      columns.valueStart[row] = textStart;
      columns.valueStop[row] = stop;
      return true;
    }
    if (tag === 0x2a) {
      const listStart = lengthEnd(bytes, valueStart + 1, stop);
      if (listStart < 0 || !isListOfTexts(bytes, listStart, stop)) return false;
      columns.kind[row] = ARRAY;
      columns.valueStart[row] = listStart;
      columns.valueStop[row] = stop;
      return true;
    }
    if (tag === 0x21 && valueStart + 9 === stop) {
      columns.kind[row] = DOUBLE;
      columns.valueStart[row] = valueStart + 1;
      columns.valueStop[row] = stop;
      return true;
    }
    if (tag !== 0x18 && tag !== 0x10) return false;
    if (varintEnd(bytes, valueStart + 1, stop) !== stop) return false;
    columns.kind[row] = tag === 0x18 ? INT : BOOL;
    columns.valueStart[row] = valueStart + 1;
    columns.valueStop[row] = stop;
    return true;
  }

  #readAny(row: number, start: number, stop: number): void {
    const { columns } = this;
    columns.keyStart[row] = columns.keyStop[row] = start;
    let valueStart = start;
    let valueStop = start;
    const reader = new WireReader(this.bytes, start, stop);
    while (reader.next()) {
      if (reader.wireType !== LENGTH_DELIMITED) continue;
      if (reader.field === 1) {
        columns.keyStart[row] = reader.start;
        columns.keyStop[row] = reader.stop;
      } else if (reader.field === 2) [valueStart, valueStop] = [reader.start, reader.stop];
    }
    this.#readValue(row, valueStart, valueStop);
  }

  #readValue(row: number, start: number, stop: number): void {
    const reader = new WireReader(this.bytes, start, stop);
    readAnyValue(reader);
    this.columns.kind[row] = found.kind;
    this.columns.valueStart[row] = found.start;
    this.columns.valueStop[row] = found.stop;
    if (found.kind === ARRAY || found.kind === KVLIST) {
      checkNested(new WireReader(this.bytes, found.start, found.stop), found.kind, 1);
    }
  }
}

/** What `readAnyValue` found: one object, because values are read by the million. */
export const found: { kind: number; start: number; stop: number } = {
  kind: EMPTY,
  start: 0,
  stop: 0,
};

const WIRE_TYPES: readonly number[] = [
  -1,
  LENGTH_DELIMITED,
  VARINT,
  VARINT,
  FIXED64,
  LENGTH_DELIMITED,
  LENGTH_DELIMITED,
  LENGTH_DELIMITED,
];

/** Of the fields of a oneof the last counts. Leaves its answer in `found`. */
export function readAnyValue(reader: WireReader): void {
  found.kind = EMPTY;
  found.start = found.stop = reader.position;
  while (reader.next()) {
    if (reader.field > BYTES || WIRE_TYPES[reader.field] !== reader.wireType) continue;
    found.kind = reader.field;
    found.start = reader.start;
    found.stop = reader.stop;
  }
}

/** @throws WireError where something inside is malformed or nested too deep. */
function checkNested(reader: WireReader, kind: number, depth: number): void {
  if (depth > nestingDepthMax) {
    throw new WireError(
      "too_deep",
      `values nested deeper than ${nestingDepthMax}`,
      reader.position,
    );
  }
  while (reader.next()) {
    if (reader.field !== 1 || reader.wireType !== LENGTH_DELIMITED) continue;
    if (kind === ARRAY) checkValue(reader.message(), depth);
    else {
      const pair = reader.message();
      while (pair.next()) {
        if (pair.field === 2 && pair.wireType === LENGTH_DELIMITED)
          checkValue(pair.message(), depth);
      }
    }
  }
}

function checkValue(value: WireReader, depth: number): void {
  while (value.next()) {
    if (value.wireType !== LENGTH_DELIMITED) continue;
    if (value.field === ARRAY || value.field === KVLIST) {
      checkNested(value.message(), value.field, depth + 1);
    }
  }
}

/** Where the payload begins whose length varint is at `at`, if it fills up to `stop`; else -1. */
function lengthEnd(bytes: Uint8Array, at: number, stop: number): number {
  const first = bytes[at]!;
  if (first < 0x80) return at + 1 + first === stop ? at + 1 : -1;
  const second = bytes[at + 1]!;
  if (second < 0x80) {
    return at + 2 + (first & 0x7f) + second * 128 === stop ? at + 2 : -1;
  }
  return -1;
}

/** Whether an ArrayValue holds nothing but strings as encoders write them, all below 126 bytes. */
export function isListOfTexts(bytes: Uint8Array, start: number, stop: number): boolean {
  let at = start;
  while (at < stop) {
    const size = bytes[at + 1]!;
    if (stop - at < 4 || bytes[at] !== 0x0a || bytes[at + 2] !== 0x0a) return false;
    if (size < 2 || size > 127 || bytes[at + 3] !== size - 2) return false;
    at += 2 + size;
  }
  return at === stop;
}

function varintEnd(bytes: Uint8Array, at: number, stop: number): number {
  const limit = Math.min(stop, at + 10);
  for (let position = at; position < limit; position++) {
    if (bytes[position]! < 0x80) return position + 1;
  }
  return -1;
}
