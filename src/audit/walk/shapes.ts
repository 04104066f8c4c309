/**
 * A tree of sequences of keys and kinds of their values: walking a span's attributes walks down the
 * tree, and the node reached has the layout. The child taken last is nearly always right: whoever
 * reads tries it first.
 */
import { dataViewOf } from "../../bytes/copy.ts";
import { formsMax, shapeAttributesMax, shapeKeyBytesMax, shapesMax } from "../../limits.ts";
import type { Columns } from "./columns.ts";
import { type Key, keyOf, layOut, type Layout } from "./layout.ts";

export class Shape {
  readonly parent: Shape | undefined;
  readonly key: Uint8Array;
  readonly kind: number;
  readonly depth: number;
  latest: Shape | undefined = undefined;
  readonly few: Shape[] = [];
  many: Map<string, Shape> | undefined = undefined;
  readonly #words: DataView;
  readonly #length: number;
  #said: Key | undefined = undefined;
  #layout: Layout | undefined = undefined;

  constructor(parent: Shape | undefined, key: Uint8Array, kind: number) {
    this.parent = parent;
    this.key = key;
    this.#words = dataViewOf(key);
    this.#length = key.length;
    this.kind = kind;
    this.depth = parent === undefined ? 0 : parent.depth + 1;
  }

  /** Whether this is the shape behind its parent for a key and the kind of its value. */
  is(request: DataView, start: number, length: number, kind: number): boolean {
    const { key } = this;
    if (length !== this.#length || kind !== this.kind) return false;
    // From the end, because keys of one convention begin alike: four bytes at a time.
    let at = length - 4;
    for (; at >= 0; at -= 4) {
      if (request.getInt32(start + at, true) !== this.#words.getInt32(at, true)) return false;
    }
    for (at += 3; at >= 0; at--) if (key[at] !== request.getUint8(start + at)) return false;
    return true;
  }

  /** One for all layouts further down, of which there may be as many as nodes. */
  get said(): Key {
    return (this.#said ??= keyOf(this.key));
  }

  get layout(): Layout {
    if (this.#layout === undefined) {
      const path = pathTo(this);
      const kinds = Uint8Array.from(path, ({ kind }) => kind);
      this.#layout = layOut(
        path.map(({ said }) => said),
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
  after(shape: Shape, request: DataView, columns: Columns, row: number): Shape | undefined {
    const start = columns.keyStart[row]!;
    const length = columns.keyStop[row]! - start;
    const kind = columns.kind[row]!;
    for (const child of shape.few) {
      if (!child.is(request, start, length, kind)) continue;
      shape.latest = child;
      return child;
    }
    if (length > shapeKeyBytesMax || shape.depth >= shapeAttributesMax) return undefined;
    const key = new Uint8Array(length);
    for (let at = 0; at < length; at++) key[at] = request.getUint8(start + at);
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
