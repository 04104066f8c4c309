/**
 * What the bucket proves about the log, held against what the ledger has. The bucket remembers what
 * a restored or shortened ledger has forgotten, so it is asked before anything is written.
 */
import { parseCheckpoint } from "../ledger/checkpoint.ts";
import type { Checkpoint } from "../ledger/checkpoint.ts";
import { sha256Hex } from "../bytes/sha256.ts";
import { equalBytes } from "../ledger/digest.ts";
import { FormatError } from "../ledger/format-error.ts";
import { verifyNote } from "../ledger/note.ts";
import type { NoteVerifier } from "../ledger/note.ts";
import { BucketError } from "./bucket/bucket.ts";
import type { Bucket, StoredObject, Version } from "./bucket/bucket.ts";
import type { LocalTree } from "./local-tree.ts";
import { checkpointKey } from "./object-key.ts";
import { PublishError } from "./publish-error.ts";
import type { PublishQueue, SignedRoot } from "./queue.ts";

/** A root that the log must contain, whoever lost it. */
export interface BucketEvidence {
  readonly size: number;
  readonly root: Uint8Array;
}

/**
 * The newest root that the bucket has of the log, to be held against the log before it is opened
 * for writing: a shorter log was truncated. Undefined where it has none.
 *
 * @throws BucketError `unreachable`; PublishError `foreign` where something else is in its place.
 */
export async function readBucketEvidence(
  bucket: Bucket,
  log: Pick<PublishedLog, "origin" | "logKeys">,
): Promise<BucketEvidence | undefined> {
  const stored = await bucket.read(checkpointKey(log.origin));
  if (stored === undefined) return undefined;
  const { size, root } = parseStored(bucket, log, stored);
  return { size, root };
}

/** Whose checkpoints a bucket may hold under its prefix. */
export interface PublishedLog {
  readonly origin: string;
  /** The keys that sign its checkpoints; a rotation adds one. */
  logKeys(): readonly NoteVerifier[];
}

/** The bucket's state that the next write builds on. */
export interface Connection {
  /** The newest root in the bucket; 0 before the first. */
  readonly size: number;
  /** Version of the bucket's checkpoint; undefined before the first. */
  readonly version: Version | undefined;
}

export interface Parties extends PublishedLog {
  readonly bucket: Bucket;
  readonly queue: PublishQueue;
  readonly tree: LocalTree;
}

/**
 * Reads where the bucket stands, notes it in the queue and returns it.
 *
 * @throws PublishError where the bucket and the ledger do not belong together; BucketError.
 */
export async function connect(parties: Parties): Promise<Connection> {
  const { bucket, origin, queue } = parties;
  const stored = await bucket.read(checkpointKey(origin));
  if (stored === undefined) {
    await connectEmpty(parties);
    return { size: 0, version: undefined };
  }
  const checkpoint = parseStored(bucket, parties, stored);
  if (sha256Hex(stored.bytes) !== queue.cursor?.digest) {
    await judge(parties, checkpoint);
    await queue.advance(bucket.location, { size: checkpoint.size, note: stored.bytes });
  }
  return { size: checkpoint.size, version: stored.version };
}

async function connectEmpty({ bucket, origin, queue }: Parties): Promise<void> {
  if (queue.cursor !== undefined) {
    if (queue.cursor.size === 0) return;
    // A disk that is not mounted took nothing back.
    if (!(await bucket.exists())) {
      throw new BucketError("unreachable", `the bucket ${bucket.location} does not exist`);
    }
    throw rolledBack(bucket, queue.cursor.size, "none");
  }
  if (!(await bucket.isEmpty(origin))) {
    throw new PublishError(
      "foreign",
      `${origin} in the bucket ${bucket.location} is not empty, but this ledger never wrote there`,
      { remedy: "restore the ledger that did, or configure another bucket" },
    );
  }
  // What a crash leaves behind from here on is this ledger's own.
  await queue.claim(bucket.location);
}

/** @throws PublishError unless `found`, which the cursor does not name, is a root of this log. */
async function judge({ bucket, queue, tree }: Parties, found: Checkpoint): Promise<void> {
  const publishedSize = queue.cursor?.size ?? 0;
  if (found.size < publishedSize) throw rolledBack(bucket, publishedSize, `${found.size}`);
  const local = await tree.checkpoint();
  const localSize = local?.size ?? 0;
  if (found.size > localSize) {
    throw new PublishError(
      "truncated",
      `the bucket ${bucket.location} has a root of size ${found.size}, but the newest of the ` +
        `ledger is ${localSize}: the ledger was cut or restored from an older copy`,
      { remedy: "restore the newest copy, or begin a new ledger in an empty directory" },
    );
  }
  if (equalBytes(await tree.rootOf(found.size), found.root)) return;
  throw new PublishError(
    "forked",
    `the bucket ${bucket.location} has another root of size ${found.size} than the ledger: two ` +
      "sidecars wrote as one",
    { remedy: "keep both ledgers as evidence, and begin a new one in an empty directory" },
  );
}

function rolledBack(bucket: Bucket, published: number, found: string): PublishError {
  return new PublishError(
    "rolled_back",
    `a root of size ${published} was published to the bucket ${bucket.location}, but its newest ` +
      `is ${found}: the bucket was emptied, not mounted or restored from an older copy`,
    { remedy: "bring it back, or remove publish/cursor.json of the ledger to publish to it anew" },
  );
}

const removeUnsigned =
  "run spanseal verify, remove what it names in the ledger's folder and in its publish/, then restart";

/**
 * What lies in the ledger's directory is published for good, so it is looked at before.
 *
 * @throws PublishError `damaged` unless `root` is one that the log's keys signed.
 */
export function checkSigned(log: PublishedLog, { size, note }: SignedRoot): void {
  const damaged = (cause?: unknown): PublishError =>
    new PublishError(
      "damaged",
      `the ledger keeps a root of size ${size} that no key of this log signed`,
      { remedy: removeUnsigned, cause },
    );
  let checkpoint: Checkpoint;
  try {
    checkpoint = parseCheckpoint(note);
  } catch (cause) {
    throw cause instanceof FormatError ? damaged(cause) : cause;
  }
  if (checkpoint.origin !== log.origin || checkpoint.size !== size) throw damaged();
  if (!isSigned(checkpoint, log)) throw damaged();
}

function isSigned({ note }: Checkpoint, { logKeys }: Pick<PublishedLog, "logKeys">): boolean {
  const { good, bad } = verifyNote(note, logKeys());
  return good.length > 0 && bad.length === 0;
}

/** What the log's keys did not sign proves nothing of the log: anybody may have put it there. */
function parseStored(
  bucket: Bucket,
  { origin, logKeys }: Pick<PublishedLog, "origin" | "logKeys">,
  stored: StoredObject,
): Checkpoint {
  const place = `${checkpointKey(origin)} in the bucket ${bucket.location}`;
  const foreign = (what: string, cause?: unknown): PublishError =>
    new PublishError("foreign", `${place} ${what}`, {
      remedy: "restore it, or configure another bucket",
      cause,
    });
  let checkpoint: Checkpoint;
  try {
    checkpoint = parseCheckpoint(stored.bytes);
  } catch (cause) {
    if (!(cause instanceof FormatError)) throw cause;
    throw foreign("is no checkpoint", cause);
  }
  if (checkpoint.origin !== origin) throw foreign("is of another log");
  if (!isSigned(checkpoint, { logKeys })) throw foreign("is not signed by a key of this log");
  return checkpoint;
}
