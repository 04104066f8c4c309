/**
 * The tips of all chains, kept so that a seal costs the paths that changed since the last one. There
 * may be a hundred thousand: leaves and branches are packed by number, and hashed many at a time.
 */
import { copyBytes, copyWords, dataViewOf } from "../bytes/copy.ts";
import { Sha256Lanes } from "../bytes/sha256-lanes.ts";
import { digestBytes } from "./digest.ts";
import { roomFor } from "./room.ts";
import { bitOf, emptyTipsRoot, tipLeafPrefix, tipNodePrefix, type TipStep } from "./tips.ts";

/** A leaf by its number, a branch by the complement of its own. */
type Reference = number;

const sequenceBytes = 8;
const leafBytes = digestBytes + sequenceBytes + digestBytes;
const nodeBytes = 1 + 2 * digestBytes;
const hashedAtOnce = 256;
const leafHashes = new Sha256Lanes(tipLeafPrefix, leafBytes, hashedAtOnce);
const nodeHashes = new Sha256Lanes(tipNodePrefix, nodeBytes, hashedAtOnce);
const leafMessages = dataViewOf(leafHashes.messages);
const leafDigests = dataViewOf(leafHashes.digests);
const nodeMessages = dataViewOf(nodeHashes.messages);
const nodeDigests = dataViewOf(nodeHashes.digests);

export class TipsTree {
  #size = 0;
  #branchCount = 0;
  #root: Reference = 0;
  /** By leaf: what is hashed, and the hash. */
  readonly #leaves = new Packed(leafBytes);
  readonly #leafHashes = new Packed(digestBytes);
  #isLeafStale: Uint8Array = new Uint8Array(1);
  #staleLeaves: number[] = [];
  /** By leaf and by branch: the branch that it is a side of, -1 above all others. */
  #leafParents: Int32Array = new Int32Array(1);
  #branchParents: Int32Array = new Int32Array(1);
  /** By branch: the bit that it splits, its two sides, its hash. Above a stale one all are. */
  #bits: Uint8Array = new Uint8Array(1);
  #sides: Int32Array = new Int32Array(2);
  readonly #branchHashes = new Packed(digestBytes);
  #isBranchStale: Uint8Array = new Uint8Array(1);

  /** Number of chains. */
  get size(): number {
    return this.#size;
  }

  /** Number of the leaf with that tag; where there was none it has no record yet. */
  leafOf(tag: Uint8Array): number {
    const near = this.#size === 0 ? -1 : this.#leafTowards(tag);
    const bit = near < 0 ? 0 : this.#differingBit(near, tag);
    if (bit < 0) return near;
    const leaf = near < 0 ? this.#addLeaf(tag) : this.#insert(tag, bit);
    this.#spoil(leaf);
    return leaf;
  }

  /** The leaf's tip from here on: the number of its newest record, and its MAC at `macs[macAt]`. */
  // oxlint-disable-next-line max-params -- a place in bytes, on the hot path
  update(leaf: number, sequence: number, macs: Uint8Array, macAt: number = 0): void {
    const at = leaf * leafBytes + digestBytes;
    const { bytes, words } = this.#leaves;
    words.setUint32(at, Math.floor(sequence / 2 ** 32));
    words.setUint32(at + 4, sequence % 2 ** 32);
    const macTo = at + sequenceBytes;
    copyBytes(macs, macAt, bytes, macTo, digestBytes);
    this.#spoil(leaf);
  }

  /** Its hash and those above it are to be made anew. */
  #spoil(leaf: number): void {
    if (this.#isLeafStale[leaf] === 1) return;
    this.#isLeafStale[leaf] = 1;
    this.#staleLeaves.push(leaf);
    let branch = this.#leafParents[leaf]!;
    while (branch >= 0 && this.#isBranchStale[branch] === 0) {
      this.#isBranchStale[branch] = 1;
      branch = this.#branchParents[branch]!;
    }
  }

