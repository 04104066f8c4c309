/** Where a log keeps what in a bucket (C2SP tlog-tiles, under the log's origin as prefix). */
import { tileWidth } from "../limits.ts";
import type { Tile } from "../ledger/tile.ts";

/** The newest signed root, the one object that is ever replaced. */
export function checkpointKey(origin: string): string {
  return `${origin}/checkpoint`;
}

/** Each signed root under its tree size, for good. */
export function sizedCheckpointKey(origin: string, size: number): string {
  return `${origin}/checkpoints/${size}`;
}

/** The tiles of a tree of `size` that a tree of `published` leaves lacks, as each has them. */
export function* tilesBetween(published: number, size: number): Generator<Tile> {
  yield* newTiles("entries", published, size);
  let [before, count] = [published, size];
  for (let level = 0; count > 0; level++) {
    yield* newTiles(level, before, count);
    before = Math.floor(before / tileWidth);
    count = Math.floor(count / tileWidth);
  }
}

function* newTiles(level: Tile["level"], before: number, count: number): Generator<Tile> {
  if (before === count) return;
  const full = Math.floor(count / tileWidth);
  for (let index = Math.floor(before / tileWidth); index < full; index++) {
    yield { level, index, width: tileWidth };
  }
  const width = count % tileWidth;
  if (width > 0) yield { level, index: full, width };
}
