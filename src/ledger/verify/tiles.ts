/** Published tiles against those of the tree that was recomputed from the records. */
import { tileWidth } from "../../limits.ts";
import { equalBytes } from "../digest.ts";
import { FormatError } from "../format-error.ts";
import { rootOf } from "../merkle.ts";
import { slotBytes, subtreeReader, tilePath, type Tile, type TileFile } from "../tile.ts";
import { messageOf, type Counts, type Findings } from "./report.ts";
import type { TreeStore } from "./source.ts";

export interface CheckedStore {
  /** `""` for the ledger itself, `"bucket/"` for the bucket. */
  readonly name: string;
  readonly store: TreeStore;
  /** True where each partial tile is a file of its own, which stays when a wider one comes. */
  readonly keepsPartials: boolean;
  /** Size of the checkpoint whose tiles must be there. */
  readonly size: number;
  readonly root: Uint8Array;
}

interface Difference {
  readonly checked: CheckedStore;
  readonly path: string;
  /** The first leaf whose hash or entry differs. */
  readonly index: number | undefined;
  /** True for a tile of an older tree, which proves nothing by itself. */
  readonly isOlder: boolean;
}

const differencesMax = 1000;

export class TileVerifier {
  readonly stores: readonly CheckedStore[];
  readonly #findings: Findings;
  readonly #counts: Counts;
  readonly #differences: Difference[] = [];

  constructor(stores: readonly CheckedStore[], findings: Findings, counts: Counts) {
    this.stores = stores;
    this.#findings = findings;
    this.#counts = counts;
  }

  /** Compares a tile with that of each store whose checkpoint covers it whole. */
  async compareFull(file: TileFile): Promise<void> {
    for (const checked of this.stores) {
      if (leavesUpTo(file.tile) <= checked.size) await this.#compare(file, checked);
    }
  }

  /** Compares a partial tile of a tree of `size`: those of older trees may have been removed. */
  async comparePartial(file: TileFile, size: number): Promise<void> {
    for (const checked of this.stores) {
      const isOlder = size < checked.size;
      if (size === checked.size || (isOlder && checked.keepsPartials)) {
        await this.#compare(file, checked, isOlder);
      }
    }
  }

  async #compare(file: TileFile, checked: CheckedStore, isOlder = false): Promise<void> {
    const bytes = await this.#read(file, checked);
    if (bytes === "unreadable" || (bytes === undefined && isOlder)) return;
    this.#counts.tiles++;
    if (bytes !== undefined && equalBytes(bytes, file.bytes)) return;
    if (bytes === undefined) {
      const detail = "the checkpoint covers a tile that is not there";
      this.#findings.add({ class: "gap", place: placeOf(file, checked), detail });
    } else if (this.#differences.length < differencesMax) {
      const index = firstDifference(file, bytes);
      this.#differences.push({ checked, path: file.path, index, isOlder });
    }
  }

  async #read(
    file: TileFile,
    checked: CheckedStore,
  ): Promise<Uint8Array | undefined | "unreadable"> {
    try {
      return await checked.store.tile(file.path);
    } catch (error) {
      const place = placeOf(file, checked);
      this.#findings.add({ class: "malformed", place, detail: messageOf(error) });
      return "unreadable";
    }
  }

  /**
   * Says of each difference which side was changed: where a store's tiles give the root that was
   * signed and the records do not, it is the records. `isRootGood` tells whether the records do.
   */
  async settle(isRootGood: (checked: CheckedStore) => boolean): Promise<void> {
    const authentic = new Map<CheckedStore, boolean>();
    for (const { checked, path, index, isOlder } of this.#differences) {
      const file = `${checked.name}${path}`;
      if (isRootGood(checked)) {
        const detail = "the tile is not that of the records";
        const place = index === undefined ? { file } : { file, index };
        this.#findings.add({ class: "altered", place, detail });
        continue;
      }
      if (isOlder) continue;
      if (!authentic.has(checked)) authentic.set(checked, await giveSignedRoot(checked));
      const isRecord = authentic.get(checked) === true && index !== undefined;
      if (!isRecord || this.#findings.knows(index)) continue;
      const detail = "the record is not the one that the signed tree holds";
      this.#findings.add({ class: "altered", place: { file, index }, detail });
    }
  }
}

function placeOf({ path }: TileFile, { name }: CheckedStore): { readonly file: string } {
  return { file: `${name}${path}` };
}

/** Number of leaves that must be there before the tile is full. */
function leavesUpTo(tile: Tile): number {
  const span = tile.level === "entries" ? 1 : tileWidth ** tile.level;
  return (tile.index + 1) * tileWidth * span;
}

function firstDifference(file: TileFile, bytes: Uint8Array): number | undefined {
  const { tile } = file;
  if (tile.level !== 0 && tile.level !== "entries") return undefined;
  for (let at = 0; at < file.bytes.length; at++) {
    if (file.bytes[at] !== bytes[at])
      return tile.index * tileWidth + Math.floor(at / slotBytes(tile.level));
  }
  return undefined;
}

/** True where the store's own tiles have the root that its checkpoint states. */
async function giveSignedRoot(checked: CheckedStore): Promise<boolean> {
  const read = subtreeReader(checked.size, async (tile) => {
    const bytes = await checked.store.tile(tilePath(tile));
    if (bytes === undefined) throw new FormatError("bad_tile", "tile is missing");
    return bytes;
  });
  try {
    return equalBytes(await rootOf(checked.size, read), checked.root);
  } catch (error) {
    if (error instanceof FormatError) return false;
    throw error;
  }
}
