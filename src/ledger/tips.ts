/**
 * The tips tree of a seal: one leaf per chain with its newest record. Leaves are placed by a tag
 * that only the chain's key gives, so a path shown to one tenant names no other, and each chain has
 * one possible place, so no chain can have two tips.
 *
 * Shape: a compressed binary tree over the bits of the tags (most significant first). A set of one
 * tag is its leaf; a larger set is split at the first bit in which its tags differ, and the node
 * carries that bit's number. One change touches one path.
 */
import type { ChainName } from "../audit/prepared-batch.ts";
import { genesisMac } from "./chain.ts";
import { digestBytes, hmacSha256, PREFIX, prefixedDigest, sha256 } from "./digest.ts";

const prefix = Buffer.from(PREFIX.tips, "latin1");
const LEAF = 0;
const NODE = 1;

/** Root where there is no chain. */
export const emptyTipsRoot: Uint8Array = prefixedDigest(PREFIX.tips);

/**
 * Place of a chain in the tips tree. `chainKey` is the chain's key in the epoch of its first
 * record; later epochs do not move it.
 */
export function tipTag(
  chainKey: Uint8Array,
  descriptorDigest: Uint8Array,
  chain: ChainName,
): Uint8Array {
  return hmacSha256(chainKey, PREFIX.tips, genesisMac(descriptorDigest, chain));
}

export interface Tip {
  readonly tag: Uint8Array;
  /** Sequence of the newest record: the number of records in the chain. */
  readonly sequence: number;
  /** MAC of the newest record. */
  readonly mac: Uint8Array;
}

export function tipLeaf(tip: Tip): Uint8Array {
  const sequence = Buffer.alloc(8);
  sequence.writeBigUInt64BE(BigInt(tip.sequence));
  return sha256(Buffer.concat([prefix, Uint8Array.of(LEAF), tip.tag, sequence, tip.mac]));
}

const nodeInput = Buffer.alloc(prefix.length + 2 + 2 * digestBytes);
nodeInput.set(prefix);
nodeInput[prefix.length] = NODE;

export function tipNode(bit: number, left: Uint8Array, right: Uint8Array): Uint8Array {
  const at = prefix.length + 1;
  nodeInput[at] = bit;
  nodeInput.set(left, at + 1);
  nodeInput.set(right, at + 1 + digestBytes);
  return sha256(nodeInput);
}

function bitOf(tag: Uint8Array, bit: number): number {
  return (tag[bit >> 3]! >> (7 - (bit & 7))) & 1;
}

/** First bit in which two tags differ; -1 where they are equal. */
function differingBit(left: Uint8Array, right: Uint8Array): number {
  for (let at = 0; at < digestBytes; at++) {
    const difference = left[at]! ^ right[at]!;
    if (difference !== 0) return at * 8 + Math.clz32(difference) - 24;
  }
  return -1;
}

interface Leaf {
  readonly tag: Uint8Array;
  hash: Uint8Array;
}

interface Branch {
  readonly bit: number;
  left: TreeNode;
  right: TreeNode;
  /** Undefined after a change below, until the root is asked for. */
  hash: Uint8Array | undefined;
}

type TreeNode = Leaf | Branch;

/** The tips of all chains, kept so that a seal costs the paths that changed since the last one. */
export class TipsTree {
  #root: TreeNode | undefined;
  #size = 0;

  /** Number of chains. */
  get size(): number {
    return this.#size;
  }

  set(tip: Tip): void {
    const leaf: Leaf = { tag: tip.tag, hash: tipLeaf(tip) };
    if (this.#root === undefined) {
      this.#root = leaf;
      this.#size = 1;
      return;
    }
    const bit = differingBit(nearestLeaf(this.#root, tip.tag).tag, tip.tag);
    if (bit === -1) this.#update(leaf);
    else this.#insert(leaf, bit);
  }

  #update(leaf: Leaf): void {
    let node = this.#root!;
    while ("bit" in node) {
      node.hash = undefined;
      node = bitOf(leaf.tag, node.bit) === 0 ? node.left : node.right;
    }
    node.hash = leaf.hash;
  }

  #insert(leaf: Leaf, bit: number): void {
    let parent: Branch | undefined;
    let node = this.#root!;
    while ("bit" in node && node.bit < bit) {
      node.hash = undefined;
      parent = node;
      node = bitOf(leaf.tag, node.bit) === 0 ? node.left : node.right;
    }
    const [left, right] = bitOf(leaf.tag, bit) === 0 ? [leaf, node] : [node, leaf];
    const branch: Branch = { bit, left, right, hash: undefined };
    if (parent === undefined) this.#root = branch;
    else if (parent.left === node) parent.left = branch;
    else parent.right = branch;
    this.#size++;
  }

  root(): Uint8Array {
    return this.#root === undefined ? emptyTipsRoot : hashOf(this.#root);
  }

  /** What shows one chain's tip to its tenant; undefined where no chain has this tag. */
  path(tag: Uint8Array): TipStep[] | undefined {
    const steps: TipStep[] = [];
    let node = this.#root;
    if (node === undefined) return undefined;
    while ("bit" in node) {
      const goesLeft: boolean = bitOf(tag, node.bit) === 0;
      steps.push({ bit: node.bit, sibling: hashOf(goesLeft ? node.right : node.left) });
      node = goesLeft ? node.left : node.right;
    }
    return differingBit(node.tag, tag) === -1 ? steps : undefined;
  }
}

/** One node on the way from the root to a leaf. */
export interface TipStep {
  readonly bit: number;
  readonly sibling: Uint8Array;
}

/** True where `tip` is the only tip that the tree with `root` can show for its tag. */
export function verifyTip(tip: Tip, steps: readonly TipStep[], root: Uint8Array): boolean {
  let hash = tipLeaf(tip);
  let below = digestBytes * 8;
  for (const { bit, sibling } of steps.toReversed()) {
    if (!(bit >= 0 && bit < below)) return false;
    below = bit;
    const goesLeft = bitOf(tip.tag, bit) === 0;
    hash = goesLeft ? tipNode(bit, hash, sibling) : tipNode(bit, sibling, hash);
  }
  return Buffer.compare(hash, root) === 0;
}

function nearestLeaf(root: TreeNode, tag: Uint8Array): Leaf {
  let node = root;
  while ("bit" in node) node = bitOf(tag, node.bit) === 0 ? node.left : node.right;
  return node;
}

/** Depth is bounded by the 256 bits of a tag. */
function hashOf(node: TreeNode): Uint8Array {
  if (!("bit" in node)) return node.hash;
  node.hash ??= tipNode(node.bit, hashOf(node.left), hashOf(node.right));
  return node.hash;
}
