/** What is read of the ledger's directory to publish it: tiles and the newest signed root. */
import { join } from "node:path";
import { tileWidth } from "../limits.ts";
import { parseCheckpoint } from "../ledger/checkpoint.ts";
import type { Checkpoint } from "../ledger/checkpoint.ts";
import { digestBytes } from "../ledger/digest.ts";
import { isCode } from "../ledger/files.ts";
import type { Files } from "../ledger/files.ts";
import { rootOf } from "../ledger/merkle.ts";
import { subtreeReader, tilePath } from "../ledger/tile.ts";
import type { Tile } from "../ledger/tile.ts";
import { PublishError } from "./publish-error.ts";

export interface LocalTree {
  /** The newest persisted root; undefined before the first. */
  checkpoint(): Promise<Checkpoint | undefined>;
  /**
   * The bytes of a tile that the tree had at some size up to `size`, which is persisted.
   *
   * @throws PublishError `damaged` where the ledger does not have them.
   */
  tile(tile: Tile, size: number): Promise<Uint8Array>;
  /** The root of the first `count` leaves of the persisted tree of `size`. */
  rootOf(count: number, size: number): Promise<Uint8Array>;
}

export function localTree(directory: string, files: Files): LocalTree {
  const place: Place = { directory, files };
  return {
    checkpoint: () => readCheckpoint(place),
    tile: (tile, size) => readTile(place, tile, size),
    rootOf: (count, size) =>
      rootOf(
        count,
        subtreeReader(size, (tile) => readTile(place, tile, size)),
      ),
  };
}

interface Place {
  readonly directory: string;
  readonly files: Files;
}

async function readTile(place: Place, tile: Tile, size: number): Promise<Uint8Array> {
  // A partial tile may be gone once a wider one is there; it is the beginning of that.
  for (const width of new Set([tile.width, widthAt(tile, size), tileWidth])) {
    const bytes = await readIfPresent(place, tilePath({ ...tile, width }));
    if (bytes === undefined) continue;
    const unit = tile.level === "entries" ? bundleEntryBytes : digestBytes;
    if (bytes.length === width * unit) return bytes.subarray(0, tile.width * unit);
    throw damaged(place, tile, `has ${bytes.length} bytes, not ${width * unit}`);
  }
  throw damaged(place, tile, "is missing");
}

/** Every entry is a digest behind a length of two bytes. */
const bundleEntryBytes = 2 + digestBytes;

/** How wide the tile is in the tree of `size`. */
function widthAt(tile: Tile, size: number): number {
  const level = tile.level === "entries" ? 0 : tile.level;
  const count = Math.floor(size / tileWidth ** level) - tile.index * tileWidth;
  return Math.max(tile.width, Math.min(tileWidth, count));
}

function damaged({ directory }: Place, tile: Tile, found: string): PublishError {
  return new PublishError(
    "damaged",
    `${tilePath(tile)} of the ledger ${directory} ${found}: run spanseal verify, then restart`,
  );
}

async function readCheckpoint(place: Place): Promise<Checkpoint | undefined> {
  const bytes = await readIfPresent(place, "checkpoint");
  return bytes === undefined ? undefined : parseCheckpoint(bytes);
}

async function readIfPresent(place: Place, path: string): Promise<Uint8Array | undefined> {
  try {
    return await place.files.read(join(place.directory, path));
  } catch (error) {
    if (isCode(error, "ENOENT")) return undefined;
    throw error;
  }
}
