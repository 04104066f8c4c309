/**
 * A tree of sequences of keys and kinds of their values: walking a span's attributes walks down the
 * tree, and the node reached has the layout. The child taken last is tried first, which is nearly
 * always right.
 */
import { formsMax, shapeAttributesMax, shapeKeyBytesMax, shapesMax } from "../../limits.ts";
import type { Columns } from "./columns.ts";
import { layOut, type Layout } from "./layout.ts";

export class Shape {
  readonly parent: Shape | undefined;
  readonly key: Uint8Array;
  readonly kind: number;
  readonly depth: number;
  latest: Shape | undefined = undefined;
  readonly few: Shape[] = [];
  many: Map<string, Shape> | undefined = undefined;
  #layout: Layout | undefined = undefined;

  constructor(parent: Shape | undefined, key: Uint8Array, kind: number) {
    this.parent = parent;
    this.key = key;
    this.kind = kind;
    this.depth = parent === undefined ? 0 : parent.depth + 1;
  }

  get layout(): Layout {
    if (this.#layout === undefined) {
      const path = pathTo(this);
      const kinds = Uint8Array.from(path, ({ kind }) => kind);
      this.#layout = layOut(
        path.map(({ key }) => key),
        kinds,
      );
    }
    return this.#layout;
  }
}

export class ShapeTree {
  root: Shape = rootShape();
  #nodes = 0;
  #forms = 0;

  /**
   * The node after `shape` for the attribute in `row`.
   *
   * @returns undefined where the sequence is too long or the key too large to be kept.
   */
  after(shape: Shape, bytes: Uint8Array, columns: Columns, row: number): Shape | undefined {
    const start = columns.keyStart[row]!;
    const stop = columns.keyStop[row]!;
    const kind = columns.kind[row]!;
    const { latest } = shape;
    if (latest?.kind === kind && equals(latest.key, bytes, start, stop)) return latest;
    for (const child of shape.few) {
      if (child.kind !== kind || !equals(child.key, bytes, start, stop)) continue;
      shape.latest = child;
      return child;
    }
    if (stop - start > shapeKeyBytesMax || shape.depth >= shapeAttributesMax) return undefined;
    // A copy, also where `bytes` is a Buffer, whose slice is none.
    const key = new Uint8Array(bytes.subarray(start, stop));
    const name = kind + Buffer.from(key.buffer).toString("latin1");
    const child = shape.many?.get(name) ?? this.#add(shape, new Shape(shape, key, kind), name);
    shape.latest = child;
    return child;
  }

  #add(shape: Shape, child: Shape, name: string): Shape {
    if (shape.few.length < fewChildren) shape.few.push(child);
    else (shape.many ??= new Map()).set(name, child);
    if (++this.#nodes > shapesMax) this.#startOver();
    return child;
  }

  /** A form more is kept with one of the layouts. */
  noteForm(): void {
    if (++this.#forms > formsMax) this.#startOver();
  }

  /** Senders who never repeat a sequence must not grow the tree for ever. */
  #startOver(): void {
    this.root = rootShape();
    this.#nodes = 0;
    this.#forms = 0;
  }
}

function rootShape(): Shape {
  return new Shape(undefined, new Uint8Array(0), 0);
}

/** So many are compared one by one before a map is asked. */
const fewChildren = 8;

function pathTo(shape: Shape): Shape[] {
  const path: Shape[] = [];
  for (let node = shape; node.parent !== undefined; node = node.parent) path.push(node);
  return path.toReversed();
}

function equals(key: Uint8Array, bytes: Uint8Array, start: number, stop: number): boolean {
  const length = stop - start;
  if (key.length !== length) return false;
  // From the end: keys of one convention begin alike.
  for (let at = length - 1; at >= 0; at--) if (key[at] !== bytes[start + at]) return false;
  return true;
}
