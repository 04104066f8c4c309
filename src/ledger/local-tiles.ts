/** The ledger's own tiles: what proofs are made from, and what they say about the log's size. */
import { basename, dirname, join } from "node:path";

import { tileWidth } from "../limits.ts";
import { digestBytes } from "./digest.ts";
import { isCode, type Files } from "./files.ts";
import { LedgerError } from "./ledger-error.ts";
import { rootOf, type SubtreeReader } from "./merkle.ts";
import { subtreeReader, tilePath, type Tile } from "./tile.ts";

/** Answers for a tree of `size`, which must not be above the newest local checkpoint. */
export function localSubtrees(directory: string, files: Files, size: number): SubtreeReader {
  return subtreeReader(size, (tile) => readTile(directory, files, tile));
}

export function rootFromTiles(directory: string, files: Files, size: number): Promise<Uint8Array> {
  return rootOf(size, localSubtrees(directory, files, size));
}

/** The tile, or a wider one of the same place. @throws LedgerError `damaged` where none is there. */
async function readTile(directory: string, files: Files, tile: Tile): Promise<Uint8Array> {
  const full = tilePath({ ...tile, width: tileWidth });
  const widths = (await files.list(join(directory, `${full}.p`)))
    .map(Number)
    .filter((width) => width >= tile.width);
  for (const width of [tileWidth, ...widths.toSorted((left, right) => left - right)]) {
    try {
      const bytes = await files.read(join(directory, tilePath({ ...tile, width })));
      const isWhole = tile.level === "entries" || bytes.length === width * digestBytes;
      if (isWhole) return bytes;
    } catch (error) {
      if (!isCode(error, "ENOENT")) throw error;
    }
  }
  throw new LedgerError(
    "damaged",
    `${join(directory, tilePath(tile))} is missing or damaged: restore it from the bucket`,
  );
}

/**
 * At least how large a tree the tiles are of, judged by the one tile that a tree above `size` must
 * have widened or completed.
 */
export async function localTreeSize(
  directory: string,
  files: Files,
  size: number,
): Promise<number> {
  const index = Math.floor(size / tileWidth);
  const full = tilePath({ level: 0, index, width: tileWidth });
  const names = await files.list(join(directory, dirname(full)));
  if (names.includes(basename(full))) return (index + 1) * tileWidth;
  const widths = (await files.list(join(directory, `${full}.p`))).map(Number);
  return index * tileWidth + Math.max(0, ...widths.filter(Number.isSafeInteger));
}
