/**
 * The verifier. It reads a ledger as anybody may have left it, believes nothing that the keys it was
 * given do not vouch for, and says of each failure what it is and where, and what it could not see.
 */
import { failuresListedMax, lineBytesMax } from "../../limits.ts";
import { toHex } from "../../bytes/hex.ts";
import { descriptorDigest, fullOrigin, parseDescriptor, type Descriptor } from "../descriptor.ts";
import { ed25519Verifier, type NoteVerifier } from "../note.ts";
import { CheckpointVerifier, type CheckpointFile, type TreeState } from "./checkpoints.ts";
import { chainKeySource, type ChainKeySource } from "./keys.ts";
import type { ScannedLine } from "../line.ts";
import { LineSplitter } from "./lines.ts";
import { conclude, emptyCounts } from "./conclusion.ts";
import {
  readKept,
  readPublished,
  sizesOf,
  uncheckedBucket,
  verifyLocalReach,
  verifyPresence,
  type Published,
} from "./published.ts";
import { Findings, messageOf, type Counts, type VerifyReport } from "./report.ts";
import type { LedgerSource, SegmentSource } from "./source.ts";
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
  const described = await readDescriptor(source, findings);
  if (described === undefined) return conclude({ findings, counts, options });
  const { bytes, descriptor } = described;
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

