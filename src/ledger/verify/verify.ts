/**
 * The verifier. It reads a ledger as anybody may have left it, believes nothing that the keys it was
 * given do not vouch for, and says of each failure what it is and where, and what it could not see.
 */
import { failuresListedMax } from "../../limits.ts";
import { toHex } from "../../bytes/hex.ts";
import { descriptorDigest, fullOrigin, parseDescriptor, type Descriptor } from "../descriptor.ts";
import { ed25519Verifier, type NoteVerifier } from "../note.ts";
import {
  CheckpointVerifier,
  readCheckpoint,
  type CheckpointFile,
  type TreeState,
} from "./checkpoints.ts";
import { chainKeySource, type ChainKeySource } from "./keys.ts";
import { LineSplitter } from "./lines.ts";
import { conclude, emptyCounts } from "./conclusion.ts";
import { Findings, messageOf, type Counts, type Unchecked, type VerifyReport } from "./report.ts";
import type { BucketSource, LedgerSource, SegmentSource } from "./source.ts";
import { TileVerifier, type CheckedStore } from "./tiles.ts";
import type { TileFile } from "../tile.ts";
import { Walk } from "./walk.ts";

export interface VerifyOptions {
  /** Epoch keys. Without them MACs and the tail after the last checkpoint are not checked. */
  readonly chainKey?: (epoch: number) => Uint8Array | undefined;
  /** Derived keys of some chains instead, such as a tenant's auditor holds. */
  readonly chainKeys?: ChainKeySource;
  /** The log's verifier keys, from anywhere but the ledger. */
  readonly trusted?: readonly NoteVerifier[];
  /** `full`: cannot tell unless every MAC could be checked. */
  readonly level?: "full" | "available";
  readonly failuresMax?: number;
  readonly onProgress?: (counts: Readonly<Counts>) => void;
}

/** Rejects only where the source cannot be read; whatever the bytes are is in the report. */
export async function verifyLedger(
  source: LedgerSource,
  options: VerifyOptions = {},
): Promise<VerifyReport> {
  const findings = new Findings(options.failuresMax ?? failuresListedMax);
  const counts = emptyCounts();
  const bytes = await source.descriptor();
  const descriptor = verifyDescriptor(bytes, findings);
  if (descriptor === undefined) return conclude({ findings, counts, options });
  const origin = fullOrigin(descriptor);
  // Checkpoints first: the log of a running sidecar only grows past what they cover.
  const published = await readPublished(source, origin, findings);
  const verification = new Verification({
    source,
    options,
    findings,
    counts,
    published,
    descriptor,
    descriptorDigest: descriptorDigest(bytes),
  });
  await verification.verifySegments();
  await verification.verifyReach();
  await verification.verifyTiles();
  return verification.conclude();
}

function verifyDescriptor(bytes: Uint8Array, findings: Findings): Descriptor | undefined {
  try {
    return parseDescriptor(bytes);
  } catch (error) {
    const place = { file: "ledger.json" };
    findings.add({ class: "malformed", place, detail: messageOf(error) });
    return undefined;
  }
}

interface Published {
  readonly origin: string;
  readonly local: CheckpointFile | undefined;
  readonly bucket: CheckpointFile | undefined;
  /** True where the bucket names a newest checkpoint, also one that could not be read. */
  readonly isBucketNamed: boolean;
  /** Sizes of the bucket's kept checkpoints, ascending. */
  readonly keptSizes: readonly number[];
}

async function readPublished(
  source: LedgerSource,
  origin: string,
  findings: Findings,
): Promise<Published> {
  const context = { origin, findings };
  const localBytes = await source.checkpoint();
  const bucketBytes = await source.bucket?.checkpoint();
  return {
    origin,
    local: localBytes && readCheckpoint(localBytes, "checkpoint", context),
    bucket: bucketBytes && readCheckpoint(bucketBytes, "bucket/checkpoint", context),
    isBucketNamed: bucketBytes !== undefined,
    keptSizes: (await source.bucket?.checkpointSizes()) ?? [],
  };
}

interface VerificationParts {
  readonly source: LedgerSource;
  readonly options: VerifyOptions;
  readonly findings: Findings;
  readonly counts: Counts;
  readonly published: Published;
  readonly descriptor: Descriptor;
  readonly descriptorDigest: Uint8Array;
}

class Verification {
  readonly #parts: VerificationParts;
  readonly #walk: Walk;
  readonly #checkpoints: CheckpointVerifier;
  readonly #tiles: TileVerifier;
  /** Sizes at which the tree's root is needed, ascending; and how many are behind. */
  readonly #sizes: readonly number[];
  readonly #keptSizes: ReadonlySet<number>;
  #sizesDone = 0;
  /** What the walk came past and what is still to be held against the stores. */
  #reached: TreeState[] = [];
  #partials: { readonly size: number; readonly file: TileFile }[] = [];
  #incompleteBytes = 0;

