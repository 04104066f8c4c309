/**
 * Changes bytes inside nested protobuf messages and leaves every other byte alone. A change alters
 * the length of all messages around it, so each edit names the message that directly holds it.
 */
import { pool } from "../../bytes/pool.ts";
import { varintSize, writeVarint } from "../../bytes/wire.ts";

/** A length-delimited field on the way from the request to an edit. One object per field. */
export interface Enclosure {
  /** Where the length varint begins. */
  readonly lengthStart: number;
  /** Payload bounds; the length varint is `[lengthStart, start)`. */
  readonly start: number;
  readonly stop: number;
  /** The field around this one; null directly inside the request. */
  readonly parent: Enclosure | null;
}

/** Replaces `[start, stop)`, which may be empty (an insertion), inside `within`. */
export interface Edit {
  readonly start: number;
  readonly stop: number;
  readonly replacement: Uint8Array;
  readonly within: Enclosure | null;
}

/**
 * Applies edits that do not overlap. Insertions at one place keep their order in `edits`.
 *
 * @returns `bytes` itself where there is nothing to change.
 */
export function splice(bytes: Uint8Array, edits: readonly Edit[]): Uint8Array {
  if (edits.length === 0) return bytes;
  const ordered = inOrder(edits);
  const grown = new GrownFields(ordered);
  const result = new Splicing(bytes, bytes.length + grown.bytesMore);
  let next = 0;
  for (const { start, stop, replacement } of ordered) {
    for (; next < grown.fields.length && grown.fields[next]!.lengthStart < start; next++) {
      result.putLength(grown.fields[next]!, grown.lengths[next]!);
    }
    result.put(start, stop, replacement);
  }
  return result.finished();
}

/** An insertion at the end of a message comes before what replaces the next field. */
function inOrder(edits: readonly Edit[]): readonly Edit[] {
  const sorted = edits.every((edit, at) => at === 0 || before(edits[at - 1]!, edit) <= 0);
  return sorted ? edits : edits.toSorted(before);
}

const before = (left: Edit, right: Edit): number =>
  left.start - right.start || left.stop - right.stop;

/** The fields around edits, in the order of their bytes: those around others come before them. */
class GrownFields {
  readonly fields: Enclosure[] = [];
  /** The new length of each; what it grows by, until that is settled. */
  readonly lengths: number[] = [];
  /** What the result is larger than the input. */
  bytesMore = 0;
  /** The number of the field around each, -1 for none. */
  readonly #parents: number[] = [];
  /** Numbers of the fields around the last edit, outermost first. */
  readonly #around: number[] = [];

  constructor(edits: readonly Edit[]) {
    let last: Enclosure | null = null;
    let number = -1;
    for (const { start, stop, replacement, within } of edits) {
      const growth = replacement.length - (stop - start);
      this.bytesMore += growth;
      if (within === null) continue;
      if (within !== last) number = this.#enter(within);
      last = within;
      this.lengths[number]! += growth;
    }
    this.#settle();
  }

  /** Numbers `field` and those around it, as far as the last edit was not in them. */
  #enter(field: Enclosure): number {
    const around = this.#around;
    while (around.length > 0 && !holds(this.fields[around.at(-1)!]!, field)) around.pop();
    const innermost = around.at(-1) ?? -1;
    if (innermost >= 0 && this.fields[innermost] === field) return innermost;
    this.#parents.push(field.parent === null ? -1 : this.#enter(field.parent));
    around.push(this.fields.length);
    this.lengths.push(0);
    return this.fields.push(field) - 1;
  }

  /** A length that takes more bytes makes the field around it longer: innermost first. */
  #settle(): void {
    for (let number = this.fields.length - 1; number >= 0; number--) {
      const { lengthStart, start, stop } = this.fields[number]!;
      const growth = this.lengths[number]!;
      const length = stop - start + growth;
      const prefixMore = varintSize(length) - (start - lengthStart);
      this.lengths[number] = length;
      this.bytesMore += prefixMore;
      const parent = this.#parents[number]!;
      if (parent >= 0) this.lengths[parent]! += growth + prefixMore;
    }
  }
}

/** Whether `inner` is in `outer` or is the same, of fields that are apart otherwise. */
const holds = (outer: Enclosure, inner: Enclosure): boolean =>
  outer.lengthStart <= inner.lengthStart && outer.stop >= inner.stop;

/** A call costs more than a short loop. */
const loopBytesMax = 48;

/** The result, written front to back. */
class Splicing {
  readonly #bytes: Buffer;
  readonly #result: Uint8Array;
  #from = 0;
  #to = 0;

  constructor(bytes: Uint8Array, size: number) {
    this.#bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    this.#result = pool.acquire(size);
  }

  put(start: number, stop: number, replacement: Uint8Array): void {
    this.#keepUpTo(start, stop);
    this.#result.set(replacement, this.#to);
    this.#to += replacement.length;
  }

  putLength({ lengthStart, start }: Enclosure, length: number): void {
    this.#keepUpTo(lengthStart, start);
    this.#to = writeVarint(this.#result, this.#to, length);
  }

  finished(): Uint8Array {
    this.#keepUpTo(this.#bytes.length, this.#bytes.length);
    if (this.#to !== this.#result.length) throw new RangeError("edits of fields that overlap");
    return this.#result;
  }

  #keepUpTo(start: number, stop: number): void {
    if (start < this.#from) throw new RangeError(`overlapping edits at byte ${start}`);
    const bytes = this.#bytes;
    const result = this.#result;
    const from = this.#from;
    const to = this.#to;
    const count = start - from;
    if (count > loopBytesMax) bytes.copy(result, to, from, start);
    else for (let at = 0; at < count; at++) result[to + at] = bytes[from + at]!;
    this.#to = to + count;
    this.#from = stop;
  }
}
