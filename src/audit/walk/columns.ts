/**
 * Attributes of a whole request as columns: where each key and value lies in the request's bytes.
 * Nothing is decoded here; a span's attributes are a run of rows.
 */

/** Kinds of AnyValue, numbered as its fields are. */
export const EMPTY = 0;
export const STRING = 1;
export const BOOL = 2;
export const INT = 3;
export const DOUBLE = 4;
export const ARRAY = 5;
export const KVLIST = 6;
export const BYTES = 7;

const rowsAtFirst = 8192;

export class Columns {
  kind: Uint8Array = new Uint8Array(rowsAtFirst);
  /** Key and value payload bounds. For a varint or fixed value: the value itself. */
  keyStart: Int32Array = new Int32Array(rowsAtFirst);
  keyStop: Int32Array = new Int32Array(rowsAtFirst);
  valueStart: Int32Array = new Int32Array(rowsAtFirst);
  valueStop: Int32Array = new Int32Array(rowsAtFirst);
  size = 0;

  /** Makes room for one more row and returns its number. */
  add(): number {
    if (this.size === this.kind.length) this.#grow();
    return this.size++;
  }

  #grow(): void {
    const rows = this.kind.length * 2;
    const kind = new Uint8Array(rows);
    kind.set(this.kind);
    this.kind = kind;
    this.keyStart = grown(this.keyStart, rows);
    this.keyStop = grown(this.keyStop, rows);
    this.valueStart = grown(this.valueStart, rows);
    this.valueStop = grown(this.valueStop, rows);
  }
}

function grown(old: Int32Array, rows: number): Int32Array<ArrayBuffer> {
  const next = new Int32Array(rows);
  next.set(old);
  return next;
}
