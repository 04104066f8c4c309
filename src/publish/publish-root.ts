/**
 * One signed root to the bucket. The order is the safety argument: whoever reads a checkpoint finds
 * its tiles, each root stays under its size before the newest one names it, and the swap of the
 * newest lets only one of two writers through.
 */
import { equalBytes } from "../ledger/digest.ts";
import { tilePath } from "../ledger/tile.ts";
import { BucketError } from "./bucket/bucket.ts";
import type { Version } from "./bucket/bucket.ts";
import type { Connection, Parties } from "./evidence.ts";
import { checkpointKey, sizedCheckpointKey, tilesBetween } from "./object-key.ts";
import { PublishError } from "./publish-error.ts";
import type { SignedRoot } from "./queue.ts";

/**
 * On return the bucket and the cursor have `root`. After a rejection either may have it: `connect`
 * finds out.
 *
 * @throws PublishError where the bucket holds what this log never wrote; BucketError `unreachable`.
 */
export async function publishRoot(
  parties: Parties,
  root: SignedRoot,
  connection: Connection,
): Promise<Connection> {
  const { bucket, origin, queue } = parties;
  await copyTiles(parties, connection.size, root.size);
  await create(parties, sizedCheckpointKey(origin, root.size), root.note);
  const version = await swap(parties, root, connection.version);
  await queue.advance(bucket.location, root);
  return { size: root.size, version };
}

/** Several at once: in a directory they share its syncs, elsewhere the way to and fro. */
const copiesAtOnce = 8;

async function copyTiles(parties: Parties, published: number, size: number): Promise<void> {
  const { origin, tree } = parties;
  const tiles = tilesBetween(published, size);
  const copyNext = async (): Promise<void> => {
    for (const tile of tiles) {
      await create(parties, `${origin}/${tilePath(tile)}`, await tree.tile(tile, size));
    }
  };
  // All have ended before anything is tried again, and no copy goes on after a failure is told.
  const copies = await Promise.allSettled(Array.from({ length: copiesAtOnce }, copyNext));
  for (const copy of copies) if (copy.status === "rejected") throw copy.reason;
}

async function create({ bucket }: Parties, key: string, bytes: Uint8Array): Promise<void> {
  try {
    await bucket.create(key, bytes);
  } catch (cause) {
    if (!(cause instanceof BucketError) || cause.code !== "present") throw cause;
    throw new PublishError(
      "forked",
      `${key} in the bucket ${bucket.location} is not what the ledger has: another sidecar wrote ` +
        "it, or it was changed. Run spanseal verify with the bucket, then restart",
      { cause },
    );
  }
}

async function swap(
  { bucket, origin }: Parties,
  root: SignedRoot,
  expected: Version | undefined,
): Promise<Version> {
  const key = checkpointKey(origin);
  try {
    return await bucket.swap(key, root.note, expected);
  } catch (cause) {
    if (!(cause instanceof BucketError) || cause.code !== "conflict") throw cause;
    // The answer to an earlier attempt may have been lost.
    const present = await bucket.read(key);
    if (present !== undefined && equalBytes(present.bytes, root.note)) return present.version;
    throw new PublishError(
      "lost_swap",
      `${key} in the bucket ${bucket.location} was replaced by another writer: a copy of this ` +
        "ledger runs elsewhere, or the bucket was restored. Stop the other one, then restart",
      { cause },
    );
  }
}
