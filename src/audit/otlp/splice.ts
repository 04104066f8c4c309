/**
 * Changes bytes inside nested protobuf messages and leaves every other byte alone. A change alters
 * the length of all messages around it, so each edit names the message that directly holds it.
 */
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
  const all = [...edits, ...lengthEdits(edits)];
  // An insertion at the end of a message comes before the tag of the next field: a stable sort by
  // position does that, because length edits are never empty.
  all.sort((left, right) => left.start - right.start || left.stop - right.stop);
  let size = bytes.length;
  for (const edit of all) size += edit.replacement.length - (edit.stop - edit.start);
  const result = new Uint8Array(size);
  let from = 0;
  let to = 0;
  for (const edit of all) {
    if (edit.start < from) throw new RangeError(`overlapping edits at byte ${edit.start}`);
    result.set(bytes.subarray(from, edit.start), to);
    to += edit.start - from;
    result.set(edit.replacement, to);
    to += edit.replacement.length;
    from = edit.stop;
  }
  result.set(bytes.subarray(from), to);
  return result;
}

/** The new length varints of every field around the edits, innermost first. */
function lengthEdits(edits: readonly Edit[]): Edit[] {
  const growth = new Map<Enclosure, number>();
  const add = (field: Enclosure | null, bytesMore: number): void => {
    if (field !== null) growth.set(field, (growth.get(field) ?? 0) + bytesMore);
  };
  for (const { within, replacement, start, stop } of edits) {
    for (let field = within; field !== null; field = field.parent) add(field, 0);
    add(within, replacement.length - (stop - start));
  }
  // A field inside another begins later, so this order settles the inner lengths first.
  const fields = [...growth.keys()].toSorted((a, b) => b.lengthStart - a.lengthStart);
  return fields.map((field) => {
    const length = field.stop - field.start + growth.get(field)!;
    const replacement = new Uint8Array(varintSize(length));
    writeVarint(replacement, 0, length);
    const prefixBytes = field.start - field.lengthStart;
    add(field.parent, growth.get(field)! + replacement.length - prefixBytes);
    return { start: field.lengthStart, stop: field.start, replacement, within: field.parent };
  });
}
