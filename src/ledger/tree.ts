/**
 * The right edge of the log's tree as one unfinished tile per level: leaves in, tile files and roots
 * out. Its memory does not grow with the tree, and what it holds can be stored and loaded.
 */
import { hash } from "node:crypto";

import { tileWidth } from "../limits.ts";
import { digestBytes } from "./digest.ts";
import { emptyRoot, nodeHash } from "./merkle.ts";
import { slotBytes, tilePath, type TileFile } from "./tile.ts";

const tileBytes = tileWidth * digestBytes;
const bundleEntryBytes = slotBytes("entries");

interface Row {
  /** Hashes of this level that are in finished tiles or in this one. */
  count: number;
  readonly hashes: Buffer;
}

const nodeInput = Buffer.alloc(1 + 2 * digestBytes);
nodeInput[0] = 1;

export class TreeEdge {
  #size = 0;
  readonly #rows: Row[] = [];
  readonly #bundle = Buffer.alloc(tileWidth * bundleEntryBytes);
  /** Tiles finished since the last `takeFinished`. */
  #finished: TileFile[] = [];

  get size(): number {
    return this.#size;
  }

  /** Appends `count` leaf hashes with the entries they were made of, 32 bytes each. */
  append(leaves: Buffer, entries: Buffer, count: number): void {
    for (let at = 0; at < count * digestBytes; at += digestBytes) {
      const inTile = this.#size % tileWidth;
      const place = inTile * bundleEntryBytes;
      this.#bundle[place] = 0;
      this.#bundle[place + 1] = digestBytes;
      entries.copy(this.#bundle, place + 2, at, at + digestBytes);
      this.#size++;
      if (inTile === tileWidth - 1) this.#finishBundle();
      this.#push(0, leaves, at);
    }
  }

  #push(level: number, source: Buffer, at: number): void {
    const row = (this.#rows[level] ??= { count: 0, hashes: Buffer.alloc(tileBytes) });
    source.copy(row.hashes, (row.count % tileWidth) * digestBytes, at, at + digestBytes);
    row.count++;
    if (row.count % tileWidth > 0) return;
    const tile = { level, index: row.count / tileWidth - 1, width: tileWidth };
    const bytes = Buffer.from(row.hashes);
    this.#finished.push({ tile, path: tilePath(tile), bytes });
    this.#push(level + 1, completeTileRoot(bytes), 0);
  }

  #finishBundle(): void {
    const tile = { level: "entries", index: this.#size / tileWidth - 1, width: tileWidth } as const;
    this.#finished.push({ tile, path: tilePath(tile), bytes: Buffer.from(this.#bundle) });
  }

  /** Full tiles that came about since the last call. */
  takeFinished(): TileFile[] {
    const finished = this.#finished;
    this.#finished = [];
    return finished;
  }

  /** The partial tiles of the tree as it is. */
  partialTiles(): TileFile[] {
    const files: TileFile[] = [];
    const width = this.#size % tileWidth;
    const index = Math.floor(this.#size / tileWidth);
    if (width > 0) {
      const tile = { level: "entries", index, width } as const;
      const bytes = Buffer.from(this.#bundle.subarray(0, width * bundleEntryBytes));
      files.push({ tile, path: tilePath(tile), bytes });
    }
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
    const parts: Uint8Array[] = [];
    const entryCount = this.#size % tileWidth;
    for (let entry = 0; entry < entryCount; entry++) {
      const start = entry * bundleEntryBytes + 2;
      parts.push(this.#bundle.subarray(start, start + digestBytes));
    }
    for (const row of this.#rows) {
      parts.push(row.hashes.subarray(0, (row.count % tileWidth) * digestBytes));
    }
    return Buffer.concat(parts);
  }

  /** @throws RangeError where `bytes` has another length than the edge of a tree of `size`. */
  static parse(size: number, bytes: Uint8Array): TreeEdge {
    const edge = new TreeEdge();
    const source = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    let at = 0;
    for (let entry = 0; entry < size % tileWidth; entry++, at += digestBytes) {
      const place = entry * bundleEntryBytes;
      edge.#bundle[place + 1] = digestBytes;
      source.copy(edge.#bundle, place + 2, at, at + digestBytes);
    }
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
  const work = Buffer.from(hashes.subarray(first * digestBytes, (first + span) * digestBytes));
  return foldInPlace(work, span);
}

function completeTileRoot(bytes: Buffer): Buffer {
  return foldInPlace(Buffer.from(bytes), tileWidth);
}

function foldInPlace(work: Buffer, span: number): Buffer {
  for (let width = span; width > 1; width /= 2) {
    for (let pair = 0; pair < width / 2; pair++) {
      work.copy(nodeInput, 1, pair * 2 * digestBytes, (pair * 2 + 2) * digestBytes);
      work.write(hash("sha256", nodeInput, "binary"), pair * digestBytes, "latin1");
    }
  }
  return work.subarray(0, digestBytes);
}
