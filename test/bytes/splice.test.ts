/** Splicing against a model: a tree of fields that is edited as a tree and written anew. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { splice } from "../../src/audit/otlp/splice.ts";
import type { Edit, Enclosure } from "../../src/audit/otlp/splice.ts";
import { WireReader, varintSize, writeVarint } from "../../src/bytes/wire.ts";

/**
 * A field as it stands on the wire; a nested message may have a longer length than it needs. A leaf
 * without bytes is a place to insert at.
 */
type Node =
  | { readonly kind: "leaf"; readonly bytes: Uint8Array; readonly action: Action }
  | {
      readonly kind: "message";
      readonly tag: number;
      readonly children: readonly Node[];
      readonly padding: number;
      readonly action: Action;
    };

/** What happens to a field: bytes before it, and itself kept, replaced or removed. */
interface Action {
  readonly insert: readonly Uint8Array[];
  readonly replace: Uint8Array | undefined;
}

const bytes = (maxLength: number): fc.Arbitrary<Uint8Array> => fc.uint8Array({ maxLength });
// Around the sizes at which a length takes one byte more.
const someBytes = fc.oneof(
  bytes(6),
  fc.integer({ min: 120, max: 135 }).map((size) => new Uint8Array(size).fill(7)),
  fc.constantFrom(16_370, 16_390).map((size) => new Uint8Array(size).fill(9)),
);

const noAction: Action = { insert: [], replace: undefined };
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 4, arbitrary: fc.constant(noAction) },
  {
    weight: 1,
    arbitrary: fc.record({
      insert: fc.array(someBytes, { maxLength: 2 }),
      replace: fc.option(fc.oneof(someBytes, fc.constant(new Uint8Array(0))), { nil: undefined }),
    }),
  },
);

const { node } = fc.letrec<{ node: Node }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 4 },
    fc.record({ kind: fc.constant("leaf" as const), bytes: someBytes, action }),
    fc.record({
      kind: fc.constant("message" as const),
      tag: fc.constantFrom(0x0a, 0x12, 0x7a),
      children: fc.array(tie("node"), { maxLength: 4 }),
      padding: fc.constantFrom(0, 0, 0, 1, 2),
      action,
    }),
  ),
}));

/** A varint that is `padding` bytes longer than it needs to be, as some writers do. */
function paddedVarint(value: number, padding: number): Uint8Array {
  const size = varintSize(value);
  const result = new Uint8Array(size + padding);
  writeVarint(result, 0, value);
  for (let at = size - 1; at < size - 1 + padding; at++) result[at]! |= 0x80;
  return result;
}

function write(children: readonly Node[]): Buffer {
  return Buffer.concat(
    children.map((child) => {
      if (child.kind === "leaf") return child.bytes;
      const payload = write(child.children);
      const length = paddedVarint(payload.length, child.padding);
      return Buffer.concat([Uint8Array.of(child.tag), length, payload]);
    }),
  );
}

/** @returns the bytes after the actions, and whether there were any. */
function writeEdited(children: readonly Node[]): { bytes: Buffer; changed: boolean } {
  const parts: Uint8Array[] = [];
  let changed = false;
  for (const child of children) {
    changed ||= child.action.insert.length > 0 || child.action.replace !== undefined;
    parts.push(...child.action.insert);
    if (child.action.replace !== undefined) parts.push(child.action.replace);
    else if (child.kind === "leaf") parts.push(child.bytes);
    else {
      const inner = writeEdited(child.children);
      changed ||= inner.changed;
      const padding = inner.changed ? 0 : child.padding;
      const length = paddedVarint(inner.bytes.length, padding);
      parts.push(Uint8Array.of(child.tag), length, inner.bytes);
    }
  }
  return { bytes: Buffer.concat(parts), changed };
}

/** The edits that make the actions, at their places in the bytes of `write`. */
function editsOf(children: readonly Node[], from: number, within: Enclosure | null): Edit[] {
  const edits: Edit[] = [];
  let at = from;
  for (const child of children) {
    const start = at;
    at += write([child]).length;
    for (const replacement of child.action.insert) {
      edits.push({ start, stop: start, replacement, within });
    }
    if (child.action.replace !== undefined) {
      edits.push({ start, stop: at, replacement: child.action.replace, within });
    } else if (child.kind === "message") {
      const payload = write(child.children).length;
      const field = { lengthStart: start + 1, start: at - payload, stop: at, parent: within };
      edits.push(...editsOf(child.children, field.start, field));
    }
  }
  return edits;
}

test("random edits change what they name, the lengths around it and nothing else", () => {
  fc.assert(
    fc.property(fc.array(node, { maxLength: 5 }), fc.boolean(), (tree, backwards) => {
      const before = write(tree);
      const copy = Buffer.from(before);
      const edits = editsOf(tree, 0, null);
      // Edits at one place are given in their order, places in any.
      const given = backwards ? edits.toSorted((left, right) => right.start - left.start) : edits;
      expect(writeEdited(tree).bytes.equals(splice(before, given))).toBe(true);
      expect(before.equals(copy)).toBe(true);
    }),
    { numRuns: 2_000 },
  );
});

test("without edits the very input comes back", () => {
  const input = Uint8Array.of(1, 2, 3);
  expect(splice(input, [])).toBe(input);
});

test("insertions at the end of a message stay inside, before what follows", () => {
  // Two messages, the first with one field; one byte goes to the end of each and one behind both.
  const input = Uint8Array.of(0x0a, 2, 0x08, 1, 0x0a, 0);
  const first: Enclosure = { lengthStart: 1, start: 2, stop: 4, parent: null };
  const second: Enclosure = { lengthStart: 5, start: 6, stop: 6, parent: null };
  const insert = (at: number, byte: number, within: Enclosure | null): Edit => ({
    start: at,
    stop: at,
    replacement: Uint8Array.of(byte, byte),
    within,
  });
  const edits = [insert(4, 0x10, first), insert(6, 0x18, second), insert(6, 0x20, null)];
  const reader = new WireReader(splice(input, edits));
  expect([reader.next(), [...reader.payload()]]).toEqual([true, [0x08, 1, 0x10, 0x10]]);
  expect([reader.next(), [...reader.payload()]]).toEqual([true, [0x18, 0x18]]);
  expect([reader.next(), reader.field, [...reader.payload()]]).toEqual([true, 4, [0x20]]);
  expect(reader.next()).toBe(false);
});

test("edits that overlap are refused", () => {
  const edit = (start: number, stop: number): Edit => ({
    start,
    stop,
    replacement: new Uint8Array(0),
    within: null,
  });
  expect(() => splice(new Uint8Array(8), [edit(0, 4), edit(3, 5)])).toThrow(RangeError);
});
