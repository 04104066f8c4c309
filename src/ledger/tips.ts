/**
 * The tips tree of a seal: one leaf per chain with its newest record. Leaves are placed by a tag
 * that only the chain's key gives, so a path shown to one tenant names no other, and each chain has
 * one possible place, so no chain can have two tips.
 *
 * Shape: a compressed binary tree over the bits of the tags (most significant first). A set of one
 * tag is its leaf; a larger set is split at the first bit in which its tags differ, and the node
 * carries that bit's number.
 */
import { sha256 } from "../bytes/sha256.ts";
import { digestBytes, hmacSha256, PREFIX, prefixedDigest } from "./digest.ts";

const prefix = Buffer.from(PREFIX.tips, "latin1");
/** First bytes of what is hashed, before the tag of a leaf and before the bit of a node. */
export const tipLeafPrefix: Uint8Array = Buffer.concat([prefix, Uint8Array.of(0)]);
export const tipNodePrefix: Uint8Array = Buffer.concat([prefix, Uint8Array.of(1)]);

/** Root where there is no chain. */
export const emptyTipsRoot: Uint8Array = prefixedDigest(PREFIX.tips);

/**
 * Place of a chain in the tips tree, from its genesis value. `chainKey` is the chain's key in the
 * epoch of its first record; later epochs do not move it.
 */
export function tipTag(chainKey: Uint8Array, genesis: Uint8Array): Uint8Array {
  return hmacSha256(chainKey, PREFIX.tips, genesis);
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
  return sha256(Buffer.concat([tipLeafPrefix, tip.tag, sequence, tip.mac]));
}

export function tipNode(bit: number, left: Uint8Array, right: Uint8Array): Uint8Array {
  return sha256(Buffer.concat([tipNodePrefix, Uint8Array.of(bit), left, right]));
}

export function bitOf(tag: Uint8Array, bit: number): number {
  return (tag[bit >> 3]! >> (7 - (bit & 7))) & 1;
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
