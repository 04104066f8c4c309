/**
 * Tiles (C2SP tlog-tiles): where the hashes and entries of a tree of some size live, how wide each
 * tile is, and what its bytes are.
 */
import { tileWidth } from "../limits.ts";
import { digestBytes } from "./digest.ts";
import { FormatError } from "./format-error.ts";
import { nodeHash, type SubtreeReader } from "./merkle.ts";

export interface Tile {
  /** 0 … 63, or `entries` for an entry bundle. */
  readonly level: number | "entries";
  readonly index: number;
  /** Number of hashes or entries: 256 for a full tile, less for a partial one. */
  readonly width: number;
}

/** Bytes of one hash, or of one entry with the two bytes of its length before it. */
export function slotBytes(level: Tile["level"]): number {
  return level === "entries" ? 2 + digestBytes : digestBytes;
}

/** `tile/<level>/<index>[.p/<width>]`, relative to the log's prefix. */
export function tilePath(tile: Tile): string {
  const groups: string[] = [];
  let rest = tile.index;
  do {
    groups.unshift(String(rest % 1000).padStart(3, "0"));
    rest = Math.floor(rest / 1000);
  } while (rest > 0);
  const last = groups.pop();
  const index = [...groups.map((group) => `x${group}`), last].join("/");
  const partial = tile.width === tileWidth ? "" : `.p/${tile.width}`;
  return `tile/${tile.level}/${index}${partial}`;
}

/** @throws FormatError unless `path` is what `tilePath` gives. */
export function parseTilePath(path: string): Tile {
  const match = /^tile\/(entries|\d{1,2})\/((?:x\d{3}\/)*\d{3})(?:\.p\/(\d{1,3}))?$/.exec(path);
  if (match !== null) {
    const [, level = "", index = "", width] = match;
    const tile: Tile = {
      level: level === "entries" ? level : Number(level),
      index: Number(index.replaceAll(/[x/]/g, "")),
      width: width === undefined ? tileWidth : Number(width),
    };
    const partial = tile.width >= 1 && (width === undefined || tile.width < tileWidth);
    const inside = tile.level === "entries" || tile.level <= 63;
    if (partial && inside && tilePath(tile) === path) return tile;
  }
  throw new FormatError("bad_tile", `not the path of a tile: ${path}`);
}

/** All tiles that a tree of `size` has, entry bundles first, each level from left to right. */
export function* tilesOf(size: number): Generator<Tile> {
  yield* levelTiles("entries", size);
  for (let level = 0, count = size; count > 0; level++, count = Math.floor(count / tileWidth)) {
    yield* levelTiles(level, count);
  }
}

function* levelTiles(level: number | "entries", count: number): Generator<Tile> {
  const full = Math.floor(count / tileWidth);
  for (let index = 0; index < full; index++) yield { level, index, width: tileWidth };
  if (count % tileWidth > 0) yield { level, index: full, width: count % tileWidth };
}

/** An entry bundle: each entry behind its length as an unsigned 16-bit big-endian number. */
export function encodeBundle(entries: readonly Uint8Array[]): Uint8Array {
  const chunks: Uint8Array[] = [];
  for (const entry of entries) {
    if (entry.length > 0xffff) throw new FormatError("bad_tile", "entry over 65,535 bytes");
    chunks.push(Uint8Array.of(entry.length >> 8, entry.length & 0xff), entry);
  }
  return Buffer.concat(chunks);
}

/** @throws FormatError where the bytes do not hold exactly `width` entries. */
export function parseBundle(bytes: Uint8Array, width: number): Uint8Array[] {
  const entries: Uint8Array[] = [];
  let at = 0;
  while (at + 2 <= bytes.length && entries.length < width) {
    const end = at + 2 + bytes[at]! * 256 + bytes[at + 1]!;
    if (end > bytes.length) break;
    entries.push(bytes.subarray(at + 2, end));
    at = end;
  }
  if (entries.length !== width || at !== bytes.length) {
    throw new FormatError("bad_tile", `bundle does not hold exactly ${width} entries`);
  }
  return entries;
}

/** @throws FormatError where the bytes are not exactly `width` hashes. */
function parseHashTile(bytes: Uint8Array, width: number): Uint8Array[] {
  if (bytes.length !== width * digestBytes) {
    const expected = width * digestBytes;
    throw new FormatError("bad_tile", `expected ${expected} bytes, received ${bytes.length}`);
  }
  const hashes: Uint8Array[] = [];
  for (let at = 0; at < bytes.length; at += digestBytes) {
    hashes.push(bytes.subarray(at, at + digestBytes));
  }
  return hashes;
}

/** Root of 2^n hashes, n ≥ 0. */
function completeRoot(hashes: readonly Uint8Array[]): Uint8Array {
  let row = hashes;
  while (row.length > 1) {
    const next: Uint8Array[] = [];
    for (let at = 0; at < row.length; at += 2) next.push(nodeHash(row[at]!, row[at + 1]!));
    row = next;
  }
  return row[0]!;
}

export interface TileFile {
  readonly tile: Tile;
  readonly path: string;
  readonly bytes: Uint8Array;
}

/**
 * Answers what proofs ask from the tiles of a tree of `size`. `read` gets the tile as that tree has
 * it (partial at the right edge) and may answer from a wider one: the needed prefix is taken.
 */
export function subtreeReader(
  size: number,
  read: (tile: Tile) => Promise<Uint8Array>,
): SubtreeReader {
  return async (level, index) => {
    const tileLevel = Math.floor(level / 8);
    const inTile = level % 8;
    const first = index * 2 ** inTile;
    const tileIndex = Math.floor(first / tileWidth);
    const count = Math.floor(size / tileWidth ** tileLevel);
    const width = Math.min(tileWidth, count - tileIndex * tileWidth);
    const start = first - tileIndex * tileWidth;
    const end = start + 2 ** inTile;
    if (end > width) {
      throw new RangeError(`no subtree ${index} of level ${level} in a tree of size ${size}`);
    }
    const bytes = await read({ level: tileLevel, index: tileIndex, width });
    const prefix = bytes.subarray(0, width * digestBytes);
    return completeRoot(parseHashTile(prefix, width).slice(start, end));
  };
}