  constructor(parts: VerificationParts) {
    this.#parts = parts;
    const { descriptor, findings, counts, options, published } = parts;
    const keys = options.chainKeys ?? keysOf(options, parts.descriptorDigest);
    this.#sizes = sizesOf(published);
    this.#keptSizes = new Set(published.keptSizes);
    this.#walk = new Walk({
      descriptorDigest: parts.descriptorDigest,
      writer: toHex(descriptor.instance),
      keys,
      findings,
      counts,
      onSize: (size, lastKind) => this.#onSize(size, lastKind),
    });
    this.#checkpoints = new CheckpointVerifier({
      trusted: options.trusted ?? [],
      ownKey: ed25519Verifier(published.origin, descriptor.firstLogKey),
      findings,
      counts,
      rotations: this.#walk.system.logKeyRotations,
      areMacsGood: () => counts.macs > 0 && this.#walk.unknownMacs === 0,
    });
    this.#tiles = new TileVerifier(storesOf(parts), findings, counts);
  }

  async verifySegments(): Promise<void> {
    const segments = await this.#parts.source.segments();
    let order = 0;
    for (const [at, segment] of segments.entries()) {
      this.#parts.counts.segments++;
      const isLast = at === segments.length - 1;
      order = await this.#verifySegment(segment, order, isLast);
    }
    this.#walk.end();
    await this.#catchUp();
  }

  /** Returns the number of the next segment's first line. */
  async #verifySegment(segment: SegmentSource, order: number, isLast: boolean): Promise<number> {
    const { name } = segment;
    const { counts } = this.#parts;
    let line = 0;
    this.#verifySegmentName(segment, order);
    const splitter = new LineSplitter((bytes, start, end) => {
      line++;
      const place = { segment: name, line, order: order + line - 1 };
      this.#walk.line(bytes, { start, end }, place);
    });
    for await (const chunk of segment.chunks()) {
      counts.bytes += chunk.length;
      splitter.push(chunk);
      await this.#catchUp();
      counts.records = this.#walk.expectedIndex;
      this.#parts.options.onProgress?.(counts);
    }
    this.#verifySegmentEnd(splitter.incompleteBytes, { segment: name, line: line + 1 }, isLast);
    return order + line + 1;
  }

  #verifySegmentName(segment: SegmentSource, order: number): void {
    const { firstIndex, name } = segment;
    // A segment behind a gap is named by what it holds; only a name too small is a contradiction.
    if (firstIndex !== undefined && firstIndex >= this.#walk.expectedIndex) return;
    const detail = `a segment of this name cannot begin with record ${this.#walk.expectedIndex}`;
    this.#parts.findings.add({ class: "reordered", place: { segment: name }, detail }, order);
  }

  /** Only the newest line of a log that is being written may be incomplete. */
  #verifySegmentEnd(
    incompleteBytes: number,
    place: { segment: string; line: number },
    isLast: boolean,
  ): void {
    if (incompleteBytes === 0) return;
    if (isLast) {
      this.#incompleteBytes = incompleteBytes;
      return;
    }
    const detail = `the segment ends within a line, after ${incompleteBytes} bytes of it`;
    this.#parts.findings.add({ class: "truncated", place, detail });
  }

  #onSize(size: number, lastKind: string | undefined): void {
    if (size !== this.#sizes[this.#sizesDone]) return;
    this.#sizesDone++;
    const { tree } = this.#walk;
    this.#reached.push({ size, root: tree.root(), lastKind });
    if (!this.#tiles.stores.some((checked) => checked.size === size)) return;
    for (const file of tree.partialTiles()) this.#partials.push({ size, file });
  }

  /** Holds checkpoints and tiles that the walk came past against what it found. */
  async #catchUp(): Promise<void> {
    const reached = this.#reached;
    this.#reached = [];
    for (const state of reached) await this.#verifyCheckpointsAt(state);
    for (const file of this.#walk.tree.takeFinished()) await this.#tiles.compareFull(file);
    const partials = this.#partials;
    this.#partials = [];
    for (const { size, file } of partials) await this.#tiles.comparePartial(file, size);
  }

  async #verifyCheckpointsAt(state: TreeState): Promise<void> {
    for await (const file of this.#checkpointsOf(state.size)) {
      this.#checkpoints.verify(file, state);
    }
  }

  async *#checkpointsOf(size: number): AsyncGenerator<CheckpointFile> {
    const { published, source } = this.#parts;
    if (this.#keptSizes.has(size)) {
      const kept = await this.#readKept(source.bucket, size);
      if (kept !== undefined) yield kept;
    }
    if (published.local?.checkpoint.size === size) yield published.local;
    if (published.bucket?.checkpoint.size === size) yield published.bucket;
  }

  async #readKept(
    bucket: BucketSource | undefined,
    size: number,
  ): Promise<CheckpointFile | undefined> {
    const bytes = await bucket?.checkpointOfSize(size);
    if (bytes === undefined) return undefined;
    const name = `bucket/checkpoints/${size}`;
    const { findings, published } = this.#parts;
    const file = readCheckpoint(bytes, name, { origin: published.origin, findings });
    if (file === undefined || file.checkpoint.size === size) return file;
    const detail = `the file is named for ${size} records and is of ${file.checkpoint.size}`;
    findings.add({ class: "altered", place: { file: name }, detail });
    return undefined;
  }

  /** Checkpoints of a log that was longer than this one. */
  async verifyReach(): Promise<void> {
    const { findings } = this.#parts;
    const newest = this.#parts.published.bucket?.checkpoint.size ?? 0;
    if (newest > 0 && !this.#keptSizes.has(newest)) {
      const place = { file: `bucket/checkpoints/${newest}` };
      const detail = "the bucket's newest checkpoint is not among those it keeps";
      findings.add({ class: "gap", place, detail });
    }
    this.#verifyBucketOrder(newest);
    const logSize = this.#walk.expectedIndex;
    const local = this.#parts.published.local;
    const isLogWhole = findings.total === 0 && (local?.checkpoint.size ?? 0) <= logSize;
    for (const size of this.#sizes.slice(this.#sizesDone)) {
      if (size === 0) continue;
      for await (const file of this.#checkpointsOf(size)) {
        this.#checkpoints.verifyBeyond(file, logSize, isLogWhole);
      }
    }
  }

  /** Each root is kept under its size, then named the newest: between the two stands one at most. */
  #verifyBucketOrder(newest: number): void {
    const { findings, published } = this.#parts;
    const newer = published.keptSizes.filter((size) => size > newest);
    const isUnreadable = published.isBucketNamed && published.bucket === undefined;
    if (newer.length < 2 || isUnreadable) return;
    const place = { file: "bucket/checkpoint" };
    const detail = published.isBucketNamed
      ? `the bucket keeps checkpoints of up to ${newer.at(-1)} records, but names that of ${newest} the newest`
      : "the bucket keeps checkpoints, but names none the newest";
    findings.add({ class: published.isBucketNamed ? "rolled_back" : "gap", place, detail });
  }

  /** A bucket that was away and one that was taken back look the same from here. */
  #uncheckedBucket(): Unchecked[] {
    const { bucket, local, isBucketNamed } = this.#parts.published;
    if (this.#parts.source.bucket === undefined || local === undefined) return [];
    if (isBucketNamed && bucket === undefined) return [];
    const first = bucket?.checkpoint.size ?? 0;
    const end = local.checkpoint.size;
    if (first >= end) return [];
    const detail =
      `the bucket's newest checkpoint is of ${first} records, the ledger's of ${end}: ` +
      "publishing is behind, or the bucket was taken back";
    return [{ what: "bucket", detail, first, end }];
  }

  async verifyTiles(): Promise<void> {
    this.#checkpoints.settle();
    const mismatched = new Set(
      this.#checkpoints.mismatched.map(({ checkpoint }) => checkpoint.size),
    );
    const logSize = this.#walk.expectedIndex;
    await this.#tiles.settle(({ size }) => size <= logSize && !mismatched.has(size));
  }

  conclude(): VerifyReport {
    const { findings, counts, options, published } = this.#parts;
    return conclude({
      findings,
      counts,
      options,
      origin: published.origin,
      coveredSize: this.#checkpoints.coveredSize,
      provenSize: this.#checkpoints.provenSize,
      hasCheckpoint: published.local !== undefined || published.bucket !== undefined,
      unknownMacs: this.#walk.unknownMacs,
      uncheckedTips: this.#walk.system.uncheckedTips,
      incompleteBytes: this.#incompleteBytes,
      unchecked: [...this.#checkpoints.unchecked, ...this.#uncheckedBucket()],
      recoveries: this.#walk.system.recoveries,
    });
  }
}

function keysOf(options: VerifyOptions, digest: Uint8Array): ChainKeySource | undefined {
  return options.chainKey === undefined ? undefined : chainKeySource(options.chainKey, digest);
}

function sizesOf(published: Published): number[] {
  const sizes = new Set(published.keptSizes);
  for (const file of [published.local, published.bucket]) {
    if (file !== undefined) sizes.add(file.checkpoint.size);
  }
  return [...sizes].toSorted((left, right) => left - right);
}

function storesOf(parts: VerificationParts): CheckedStore[] {
  const { published, source } = parts;
  const stores: CheckedStore[] = [];
  if (published.local !== undefined) {
    const { size, root } = published.local.checkpoint;
    stores.push({ name: "", store: source, size, root });
  }
  if (published.bucket !== undefined && source.bucket !== undefined) {
    const { size, root } = published.bucket.checkpoint;
    stores.push({ name: "bucket/", store: source.bucket, size, root });
  }
  return stores;
}
