/**
 * What a sequence of attribute keys and kinds of values means, worked out once per distinct sequence: where each known
 * key stands, and in which order the rest is written. Instrumentations send few sequences, so spans
 * of one kind share a layout and nothing is sorted or looked up per span.
 */
import { canonicalize } from "../../bytes/canonical-json.ts";
import { decodeUtf8Lossy, encodeUtf8 } from "../../bytes/utf8.ts";
import { keysRememberedMax, shapeKeyBytesMax } from "../../limits.ts";
import type { Outline } from "../outline.ts";
import type { Plan } from "../plan.ts";
import { knownKeyCount, knownKeyId } from "./keys.ts";

export interface Layout {
  /** By position: the kind of the value. Undefined where the layout is that of one item only. */
  readonly kinds: Uint8Array | undefined;
  /** By key number: the position of its first copy, or -1. */
  readonly positions: Int32Array;
  /** Positions of the first copy of every key, in canonical order of the keys. */
  readonly order: Int32Array;
  /** Positions of further copies, in canonical order of the keys, then as they came. */
  readonly repeated: Int32Array;
  /** By position: the key as JSON text in UTF-8. */
  readonly names: readonly Uint8Array[];
  /** Some key is not UTF-8. */
  readonly coerced: boolean;
  /** Plans of recipes over this layout, by recipe number. */
  readonly plans: (Plan | undefined)[];
  /** Numbers of the conventions that one of the keys calls for, per signal; filled when asked. */
  readonly conventions: { span?: readonly number[]; log?: readonly number[] };
  /** What the mapping finds in it, by action; filled when asked. */
  readonly outlines: Outline[];
}

/** What is said of a key in every layout that has it. */
export interface Key {
  readonly text: string;
  /** As JSON text in UTF-8. */
  readonly name: Uint8Array;
  /** It is not UTF-8. */
  readonly coerced: boolean;
}

/** By the bytes of a key, one character each. */
const remembered = new Map<string, Key>();

export function keyOf(bytes: Uint8Array): Key {
  if (bytes.length > shapeKeyBytesMax) return describe(bytes);
  const name = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1");
  let key = remembered.get(name);
  if (key === undefined) {
    if (remembered.size >= keysRememberedMax) remembered.clear();
    remembered.set(name, (key = describe(bytes)));
  }
  return key;
}

function describe(bytes: Uint8Array): Key {
  const text = decodeUtf8Lossy(bytes);
  const coerced = text.includes("\ufffd") && !sameBytes(text, bytes);
  return { text, name: encodeUtf8(canonicalize(text)), coerced };
}

export function layOut(keys: readonly Key[], kinds: Uint8Array | undefined): Layout {
  const texts = keys.map(({ text }) => text);
  const positions = new Int32Array(knownKeyCount()).fill(-1);
  const sorted = texts.map((_, position) => position);
  // Stable, so copies of one key stay in the order they came. By UTF-16 code units (RFC 8785).
  sorted.sort((a, b) => (texts[a]! < texts[b]! ? -1 : texts[a]! > texts[b]! ? 1 : a - b));
  const order: number[] = [];
  const repeated: number[] = [];
  for (const [rank, position] of sorted.entries()) {
    const first = rank === 0 || texts[sorted[rank - 1]!] !== texts[position];
    (first ? order : repeated).push(position);
    const id = knownKeyId(texts[position]!);
    if (first && id >= 0 && id < positions.length) positions[id] = position;
  }
  return {
    kinds,
    positions,
    order: Int32Array.from(order),
    repeated: Int32Array.from(repeated),
    names: keys.map(({ name }) => name),
    coerced: keys.some(({ coerced }) => coerced),
    plans: [],
    conventions: {},
    outlines: [],
  };
}

function sameBytes(text: string, bytes: Uint8Array): boolean {
  return Buffer.compare(encodeUtf8(text), bytes) === 0;
}
