/** The signed roots that ledger and bucket hold, and what their being there says by itself. */
import { readCheckpoint, type CheckpointFile } from "./checkpoints.ts";
import { messageOf, type Findings, type Unchecked } from "./report.ts";
import type { BucketSource, LedgerSource } from "./source.ts";

export interface Published {
  readonly origin: string;
  readonly hasBucket: boolean;
  readonly local: CheckpointFile | undefined;
  readonly bucket: CheckpointFile | undefined;
  /** True where there is a newest checkpoint, also one that could not be read. */
  readonly isLocalNamed: boolean;
  readonly isBucketNamed: boolean;
  /** Sizes of the bucket's kept checkpoints, ascending. */
  readonly keptSizes: readonly number[];
}

interface Context {
  readonly origin: string;
  readonly findings: Findings;
}

/** The bucket first: a running sidecar persists a root in its ledger before it publishes it. */
export async function readPublished(
  source: LedgerSource,
  origin: string,
  findings: Findings,
): Promise<Published> {
  const context = { origin, findings };
  const { bucket } = source;
  const inBucket = await readNewest("bucket/checkpoint", () => bucket?.checkpoint(), context);
  const keptSizes = (await bucket?.checkpointSizes()) ?? [];
  const inLedger = await readNewest("checkpoint", () => source.checkpoint(), context);
  return {
    origin,
    hasBucket: bucket !== undefined,
    local: inLedger.file,
    bucket: inBucket.file,
    isLocalNamed: inLedger.isNamed,
    isBucketNamed: inBucket.isNamed,
    keptSizes,
  };
}

async function readNewest(
  name: string,
  read: () => Promise<Uint8Array | undefined> | undefined,
  context: Context,
): Promise<{ isNamed: boolean; file: CheckpointFile | undefined }> {
  try {
    const bytes = await read();
    const file = bytes && readCheckpoint(bytes, name, context);
    return { isNamed: bytes !== undefined, file };
  } catch (error) {
    context.findings.add({ class: "malformed", place: { file: name }, detail: messageOf(error) });
    return { isNamed: true, file: undefined };
  }
}

/** A checkpoint that the bucket keeps under its size. */
export async function readKept(
  bucket: BucketSource | undefined,
  size: number,
  context: Context,
): Promise<CheckpointFile | undefined> {
  const name = `bucket/checkpoints/${size}`;
  const { file } = await readNewest(name, () => bucket?.checkpointOfSize(size), context);
  if (file === undefined || file.checkpoint.size === size) return file;
  const detail = `the file is named for ${size} records and is of ${file.checkpoint.size}`;
  context.findings.add({ class: "altered", place: { file: name }, detail });
  return undefined;
}

/** What must be there because something else is. */
export function verifyPresence(published: Published, findings: Findings): void {
  const { bucket, keptSizes } = published;
  const newest = bucket?.checkpoint.size ?? 0;
  if (newest > 0 && !keptSizes.includes(newest)) {
    const place = { file: `bucket/checkpoints/${newest}` };
    const detail = "the bucket's newest checkpoint is not among those it keeps";
    findings.add({ class: "gap", place, detail });
  }
  verifyBucketOrder(published, newest, findings);
}

/** Each root is kept under its size, then named the newest: between the two stands one at most. */
function verifyBucketOrder(published: Published, newest: number, findings: Findings): void {
  const newer = published.keptSizes.filter((size) => size > newest);
  const isUnreadable = published.isBucketNamed && published.bucket === undefined;
  if (newer.length < 2 || isUnreadable) return;
  const place = { file: "bucket/checkpoint" };
  const detail = published.isBucketNamed
    ? `the bucket keeps checkpoints of up to ${newer.at(-1)} records, but names that of ${newest} the newest`
    : "the bucket keeps checkpoints, but names none the newest";
  findings.add({ class: published.isBucketNamed ? "rolled_back" : "gap", place, detail });
}

/** A root is durable in the ledger before the bucket has it. `coveredSize`: of the newest good one. */
export function verifyLocalReach(
  { local, isLocalNamed }: Published,
  coveredSize: number,
  findings: Findings,
): void {
  const size = local?.checkpoint.size ?? 0;
  if (coveredSize <= size || (isLocalNamed && local === undefined)) return;
  const has = isLocalNamed ? `one of ${size}` : "none";
  const detail = `the bucket has a checkpoint of ${coveredSize} records, the ledger has ${has}`;
  const name = isLocalNamed ? "rolled_back" : "gap";
  findings.add({ class: name, place: { file: "checkpoint" }, detail });
}

/** A bucket that was away and one that was taken back look the same from here. */
export function uncheckedBucket(published: Published): Unchecked[] {
  const { hasBucket, bucket, local, isBucketNamed } = published;
  if (!hasBucket || local === undefined) return [];
  if (isBucketNamed && bucket === undefined) return [];
  const first = bucket?.checkpoint.size ?? 0;
  const end = local.checkpoint.size;
  if (first >= end) return [];
  const detail =
    `the bucket's newest checkpoint is of ${first} records, the ledger's of ${end}: ` +
    "publishing is behind, or the bucket was taken back";
  return [{ what: "bucket", detail, first, end }];
}

/** Sizes at which the tree's root is needed, ascending. */
export function sizesOf(published: Published): number[] {
  const sizes = new Set(published.keptSizes);
  for (const file of [published.local, published.bucket]) {
    if (file !== undefined) sizes.add(file.checkpoint.size);
  }
  return [...sizes].toSorted((left, right) => left - right);
}
