/** Questions about one run of attributes. One view is used for item after item. */
import type { AttributeReader, Attributes } from "./attributes.ts";
import { BOOL, type Columns, EMPTY, INT, STRING } from "./columns.ts";
import type { Item } from "./items.ts";
import type { Layout } from "./layout.ts";
import type { Words } from "../words.ts";
import { textAt } from "./text.ts";

export class View {
  readonly bytes: Uint8Array;
  readonly columns: Columns;
  readonly #text: Buffer;
  item!: Item;
  attributes!: Attributes;
  layout!: Layout;

  constructor(reader: AttributeReader) {
    this.bytes = reader.bytes;
    this.columns = reader.columns;
    this.#text = Buffer.from(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length);
  }

  /** Looks at an item, or at one of its events' attributes. */
  use(item: Item, attributes: Attributes = item.attributes): this {
    this.item = item;
    this.attributes = attributes;
    this.layout = attributes.layout(this.bytes, this.columns);
    return this;
  }

  /** Looks at other attributes, of a scope or resource, whatever item is under the view. */
  at(attributes: Attributes): this {
    this.attributes = attributes;
    this.layout = attributes.layout(this.bytes, this.columns);
    return this;
  }

  /** Bytes as they are, one character each. */
  latin1(start: number, stop: number): string {
    return this.#text.toString("latin1", start, stop);
  }

  /** The row of a key, or -1. An attribute without a value counts as absent. */
  row(key: number): number {
    const position = this.layout.positions[key] ?? -1;
    if (position < 0) return -1;
    const row = this.attributes.base + position;
    return this.columns.kind[row] === EMPTY ? -1 : row;
  }

  has(key: number): boolean {
    return this.row(key) >= 0;
  }

  isText(key: number): boolean {
    const row = this.row(key);
    return row >= 0 && this.columns.kind[row] === STRING;
  }

  /** The text of a string attribute, or undefined. */
  text(key: number): string | undefined {
    const row = this.row(key);
    if (row < 0 || this.columns.kind[row] !== STRING) return undefined;
    return this.slice(this.columns.valueStart[row]!, this.columns.valueStop[row]!);
  }

  /** What a list of words has for a string attribute, or undefined. */
  word<Value>(key: number, words: Words<Value>): Value | undefined {
    const row = this.row(key);
    if (row < 0 || this.columns.kind[row] !== STRING) return undefined;
    return words.get(this.bytes, this.columns.valueStart[row]!, this.columns.valueStop[row]!);
  }

  /** The value of a boolean attribute, also where it came as text. */
  flag(key: number): boolean | undefined {
    const row = this.row(key);
    if (row < 0) return undefined;
    const start = this.columns.valueStart[row]!;
    if (this.columns.kind[row] === BOOL) return this.bytes[start] !== 0;
    const text = this.text(key)?.toLowerCase();
    return text === "true" ? true : text === "false" ? false : undefined;
  }

  /** The text of a string or integer attribute that names something. */
  name(key: number): string | undefined {
    const row = this.row(key);
    if (row < 0 || this.columns.kind[row] !== INT) return this.text(key);
    let value = 0n;
    for (let at = this.columns.valueStop[row]! - 1; at >= this.columns.valueStart[row]!; at--) {
      value = (value << 7n) | BigInt(this.bytes[at]! & 0x7f);
    }
    return BigInt.asIntN(64, value).toString();
  }

  slice(start: number, stop: number): string {
    return textAt(this.bytes, start, stop);
  }

  /** The span's name. */
  get spanName(): string {
    return this.slice(this.item.nameStart, this.item.nameStop);
  }

  /** Whether a value's bytes hold `part`. */
  contains(row: number, part: string): boolean {
    const start = this.columns.valueStart[row]!;
    return this.#text.subarray(start, this.columns.valueStop[row]).includes(part, 0, "latin1");
  }
}
