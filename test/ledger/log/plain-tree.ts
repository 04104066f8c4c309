/** The tree hash of RFC 6962 section 2.1, word for word: slow, and independent of the product's. */
import { createHash } from "node:crypto";

export function plainRoot(leafHashes: readonly Uint8Array[]): Buffer {
  const [first] = leafHashes;
  if (first === undefined) return createHash("sha256").digest();
  if (leafHashes.length === 1) return Buffer.from(first);
  let split = 1;
  while (split * 2 < leafHashes.length) split *= 2;
  const left = plainRoot(leafHashes.slice(0, split));
  const right = plainRoot(leafHashes.slice(split));
  return createHash("sha256").update(Buffer.of(1)).update(left).update(right).digest();
}
