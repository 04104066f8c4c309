/**
 * The right edge of the log's tree as one unfinished tile per level: leaves in, tile files and roots
 * out. Its memory does not grow with the tree, and what it holds can be stored and loaded.
 */
import { copyBytes } from "../bytes/copy.ts";
import { Sha256Lanes } from "../bytes/sha256-lanes.ts";
import { tileWidth } from "../limits.ts";
import { digestBytes } from "./digest.ts";
import { emptyRoot, LEAF, NODE, nodeHash } from "./merkle.ts";
import { slotBytes, tilePath, type TileFile } from "./tile.ts";

const tileBytes = tileWidth * digestBytes;
const bundleEntryBytes = slotBytes("entries");

interface Row {
  /** Hashes of this level that are in finished tiles or in this one. */
  count: number;
  readonly hashes: Buffer;
}

const leaves = new Sha256Lanes(Uint8Array.of(LEAF), digestBytes, tileWidth);
const nodes = new Sha256Lanes(Uint8Array.of(NODE), 2 * digestBytes, tileWidth / 2);

export class TreeEdge {
  #size = 0;
  readonly #rows: Row[] = [];
  /** The entries of the unfinished tile. */
  readonly #entries = Buffer.alloc(tileBytes);
  /** Tiles finished since the last `takeFinished`. */
  #finished: TileFile[] = [];

  get size(): number {
    return this.#size;
  }

  /** Appends `count` entries of 32 bytes. Their leaves are hashed when they are needed, together. */
  append(entries: Uint8Array, count: number): void {
    for (let done = 0; done < count;) {
      const first = this.#size % tileWidth;
      const width = Math.min(count - done, tileWidth - first);
      const [from, to] = [done * digestBytes, first * digestBytes];
      if (width === 1) copyBytes(entries, from, this.#entries, to, digestBytes);
      else this.#entries.set(entries.subarray(from, from + width * digestBytes), to);
      this.#size += width;
      done += width;
      if (first + width === tileWidth) this.#finishBundle();
    }
  }

  #finishBundle(): void {
    this.#finished.push(this.#bundle(this.#size / tileWidth - 1, tileWidth));
    this.#hashLeaves();
  }

  #bundle(index: number, width: number): TileFile {
    const tile = { level: "entries", index, width } as const;
    return { tile, path: tilePath(tile), bytes: bundleOf(this.#entries, width) };
  }

  /** Leaves of the entries that came since the last time; none goes beyond the unfinished tile. */
  #hashLeaves(): void {
    const row = this.#row(0);
    const count = this.#size - row.count;
    const start = (row.count % tileWidth) * digestBytes;
    const bytes = count * digestBytes;
    leaves.packed.set(this.#entries.subarray(start, start + bytes));
    leaves.digestPacked(count);
    row.hashes.set(leaves.digests.subarray(0, bytes), start);
    row.count += count;
    if (count > 0 && row.count % tileWidth === 0) this.#finishTile(0, row);
  }

  #row(level: number): Row {
    return (this.#rows[level] ??= { count: 0, hashes: Buffer.alloc(tileBytes) });
  }

  #finishTile(level: number, row: Row): void {
    const tile = { level, index: row.count / tileWidth - 1, width: tileWidth };
    const bytes = Buffer.from(row.hashes);
    this.#finished.push({ tile, path: tilePath(tile), bytes });
    const above = this.#row(level + 1);
    const root = subtreeRoot(row.hashes, 0, tileWidth);
    above.hashes.set(root, (above.count % tileWidth) * digestBytes);
    above.count++;
    if (above.count % tileWidth === 0) this.#finishTile(level + 1, above);
  }

  /** Full tiles that came about since the last call. */
  takeFinished(): TileFile[] {
    const finished = this.#finished;
    this.#finished = [];
    return finished;
  }

  /** The partial tiles of the tree as it is. */
  partialTiles(): TileFile[] {
    this.#hashLeaves();
    const files: TileFile[] = [];
    const width = this.#size % tileWidth;
    const index = Math.floor(this.#size / tileWidth);
    if (width > 0) files.push(this.#bundle(index, width));
    for (const [level, row] of this.#rows.entries()) {
      const rowWidth = row.count % tileWidth;
      if (rowWidth === 0) continue;
      const tile = { level, index: Math.floor(row.count / tileWidth), width: rowWidth };
      const bytes = Buffer.from(row.hashes.subarray(0, rowWidth * digestBytes));
      files.push({ tile, path: tilePath(tile), bytes });
    }
    return files;
  }

  root(): Uint8Array {
    this.#hashLeaves();
    let root: Uint8Array | undefined;
    // Complete subtrees from the right: those of the lowest row first, smallest first.
    for (const row of this.#rows) {
      let end = row.count % tileWidth;
      for (let span = 1; end > 0; span *= 2) {
        if (end % (2 * span) === 0) continue;
        const peak = subtreeRoot(row.hashes, end - span, span);
        root = root === undefined ? peak : nodeHash(peak, root);
        end -= span;
      }
    }
    return root ?? emptyRoot;
  }

  /** What the unfinished tiles hold: entries, then each level's hashes, lowest first. */
  serialise(): Uint8Array {
    this.#hashLeaves();
    const entryCount = this.#size % tileWidth;
    const parts: Uint8Array[] = [this.#entries.subarray(0, entryCount * digestBytes)];
    for (const row of this.#rows) {
      parts.push(row.hashes.subarray(0, (row.count % tileWidth) * digestBytes));
    }
    return Buffer.concat(parts);
  }

  /** @throws RangeError where `bytes` has another length than the edge of a tree of `size`. */
  static parse(size: number, bytes: Uint8Array): TreeEdge {
    const edge = new TreeEdge();
    const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let at = (size % tileWidth) * digestBytes;
    source.copy(edge.#entries, 0, 0, at);
    for (let count = size; count > 0; count = Math.floor(count / tileWidth)) {
      const hashes = Buffer.alloc(tileBytes);
      const rowBytes = (count % tileWidth) * digestBytes;
      source.copy(hashes, 0, at, at + rowBytes);
      edge.#rows.push({ count, hashes });
      at += rowBytes;
    }
    if (at !== source.length) throw new RangeError(`the edge of size ${size} has another length`);
    edge.#size = size;
    return edge;
  }
}

/** Root of `span` hashes, a power of two, from the hash at `first`. */
function subtreeRoot(hashes: Buffer, first: number, span: number): Uint8Array {
  nodes.packed.set(hashes.subarray(first * digestBytes, (first + span) * digestBytes));
  for (let pairs = span / 2; pairs >= 1; pairs /= 2) nodes.digestPacked(pairs);
  return nodes.packed.slice(0, digestBytes);
}

/** The first `width` entries, each behind its length in two bytes. */
function bundleOf(entries: Uint8Array, width: number): Buffer {
  const bundle = Buffer.alloc(width * bundleEntryBytes);
  for (let entry = 0; entry < width; entry++) {
    const to = entry * bundleEntryBytes;
    bundle[to + 1] = digestBytes;
    copyBytes(entries, entry * digestBytes, bundle, to + 2, digestBytes);
  }
  return bundle;
}
