/** Reads a published log as a stranger would, and holds every part of it against every other. */
import { expect } from "vitest";
import { equalBytes } from "../../src/ledger/digest.ts";
import { parseCheckpoint } from "../../src/ledger/checkpoint.ts";
import { Frontier, leafHash, rootOf } from "../../src/ledger/merkle.ts";
import { ed25519Verifier, verifyNote } from "../../src/ledger/note.ts";
import type { NoteVerifier } from "../../src/ledger/note.ts";
import { parseBundle, subtreeReader, tilePath, tilesOf } from "../../src/ledger/tile.ts";
import type { Bucket } from "../../src/publish/bucket/bucket.ts";
import { origin, signer } from "./small-ledger.ts";

interface Log {
  readonly origin: string;
  readonly verifier: NoteVerifier;
}

const smallLog: Log = { origin, verifier: ed25519Verifier(origin, signer.publicKey) };

type Reader = (path: string) => Promise<Uint8Array>;

function reader(bucket: Bucket, log: Log): Reader {
  return async (path) => {
    const stored = await bucket.read(`${log.origin}/${path}`);
    if (stored === undefined) throw new Error(`the bucket lacks ${path}`);
    return stored.bytes;
  };
}

/** Throws unless the newest root and those of `sizes` are whole in the bucket. @returns its size. */
export async function checkLog(
  bucket: Bucket,
  sizes: readonly number[],
  log: Log = smallLog,
): Promise<number> {
  const bytesAt = reader(bucket, log);
  const newest = parseCheckpoint(await bytesAt("checkpoint"));
  const roots = await rootsFromEntries(bytesAt, newest.size);
  for (const size of sizes) {
    const note = await bytesAt(`checkpoints/${size}`);
    const checkpoint = parseCheckpoint(note);
    expect(checkpoint.origin).toBe(log.origin);
    expect(checkpoint.size).toBe(size);
    expect(verifyNote(checkpoint.note, [log.verifier])).toEqual({ good: [log.verifier], bad: [] });
    const fromTiles = await rootOf(
      size,
      subtreeReader(size, (tile) => bytesAt(tilePath(tile))),
    );
    expect(equalBytes(fromTiles, checkpoint.root)).toBe(true);
    expect(equalBytes(roots[size]!, checkpoint.root)).toBe(true);
    for (const tile of tilesOf(size)) await bytesAt(tilePath(tile));
  }
  const sized = await bytesAt(`checkpoints/${newest.size}`);
  expect(equalBytes(newest.note.bytes, sized)).toBe(true);
  return newest.size;
}

/** The root of every size up to `size`, from the published entries alone. */
async function rootsFromEntries(bytesAt: Reader, size: number): Promise<Uint8Array[]> {
  const frontier = new Frontier();
  const roots = [frontier.root()];
  for (const tile of tilesOf(size)) {
    if (tile.level !== "entries") continue;
    for (const entry of parseBundle(await bytesAt(tilePath(tile)), tile.width)) {
      frontier.append(leafHash(entry));
      roots.push(frontier.root());
    }
  }
  return roots;
}
