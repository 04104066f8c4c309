/** Published tiles against those of the tree that was recomputed from the records. */
import { tileWidth } from "../../limits.ts";
import { equalBytes } from "../digest.ts";
import { FormatError } from "../format-error.ts";
import { rootOf } from "../merkle.ts";
import { slotBytes, subtreeReader, tilePath, type Tile, type TileFile } from "../tile.ts";
import type { Counts, Findings } from "./report.ts";
import type { TreeStore } from "./source.ts";

export interface CheckedStore {
  /** `""` for the ledger itself, `"bucket/"` for the bucket. */
  readonly name: string;
  readonly store: TreeStore;
  /** Size of the checkpoint whose tiles must be there. */
  readonly size: number;
  readonly root: Uint8Array;
}

interface Difference {
  readonly checked: CheckedStore;
  readonly path: string;
  /** The first leaf whose hash or entry differs. */
  readonly index: number | undefined;
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

  /** Compares the partial tiles of a tree with those of the stores that end with it. */
  async comparePartial(file: TileFile, size: number): Promise<void> {
    for (const checked of this.stores) {
      if (checked.size === size) await this.#compare(file, checked);
    }
  }

  async #compare(file: TileFile, checked: CheckedStore): Promise<void> {
    this.#counts.tiles++;
    const bytes = await checked.store.tile(file.path);
    if (bytes !== undefined && equalBytes(bytes, file.bytes)) return;
    const name = `${checked.name}${file.path}`;
    if (bytes === undefined) {
      const detail = "the checkpoint covers a tile that is not there";
      this.#findings.add({ class: "gap", place: { file: name }, detail });
    } else if (this.#differences.length < differencesMax) {
      const index = firstDifference(file, bytes);
      this.#differences.push({ checked, path: file.path, index });
    }
  }

  /**
   * Says of each difference which side was changed: where a store's tiles give the root that was
   * signed and the records do not, it is the records. `isRootGood` tells whether the records do.
   */
  async settle(isRootGood: (checked: CheckedStore) => boolean): Promise<void> {
    const authentic = new Map<CheckedStore, boolean>();
    for (const { checked, path, index } of this.#differences) {
      const file = `${checked.name}${path}`;
      if (isRootGood(checked)) {
        const detail = "the tile is not that of the records";
        const place = index === undefined ? { file } : { file, index };
        this.#findings.add({ class: "altered", place, detail });
        continue;
      }
      if (!authentic.has(checked)) authentic.set(checked, await giveSignedRoot(checked));
      const isRecord = authentic.get(checked) === true && index !== undefined;
      if (!isRecord || this.#findings.knows(index)) continue;
      const detail = "the record is not the one that the signed tree holds";
      this.#findings.add({ class: "altered", place: { file, index }, detail });
    }
  }
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