  #addLeaf(tag: Uint8Array): number {
    const leaf = this.#size++;
    this.#leaves.reserve(this.#size);
    this.#leafHashes.reserve(this.#size);
    this.#isLeafStale = roomFor(this.#isLeafStale, this.#size);
    this.#leafParents = roomFor(this.#leafParents, this.#size);
    this.#leaves.bytes.set(tag, leaf * leafBytes);
    this.#leafParents[leaf] = -1;
    return leaf;
  }

  #leafTowards(tag: Uint8Array): number {
    let reference = this.#root;
    while (reference < 0) reference = this.#sideOf(~reference, tag);
    return reference;
  }

  #sideOf(branch: number, tag: Uint8Array): Reference {
    return this.#sides[2 * branch + bitOf(tag, this.#bits[branch]!)]!;
  }

  /** First bit in which a leaf's tag differs; -1 where they are equal. */
  #differingBit(leaf: number, tag: Uint8Array): number {
    const { bytes } = this.#leaves;
    const start = leaf * leafBytes;
    for (let at = 0; at < digestBytes; at++) {
      const difference = bytes[start + at]! ^ tag[at]!;
      if (difference !== 0) return at * 8 + Math.clz32(difference) - 24;
    }
    return -1;
  }

  #insert(tag: Uint8Array, bit: number): number {
    let parent = -1;
    let reference = this.#root;
    while (reference < 0 && this.#bits[~reference]! < bit) {
      parent = ~reference;
      reference = this.#sideOf(parent, tag);
    }
    const leaf = this.#addLeaf(tag);
    const branch = this.#addBranch(bit, parent);
    const side = bitOf(tag, bit);
    this.#adopt(branch, side, leaf);
    this.#adopt(branch, 1 - side, reference);
    if (parent < 0) this.#root = ~branch;
    else this.#sides[2 * parent + bitOf(tag, this.#bits[parent]!)] = ~branch;
    return leaf;
  }

  #adopt(branch: number, side: number, child: Reference): void {
    this.#sides[2 * branch + side] = child;
    if (child < 0) this.#branchParents[~child] = branch;
    else this.#leafParents[child] = branch;
  }

  #addBranch(bit: number, parent: number): number {
    const branch = this.#branchCount++;
    this.#bits = roomFor(this.#bits, this.#branchCount);
    this.#isBranchStale = roomFor(this.#isBranchStale, this.#branchCount);
    this.#branchHashes.reserve(this.#branchCount);
    this.#sides = roomFor(this.#sides, 2 * this.#branchCount);
    this.#branchParents = roomFor(this.#branchParents, this.#branchCount);
    this.#bits[branch] = bit;
    this.#branchParents[branch] = parent;
    return branch;
  }

  root(): Uint8Array {
    if (this.#size === 0) return emptyTipsRoot;
    this.#hashLeaves();
    this.#hashBranches();
    return Uint8Array.from(this.#hashOf(this.#root));
  }

  #hashOf(reference: Reference): Uint8Array {
    const [hashes, number] =
      reference < 0 ? [this.#branchHashes, ~reference] : [this.#leafHashes, reference];
    return hashes.bytes.subarray(number * digestBytes, (number + 1) * digestBytes);
  }

  #hashLeaves(): void {
    const stale = this.#staleLeaves;
    for (let from = 0; from < stale.length; from += hashedAtOnce) {
      const count = Math.min(hashedAtOnce, stale.length - from);
      for (let place = 0; place < count; place++) {
        const start = stale[from + place]! * leafBytes;
        const to = place * leafHashes.stride + leafHashes.payloadAt;
        copyWords(this.#leaves.words, start, leafMessages, to, leafBytes);
      }
      leafHashes.digest(count);
      for (let place = 0; place < count; place++) {
        const leaf = stale[from + place]!;
        const to = leaf * digestBytes;
        copyWords(leafDigests, place * digestBytes, this.#leafHashes.words, to, digestBytes);
        this.#isLeafStale[leaf] = 0;
      }
    }
    this.#staleLeaves = [];
  }

  /** Row by row, each made of those below it. */
  #hashBranches(): void {
    const rows: number[][] = [];
    this.#collectStale(this.#root, rows);
    for (const row of rows) {
      for (let from = 0; from < row.length; from += hashedAtOnce) {
        this.#hashSome(row, from, Math.min(from + hashedAtOnce, row.length));
      }
    }
  }

  /** Answers how many rows the stale branches from there on have; depth is at most that of a tag. */
  #collectStale(reference: Reference, rows: number[][]): number {
    const branch = ~reference;
    if (branch < 0 || this.#isBranchStale[branch] === 0) return 0;
    const left = this.#collectStale(this.#sides[2 * branch]!, rows);
    const right = this.#collectStale(this.#sides[2 * branch + 1]!, rows);
    const row = Math.max(left, right);
    (rows[row] ??= []).push(branch);
    return row + 1;
  }

  #hashSome(branches: readonly number[], from: number, end: number): void {
    for (let place = from; place < end; place++) {
      const branch = branches[place]!;
      const to = (place - from) * nodeHashes.stride + nodeHashes.payloadAt;
      nodeHashes.messages[to] = this.#bits[branch]!;
      this.#copyHash(to + 1, this.#sides[2 * branch]!);
      this.#copyHash(to + 1 + digestBytes, this.#sides[2 * branch + 1]!);
    }
    nodeHashes.digest(end - from);
    for (let place = from; place < end; place++) {
      const branch = branches[place]!;
      const digestAt = (place - from) * digestBytes;
      copyWords(nodeDigests, digestAt, this.#branchHashes.words, branch * digestBytes, digestBytes);
      this.#isBranchStale[branch] = 0;
    }
  }

  /** Into the messages of nodes. */
  #copyHash(at: number, reference: Reference): void {
    const { words } = reference < 0 ? this.#branchHashes : this.#leafHashes;
    const number = reference < 0 ? ~reference : reference;
    copyWords(words, number * digestBytes, nodeMessages, at, digestBytes);
  }

  /** What shows one chain's tip to its tenant; undefined where no chain has this tag. */
  path(tag: Uint8Array): TipStep[] | undefined {
    if (this.#size === 0) return undefined;
    this.root();
    const steps: TipStep[] = [];
    let reference = this.#root;
    while (reference < 0) {
      const branch = ~reference;
      const bit = this.#bits[branch]!;
      const side = bitOf(tag, bit);
      const sibling = Uint8Array.from(this.#hashOf(this.#sides[2 * branch + 1 - side]!));
      steps.push({ bit, sibling });
      reference = this.#sides[2 * branch + side]!;
    }
    return this.#differingBit(reference, tag) < 0 ? steps : undefined;
  }
}

/** Values of some bytes each, by number. */
class Packed {
  readonly #valueBytes: number;
  bytes: Uint8Array;
  words: DataView;

  constructor(valueBytes: number) {
    this.#valueBytes = valueBytes;
    this.bytes = new Uint8Array(valueBytes);
    this.words = dataViewOf(this.bytes);
  }

  reserve(count: number): void {
    const bytes = roomFor(this.bytes, count * this.#valueBytes);
    if (bytes === this.bytes) return;
    this.bytes = bytes;
    this.words = dataViewOf(bytes);
  }
}
