/**
 * The ledger's own tiles. Those of one level stand one after another in one file, `tile/<level>`:
 * what proofs are made from, what is published, and what tells how long the log once was. One file
 * per tile, as in a bucket, would cost more than all hashes of its records.
 */
import { join } from "node:path";

import { isCode } from "../bytes/thrown.ts";
import { tileReadAheadBytes, tileWidth } from "../limits.ts";
import { isBeginning, type Files } from "./files.ts";
import { LedgerError } from "./ledger-error.ts";
import { rootOf, type SubtreeReader } from "./merkle.ts";
import { slotBytes, subtreeReader, type Tile, type TileFile } from "./tile.ts";

const folderName = "tile";
const restoreTiles = "restore it from a backup of the ledger";

/** Bytes of a level's file from `start` on. */
interface Run {
  readonly start: number;
  readonly bytes: Uint8Array;
}

export class TileFiles {
  readonly #folder: string;
  readonly #files: Files;
  /** By level: what was read last. Tiles are mostly read one after another, and never change. */
  readonly #chunks = new Map<Tile["level"], Run>();

  constructor(directory: string, files: Files) {
    this.#folder = join(directory, folderName);
    this.#files = files;
  }

  /**
   * Writes tiles behind those that are there already; durable on return. Those of one level come in
   * order and without gap.
   *
   * @throws LedgerError `damaged` where other bytes are in their place, or none before it.
   */
  async save(tiles: readonly TileFile[]): Promise<void> {
    for (const level of new Set(tiles.map(({ tile }) => tile.level))) {
      const own = tiles.filter(({ tile }) => tile.level === level);
      const start = startOf(own[0]!.tile);
      await this.#append(level, { start, bytes: Buffer.concat(own.map(({ bytes }) => bytes)) });
    }
    await this.#files.syncDirectory(this.#folder);
  }

  async #append(level: Tile["level"], { start, bytes }: Run): Promise<void> {
    const path = this.#path(level);
    const file = await this.#files.openAppend(path, 0o600);
    try {
      const present = await this.#files.readRange(path, start, bytes.length);
      const isShort = (await file.size()) < start;
      if (isShort || !agree(present, bytes)) {
        const what = isShort ? "is shorter than its tree" : "holds tiles of another tree";
        throw new LedgerError("damaged", `${path} ${what}`, { remedy: 'run "spanseal verify"' });
      }
      await file.write(bytes, start);
      await file.sync();
    } finally {
      await file.close();
    }
  }

  /** @throws LedgerError `damaged` where the tile is not there. */
  async read(tile: Tile): Promise<Uint8Array> {
    const bytes = await this.find(tile);
    if (bytes !== undefined) return bytes;
    const path = this.#path(tile.level);
    throw new LedgerError("damaged", `${path} lacks tile ${tile.index}`, { remedy: restoreTiles });
  }

  /** The tile's bytes; undefined where they are not there, or not all of them. */
  async find(tile: Tile): Promise<Uint8Array | undefined> {
    const start = startOf(tile);
    const end = start + tile.width * slotBytes(tile.level);
    let chunk = this.#chunks.get(tile.level);
    if (chunk === undefined || start < chunk.start || end > chunk.start + chunk.bytes.length) {
      const wanted = Math.max(end - start, tileReadAheadBytes);
      chunk = { start, bytes: await this.#readRange(tile.level, start, wanted) };
      this.#chunks.set(tile.level, chunk);
    }
    const bytes = chunk.bytes.subarray(start - chunk.start, end - chunk.start);
    return bytes.length === end - start ? bytes : undefined;
  }

  async #readRange(level: Tile["level"], start: number, byteCount: number): Promise<Uint8Array> {
    try {
      return await this.#files.readRange(this.#path(level), start, byteCount);
    } catch (error) {
      if (isCode(error, "ENOENT") || isCode(error, "ENOTDIR")) return new Uint8Array();
      throw error;
    }
  }

  /** Answers for the tree of `size`, of which all tiles are there. */
  subtrees(size: number): SubtreeReader {
    return subtreeReader(size, (tile) => this.read(tile));
  }

  /** Root of the first `size` leaves. @throws LedgerError `damaged`. */
  rootOf(size: number): Promise<Uint8Array> {
    return rootOf(size, this.subtrees(size));
  }

  /** At least how large a tree the tiles are of; they are written after its records. */
  async treeSize(): Promise<number> {
    return Math.floor((await this.#size(0)) / slotBytes(0));
  }

  /** @throws LedgerError `damaged` where not all tiles of a tree of `size` are there. */
  async checkReach(size: number): Promise<void> {
    const counts: [Tile["level"], number][] = [["entries", size]];
    for (let level = 0, count = size; count > 0; level++, count = Math.floor(count / tileWidth)) {
      counts.push([level, count]);
    }
    for (const [level, count] of counts) {
      if ((await this.#size(level)) >= count * slotBytes(level)) continue;
      throw new LedgerError(
        "damaged",
        `${this.#path(level)} is shorter than the checkpoint of ${size} records says`,
        { remedy: restoreTiles },
      );
    }
  }

  async #size(level: Tile["level"]): Promise<number> {
    try {
      return await this.#files.size(this.#path(level));
    } catch (error) {
      if (isCode(error, "ENOENT")) return 0;
      throw error;
    }
  }

  #path(level: Tile["level"]): string {
    return join(this.#folder, String(level));
  }
}

/** Where a tile begins in its level's file. */
function startOf({ level, index }: Tile): number {
  return index * tileWidth * slotBytes(level);
}

/** What is there may reach further than what is written, after a start that went back. */
function agree(present: Uint8Array, bytes: Uint8Array): boolean {
  return isBeginning(present.subarray(0, bytes.length), bytes);
}
