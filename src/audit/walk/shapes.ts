/**
 * A tree of key sequences: walking a span's attributes walks down the tree, and the node reached
 * has the layout. The child taken last is tried first, which is nearly always right.
 */
import { shapeAttributesMax, shapeKeyBytesMax, shapesMax } from "../../limits.ts";
import { layOut, type Layout } from "./layout.ts";

export class Shape {
  readonly parent: Shape | undefined;
  readonly key: Uint8Array;
  readonly depth: number;
  latest: Shape | undefined = undefined;
  readonly few: Shape[] = [];
  many: Map<string, Shape> | undefined = undefined;
  #layout: Layout | undefined = undefined;

  constructor(parent: Shape | undefined, key: Uint8Array) {
    this.parent = parent;
    this.key = key;
    this.depth = parent === undefined ? 0 : parent.depth + 1;
  }

  get layout(): Layout {
    this.#layout ??= layOut(keysTo(this));
    return this.#layout;
  }
}

export class ShapeTree {
  root: Shape = new Shape(undefined, new Uint8Array(0));
  #nodes = 0;

  /**
   * The node after `shape` for the key in `bytes[start, stop)`.
   *
   * @returns undefined where the sequence is too long or the key too large to be kept.
   */
  after(shape: Shape, bytes: Uint8Array, start: number, stop: number): Shape | undefined {
    const latest = shape.latest;
    if (latest !== undefined && equals(latest.key, bytes, start, stop)) return latest;
    return this.#find(shape, bytes, start, stop);
  }

  #find(shape: Shape, bytes: Uint8Array, start: number, stop: number): Shape | undefined {
    for (const child of shape.few) {
      if (!equals(child.key, bytes, start, stop)) continue;
      shape.latest = child;
      return child;
    }
    if (stop - start > shapeKeyBytesMax || shape.depth >= shapeAttributesMax) return undefined;
    // A copy, also where `bytes` is a Buffer, whose slice is none.
    const key = new Uint8Array(bytes.subarray(start, stop));
    const text = Buffer.from(key.buffer).toString("latin1");
    const child = shape.many?.get(text) ?? this.#add(shape, key, text);
    shape.latest = child;
    return child;
  }

  #add(shape: Shape, key: Uint8Array, text: string): Shape {
    const child = new Shape(shape, key);
    if (shape.few.length < fewChildren) shape.few.push(child);
    else (shape.many ??= new Map()).set(text, child);
    this.#nodes++;
    // Senders who never repeat a sequence must not grow the tree for ever: start over.
    if (this.#nodes > shapesMax) {
      this.root = new Shape(undefined, new Uint8Array(0));
      this.#nodes = 0;
    }
    return child;
  }
}

/** So many are compared one by one before a map is asked. */
const fewChildren = 8;

function keysTo(shape: Shape): Uint8Array[] {
  const keys: Uint8Array[] = [];
  for (let node = shape; node.parent !== undefined; node = node.parent) keys.push(node.key);
  return keys.toReversed();
}

function equals(key: Uint8Array, bytes: Uint8Array, start: number, stop: number): boolean {
  const length = stop - start;
  if (key.length !== length) return false;
  // From the end: keys of one convention begin alike.
  for (let at = length - 1; at >= 0; at--) if (key[at] !== bytes[start + at]) return false;
  return true;
}