async function readDescriptor(
  source: LedgerSource,
  findings: Findings,
): Promise<{ bytes: Uint8Array; descriptor: Descriptor } | undefined> {
  try {
    const bytes = await source.descriptor();
    return { bytes, descriptor: parseDescriptor(bytes) };
  } catch (error) {
    const place = { file: "ledger.json" };
    findings.add({ class: "malformed", place, detail: messageOf(error) });
    return undefined;
  }
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
    const logKey = ed25519Verifier(published.origin, descriptor.firstLogKey);
    this.#walk = new Walk({
      logKey,
      descriptorDigest: parts.descriptorDigest,
      writer: toHex(descriptor.instance),
      keys,
      findings,
      counts,
      onSize: (size, last) => this.#onSize(size, last),
    });
    this.#checkpoints = new CheckpointVerifier({
      trusted: options.trusted ?? [],
      ownKey: logKey,
      findings,
      counts,
      rotations: this.#walk.system.logKeyRotations,
      areMacsGood: () => counts.macs > 0 && this.#walk.unknownMacs === 0,
    });
    this.#tiles = new TileVerifier(storesOf(parts), findings, counts);
  }

  async verifySegments(): Promise<void> {
    this.#onSize(0, undefined);
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
    const begins = this.#walk.expectedIndex;
    let line = 0;
    let firstIndex: number | undefined;
    const splitter = new LineSplitter((bytes, start, end) => {
      line++;
      const place = { segment: name, line, order: order + line - 1 };
      const index = this.#walk.line(bytes, { start, end }, place);
      if (line === 1) firstIndex = index;
    });
    await this.#readSegment(segment, splitter, order);
    this.#verifySegmentName(segment, [begins, firstIndex], order);
    this.#verifySegmentEnd(splitter.incompleteBytes, { segment: name, line: line + 1 }, isLast);
    return order + line + 1;
  }

  async #readSegment(segment: SegmentSource, splitter: LineSplitter, order: number): Promise<void> {
    const { counts, findings, options } = this.#parts;
    try {
      for await (const chunk of segment.chunks()) {
        counts.bytes += chunk.length;
        splitter.push(chunk);
        this.#walk.settle();
        await this.#catchUp();
        counts.records = this.#walk.expectedIndex;
        options.onProgress?.(counts);
        // No line is as long, and what pretends to be one may have no end.
        if (splitter.incompleteBytes > lineBytesMax) return;
      }
    } catch (error) {
      const place = { segment: segment.name };
      findings.add({ class: "malformed", place, detail: messageOf(error) }, order);
    }
  }

  /** A name is that of the next record, or behind a gap that of the record which stands first. */
  #verifySegmentName(
    { firstIndex, name }: SegmentSource,
    named: readonly (number | undefined)[],
    order: number,
  ): void {
    if (firstIndex !== undefined && named.includes(firstIndex)) return;
    const detail = `a segment of this name cannot begin with record ${named.at(-1) ?? named[0]}`;
    const place = { segment: name };
    this.#parts.findings.add({ class: "reordered", place, detail }, order - 0.5);
  }

  /** Only the newest line of a log that is being written may be incomplete. */
  #verifySegmentEnd(
    incompleteBytes: number,
    place: { segment: string; line: number },
    isLast: boolean,
  ): void {
    if (incompleteBytes === 0) return;
    const { findings } = this.#parts;
    if (incompleteBytes > lineBytesMax) {
      const detail = `a line of more than ${lineBytesMax} bytes: the rest of the segment is not read`;
      findings.add({ class: "malformed", place, detail });
    } else if (isLast) {
      this.#incompleteBytes = incompleteBytes;
    } else {
      const detail = `the segment ends within a line, after ${incompleteBytes} bytes of it`;
      findings.add({ class: "truncated", place, detail });
    }
  }

  #onSize(size: number, last: ScannedLine | undefined): void {
    if (size !== this.#sizes[this.#sizesDone]) return;
    const lastKind = last?.kind;
    this.#sizesDone++;
    const { tree } = this.#walk;
    this.#reached.push({ size, root: tree.root(), lastKind });
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
    const { findings, published, source } = this.#parts;
    if (this.#keptSizes.has(size)) {
      const { origin } = published;
      const kept = await readKept(source.bucket, size, { origin, findings });
      if (kept !== undefined) yield kept;
    }
    if (published.local?.checkpoint.size === size) yield published.local;
    if (published.bucket?.checkpoint.size === size) yield published.bucket;
  }

  /** Checkpoints of a log that was longer than this one. */
  async verifyReach(): Promise<void> {
    const { findings, published } = this.#parts;
    verifyPresence(published, findings);
    const logSize = this.#walk.expectedIndex;
    const { local } = published;
    const isLogWhole = findings.total === 0 && (local?.checkpoint.size ?? 0) <= logSize;
    for (const size of this.#sizes.slice(this.#sizesDone)) {
      // Behind more missing records than the tree was filled up with: the gap says it.
      if (size <= logSize) continue;
      for await (const file of this.#checkpointsOf(size)) {
        this.#checkpoints.verifyBeyond(file, logSize, isLogWhole);
      }
    }
  }

  async verifyTiles(): Promise<void> {
    const { findings, published } = this.#parts;
    this.#checkpoints.settle();
    verifyLocalReach(published, this.#checkpoints.coveredSize, findings);
    const mismatched = new Set(
      this.#checkpoints.mismatched.map(({ checkpoint }) => checkpoint.size),
    );
    const { size: treeSize } = this.#walk.tree;
    await this.#tiles.settle(({ size }) => size <= treeSize && !mismatched.has(size));
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
      newestSeal: this.#walk.system.newestSeal,
      unknownMacs: this.#walk.unknownMacs,
      uncheckedTips: this.#walk.system.uncheckedTips,
      incompleteBytes: this.#incompleteBytes,
      unchecked: [...this.#checkpoints.unchecked, ...uncheckedBucket(published)],
      recoveries: this.#walk.system.recoveries,
    });
  }
}

function keysOf(options: VerifyOptions, digest: Uint8Array): ChainKeySource | undefined {
  return options.chainKey === undefined ? undefined : chainKeySource(options.chainKey, digest);
}

function storesOf(parts: VerificationParts): CheckedStore[] {
  const { published, source } = parts;
  const stores: CheckedStore[] = [];
  if (published.local !== undefined) {
    const { size, root } = published.local.checkpoint;
    stores.push({ name: "", store: source, keepsPartials: false, size, root });
  }
  if (published.bucket !== undefined && source.bucket !== undefined) {
    const { size, root } = published.bucket.checkpoint;
    stores.push({ name: "bucket/", store: source.bucket, keepsPartials: true, size, root });
  }
  return stores;
}
