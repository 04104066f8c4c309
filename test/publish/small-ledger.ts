/** A log of generated entries with local tiles and checkpoints, in the layout of the ledger. */
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { encodeUtf8 } from "../../src/bytes/utf8.ts";
import { signCheckpoint } from "../../src/ledger/checkpoint.ts";
import { sha256 } from "../../src/bytes/sha256.ts";
import { nodeFiles } from "../../src/ledger/files.ts";
import { ed25519Signer, ed25519Verifier } from "../../src/ledger/note.ts";
import { TileFiles } from "../../src/ledger/tile-files.ts";
import { TreeEdge } from "../../src/ledger/tree.ts";
import type { PublishedLedger } from "../../src/publish/publisher.ts";
import type { SignedRoot } from "../../src/publish/queue.ts";

export const origin = "audit.example.com/prod/000102030405060708090a0b0c0d0e0f";
export const signer = ed25519Signer(origin, Buffer.alloc(32, 7));

export const logKeys = [ed25519Verifier(origin, signer.publicKey)];

export interface SmallLedger extends PublishedLedger {
  /** Appends records that differ by `flavour`. */
  append(count: number, flavour?: string): void;
  /** The roots that were made, by size. */
  readonly roots: Map<number, Uint8Array>;
  /** What the next `checkpoint` rejects with. */
  failure: Error | undefined;
  /** A second writer on a copy of the directory as it is now, as a restored backup would be. */
  copy(): Promise<SmallLedger>;
  remove(): Promise<void>;
}

export async function smallLedger(): Promise<SmallLedger> {
  return ledgerIn(await newDirectory(), new TreeEdge());
}

function newDirectory(): Promise<string> {
  return mkdtemp(join(tmpdir(), "spanseal-publish-"));
}

function ledgerIn(directory: string, tree: TreeEdge): SmallLedger {
  const roots = new Map<number, Uint8Array>();
  const append = (text: string): void => {
    tree.append(sha256(encodeUtf8(text)), 1);
  };
  const ledger: SmallLedger = {
    origin,
    logKeys: () => logKeys,
    directory,
    roots,
    failure: undefined,
    get size() {
      return tree.size;
    },
    append: (count, flavour = "") => {
      for (let index = 0; index < count; index++) append(`record ${tree.size} ${flavour}`);
    },
    checkpoint: async () => {
      if (ledger.failure !== undefined) throw ledger.failure;
      append(`seal ${tree.size}`);
      const root = await persist(directory, tree);
      roots.set(tree.size, tree.root());
      return root;
    },
    copy: async () => {
      const other = await newDirectory();
      await cp(directory, other, { recursive: true });
      return ledgerIn(other, TreeEdge.parse(tree.size, tree.serialise()));
    },
    remove: () => rm(directory, { recursive: true }),
  };
  return ledger;
}

async function persist(directory: string, tree: TreeEdge): Promise<SignedRoot> {
  await nodeFiles.makeDirectory(join(directory, "tile"), 0o700);
  const tiles = new TileFiles(directory, nodeFiles);
  await tiles.save([...tree.takeFinished(), ...tree.partialTiles()]);
  const size = tree.size;
  const note = signCheckpoint({ origin, size, root: tree.root() }, [signer]);
  await nodeFiles.replace(join(directory, "checkpoint"), note, 0o600);
  return { size, note };
}
