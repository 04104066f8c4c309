/** Reads a published log as a stranger would, and holds every part of it against every other. */
import { expect } from "vitest";
import { equalBytes } from "../../src/ledger/digest.ts";
import { parseCheckpoint } from "../../src/ledger/checkpoint.ts";
import { Frontier, leafHash, rootOf } from "../../src/ledger/merkle.ts";
import { ed25519Verifier, verifyNote } from "../../src/ledger/note.ts";
import { parseBundle, subtreeReader, tilePath, tilesOf } from "../../src/ledger/tile.ts";
import type { Bucket } from "../../src/publish/bucket/bucket.ts";
import { origin, signer } from "./small-ledger.ts";

const verifier = ed25519Verifier(origin, signer.publicKey);

async function bytesAt(bucket: Bucket, path: string): Promise<Uint8Array> {
  const stored = await bucket.read(`${origin}/${path}`);
  if (stored === undefined) throw new Error(`the bucket lacks ${path}`);
  return stored.bytes;
}

/** Throws unless the newest root and those of `sizes` are whole in the bucket. @returns its size. */
export async function checkLog(bucket: Bucket, sizes: readonly number[]): Promise<number> {
  const newest = parseCheckpoint(await bytesAt(bucket, "checkpoint"));
  const roots = await rootsFromEntries(bucket, newest.size);
  for (const size of sizes) {
    const note = await bytesAt(bucket, `checkpoints/${size}`);
    const checkpoint = parseCheckpoint(note);
    expect(checkpoint.origin).toBe(origin);
    expect(checkpoint.size).toBe(size);
    expect(verifyNote(checkpoint.note, [verifier])).toEqual({ good: [verifier], bad: [] });
    const fromTiles = await rootOf(
      size,
      subtreeReader(size, (tile) => bytesAt(bucket, tilePath(tile))),
    );
    expect(equalBytes(fromTiles, checkpoint.root)).toBe(true);
    expect(equalBytes(roots[size]!, checkpoint.root)).toBe(true);
    for (const tile of tilesOf(size)) await bytesAt(bucket, tilePath(tile));
  }
  const sized = await bytesAt(bucket, `checkpoints/${newest.size}`);
  expect(equalBytes(newest.note.bytes, sized)).toBe(true);
  return newest.size;
}

/** The root of every size up to `size`, from the published entries alone. */
async function rootsFromEntries(bucket: Bucket, size: number): Promise<Uint8Array[]> {
  const frontier = new Frontier();
  const roots = [frontier.root()];
  for (const tile of tilesOf(size)) {
    if (tile.level !== "entries") continue;
    for (const entry of parseBundle(await bytesAt(bucket, tilePath(tile)), tile.width)) {
      frontier.append(leafHash(entry));
      roots.push(frontier.root());
    }
  }
  return roots;
}
