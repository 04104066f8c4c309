/**
 * The Merkle tree of RFC 6962 section 2.1: hashes, the compact right edge of a growing tree, and
 * inclusion and consistency proofs with their verification (RFC 9162 section 2.1.3.2, 2.1.4.2).
 */
import { sha256 } from "../bytes/sha256.ts";
import { digestBytes, equalBytes, sha256Into } from "./digest.ts";

/** First bytes of what is hashed. */
export const LEAF = 0;
export const NODE = 1;

const leafInput = Buffer.alloc(1 + digestBytes);
leafInput[0] = LEAF;
const nodeInput = Buffer.alloc(1 + 2 * digestBytes);
nodeInput[0] = NODE;

/** Any number of entries can be hashed with 2^53 as the bound of sizes: 53 levels. */
const levelsMax = 53;

export const emptyRoot: Uint8Array = sha256(new Uint8Array());

export function leafHash(entry: Uint8Array): Uint8Array {
  if (entry.length === digestBytes) {
    leafInput.set(entry, 1);
    return sha256(leafInput);
  }
  const input = Buffer.alloc(1 + entry.length);
  input.set(entry, 1);
  return sha256(input);
}

export function nodeHash(left: Uint8Array, right: Uint8Array): Uint8Array {
  nodeInput.set(left, 1);
  nodeInput.set(right, 1 + digestBytes);
  return sha256(nodeInput);
}

/** The hashes of the complete subtrees along the right edge of a tree, largest first. */
export class Frontier {
  #size = 0;
  /** Slot `level` holds the root of 2^level leaves where bit `level` of the size is set. */
  readonly #slots = Buffer.alloc(levelsMax * digestBytes);

  get size(): number {
    return this.#size;
  }

  append(leaf: Uint8Array): void {
    const slots = this.#slots;
    let level = 0;
    let rest = this.#size;
    nodeInput.set(leaf, 1 + digestBytes);
    while (rest % 2 === 1) {
      slots.copy(nodeInput, 1, level * digestBytes, (level + 1) * digestBytes);
      sha256Into(nodeInput, 1 + digestBytes, nodeInput);
      rest = (rest - 1) / 2;
      level++;
    }
    nodeInput.copy(slots, level * digestBytes, 1 + digestBytes);
    this.#size++;
  }

  root(): Uint8Array {
    let root: Uint8Array | undefined;
    for (const hash of this.hashes().toReversed()) {
      root = root === undefined ? hash : nodeHash(hash, root);
    }
    return root ?? emptyRoot;
  }

