/** What is read of the ledger's directory to publish it: tiles and the newest signed root. */
import { join } from "node:path";
import { isCode } from "../bytes/thrown.ts";
import { parseCheckpoint } from "../ledger/checkpoint.ts";
import type { Checkpoint } from "../ledger/checkpoint.ts";
import type { Files } from "../ledger/files.ts";
import { LedgerError } from "../ledger/ledger-error.ts";
import { TileFiles } from "../ledger/tile-files.ts";
import type { Tile } from "../ledger/tile.ts";
import { PublishError } from "./publish-error.ts";

export interface LocalTree {
  /** The newest persisted root; undefined before the first. */
  checkpoint(): Promise<Checkpoint | undefined>;
  /**
   * The bytes of a tile of a tree that is persisted.
   *
   * @throws PublishError `damaged` where the ledger does not have them.
   */
  tile(tile: Tile): Promise<Uint8Array>;
  /** The root of the first `count` leaves of the persisted tree. */
  rootOf(count: number): Promise<Uint8Array>;
}

export function localTree(directory: string, files: Files): LocalTree {
  const tiles = new TileFiles(directory, files);
  return {
    checkpoint: () => readCheckpoint(directory, files),
    tile: (tile) => reading(() => tiles.read(tile)),
    rootOf: (count) => reading(() => tiles.rootOf(count)),
  };
}

/** What is damaged does not pass: publishing ends until a restart. */
async function reading<T>(read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (cause) {
    if (!(cause instanceof LedgerError) || cause.code !== "damaged") throw cause;
    const remedy = "run spanseal verify, then restart";
    throw new PublishError("damaged", cause.message, { remedy, cause });
  }
}

async function readCheckpoint(directory: string, files: Files): Promise<Checkpoint | undefined> {
  try {
    return parseCheckpoint(await files.read(join(directory, "checkpoint")));
  } catch (error) {
    if (isCode(error, "ENOENT")) return undefined;
    throw error;
  }
}
