/**
 * One signed root to the bucket. The order is the safety argument: whoever reads a checkpoint finds
 * its tiles, each root stays under its size before the newest one names it, and the swap of the
 * newest lets only one of two writers through.
 */
import { equalBytes } from "../ledger/digest.ts";
import { tilePath } from "../ledger/tile.ts";
import { BucketError } from "./bucket/bucket.ts";
import type { NewObject, Version } from "./bucket/bucket.ts";
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
  await creating(parties, bucket.createTiles(newTiles(parties, connection.size, root.size)));
  await creating(parties, bucket.create(sizedCheckpointKey(origin, root.size), root.note));
  const version = await swap(parties, root, connection.version);
  await queue.advance(bucket.location, root);
  return { size: root.size, version };
}

async function* newTiles(
  { origin, tree }: Parties,
  published: number,
  size: number,
): AsyncGenerator<NewObject> {
  for (const tile of tilesBetween(published, size)) {
    yield { key: `${origin}/${tilePath(tile)}`, bytes: await tree.tile(tile) };
  }
}

/** Creates what never changes; that something else is there already means two writers. */
async function creating({ bucket }: Parties, create: Promise<void>): Promise<void> {
  try {
    await create;
  } catch (cause) {
    if (!(cause instanceof BucketError) || cause.code !== "present") throw cause;
    throw new PublishError(
      "forked",
      `the bucket ${bucket.location} does not hold what the ledger has (${cause.message}): another ` +
        "sidecar wrote it, or it was changed",
      { remedy: "run spanseal verify with the bucket, then restart", cause },
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
        "ledger runs elsewhere, or the bucket was restored",
      { remedy: "stop the other one, then restart", cause },
    );
  }
}