  /** Complete subtrees, largest first: as many as the size has bits set. */
  hashes(): Uint8Array[] {
    const hashes: Uint8Array[] = [];
    for (let level = levelsMax - 1; level >= 0; level--) {
      if (Math.floor(this.#size / 2 ** level) % 2 === 1) {
        const start = level * digestBytes;
        hashes.push(Uint8Array.from(this.#slots.subarray(start, start + digestBytes)));
      }
    }
    return hashes;
  }

  /** Size as 8 big-endian bytes, then `hashes()`. */
  serialise(): Uint8Array {
    const size = Buffer.alloc(8);
    size.writeBigUInt64BE(BigInt(this.#size));
    return Buffer.concat([size, ...this.hashes()]);
  }

  copy(): Frontier {
    const copy = new Frontier();
    copy.#size = this.#size;
    this.#slots.copy(copy.#slots);
    return copy;
  }

  /** @throws RangeError unless `bytes` is what `serialise` gives. */
  static parse(bytes: Uint8Array): Frontier {
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const size = view.length < 8 ? -1 : Number(view.readBigUInt64BE());
    const hashes: Uint8Array[] = [];
    for (let at = 8; at < view.length; at += digestBytes) {
      hashes.push(view.subarray(at, at + digestBytes));
    }
    return Frontier.from(size, hashes);
  }

  /** @throws RangeError where the number or length of the hashes does not belong to `size`. */
  static from(size: number, hashes: readonly Uint8Array[]): Frontier {
    const frontier = new Frontier();
    if (!Number.isSafeInteger(size) || size < 0) throw new RangeError(`tree size ${size}`);
    let used = 0;
    for (let level = levelsMax - 1; level >= 0; level--) {
      if (Math.floor(size / 2 ** level) % 2 === 0) continue;
      const hash = hashes[used++];
      if (hash?.length !== digestBytes) throw new RangeError(`frontier of size ${size} is short`);
      frontier.#slots.set(hash, level * digestBytes);
    }
    if (used !== hashes.length) throw new RangeError(`frontier of size ${size} is long`);
    frontier.#size = size;
    return frontier;
  }
}

/**
 * Reads the root of the complete subtree of `2^level` leaves that starts at leaf `index * 2^level`.
 * Proofs ask for nothing else, so a tile store can answer every question.
 */
export type SubtreeReader = (level: number, index: number) => Promise<Uint8Array>;

/** Largest power of two below `size` (size ≥ 2), as its exponent. */
function splitLevel(size: number): number {
  let level = 0;
  while (2 ** (level + 1) < size) level++;
  return level;
}

async function subtreeRoot(start: number, size: number, read: SubtreeReader): Promise<Uint8Array> {
  const level = size === 1 ? 0 : splitLevel(size);
  const split = 2 ** level;
  if (size === 1) return read(0, start);
  if (size === 2 * split) return read(level + 1, start / size);
  const left = await read(level, start / split);
  return nodeHash(left, await subtreeRoot(start + split, size - split, read));
}

/** Root of the first `size` leaves. */
export async function rootOf(size: number, read: SubtreeReader): Promise<Uint8Array> {
  return size === 0 ? emptyRoot : subtreeRoot(0, size, read);
}

/** PATH(index, D[size]) of RFC 6962 2.1.1, leaf to root. */
export async function inclusionProof(
  index: number,
  size: number,
  read: SubtreeReader,
): Promise<Uint8Array[]> {
  if (!(index >= 0 && index < size)) {
    throw new RangeError(`leaf ${index} is outside a tree of size ${size}`);
  }
  const path: Uint8Array[] = [];
  let start = 0;
  let end = size;
  while (end - start > 1) {
    const middle = start + 2 ** splitLevel(end - start);
    if (index < middle) {
      path.push(await subtreeRoot(middle, end - middle, read));
      end = middle;
    } else {
      path.push(await subtreeRoot(start, middle - start, read));
      start = middle;
    }
  }
  return path.toReversed();
}

/** PROOF(first, D[second]) of RFC 6962 2.1.2; empty where `first` is 0 or equals `second`. */
export async function consistencyProof(
  first: number,
  second: number,
  read: SubtreeReader,
): Promise<Uint8Array[]> {
  if (!(first >= 0 && first <= second)) {
    throw new RangeError(`tree of size ${second} does not extend one of size ${first}`);
  }
  if (first === 0 || first === second) return [];
  const path: Uint8Array[] = [];
  let start = 0;
  let end = second;
  // The subtree that both trees share needs no hash of its own while it is the first tree itself.
  while (end !== first) {
    const middle = start + 2 ** splitLevel(end - start);
    if (first <= middle) {
      path.push(await subtreeRoot(middle, end - middle, read));
      end = middle;
    } else {
      path.push(await subtreeRoot(start, middle - start, read));
      start = middle;
    }
  }
  if (start > 0) path.push(await subtreeRoot(start, end - start, read));
  return path.toReversed();
}

export interface InclusionClaim {
  readonly index: number;
  readonly size: number;
  readonly root: Uint8Array;
}

/** True where `leaf` (a leaf hash) stands at `index` of the tree of `size` with `root`. */
export function verifyInclusion(
  leaf: Uint8Array,
  claim: InclusionClaim,
  path: readonly Uint8Array[],
): boolean {
  const { index, size, root } = claim;
  if (!Number.isSafeInteger(size) || !(index >= 0 && index < size)) return false;
  let node = index;
  let last = size - 1;
  let hash = leaf;
  for (const sibling of path) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      hash = nodeHash(sibling, hash);
      while (node % 2 === 0 && node !== 0) {
        node /= 2;
        last = Math.floor(last / 2);
      }
    } else {
      hash = nodeHash(hash, sibling);
    }
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && equalBytes(hash, root);
}

export interface TreeHead {
  readonly size: number;
  readonly root: Uint8Array;
}

/** True where the tree `second` has the tree `first` as its beginning. */
export function verifyConsistency(
  first: TreeHead,
  second: TreeHead,
  path: readonly Uint8Array[],
): boolean {
  if (!Number.isSafeInteger(second.size) || !(first.size >= 0 && first.size <= second.size)) {
    return false;
  }
  if (first.size === second.size) return path.length === 0 && equalBytes(first.root, second.root);
  if (first.size === 0) return path.length === 0 && equalBytes(first.root, emptyRoot);
  let node = first.size - 1;
  let last = second.size - 1;
  while (node % 2 === 1) {
    node = (node - 1) / 2;
    last = Math.floor(last / 2);
  }
  const rest = [...path];
  // A first tree that is one complete subtree is its own starting hash.
  const start = node === 0 ? first.root : rest.shift();
  if (start === undefined) return false;
  return climbConsistency({ node, last, start, rest, first: first.root, second: second.root });
}

interface Climb {
  readonly node: number;
  readonly last: number;
  readonly start: Uint8Array;
  readonly rest: readonly Uint8Array[];
  readonly first: Uint8Array;
  readonly second: Uint8Array;
}

function climbConsistency(climb: Climb): boolean {
  let { node, last } = climb;
  let older = climb.start;
  let newer = climb.start;
  for (const sibling of climb.rest) {
    if (last === 0) return false;
    if (node % 2 === 1 || node === last) {
      older = nodeHash(sibling, older);
      newer = nodeHash(sibling, newer);
      while (node % 2 === 0 && node !== 0) {
        node /= 2;
        last = Math.floor(last / 2);
      }
    } else {
      newer = nodeHash(newer, sibling);
    }
    node = Math.floor(node / 2);
    last = Math.floor(last / 2);
  }
  return last === 0 && equalBytes(older, climb.first) && equalBytes(newer, climb.second);
}
