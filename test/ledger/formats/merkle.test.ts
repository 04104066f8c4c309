import * as fc from "fast-check";
import { expect, test } from "vitest";

import { sha256 } from "../../../src/bytes/sha256.ts";
import {
  consistencyProof,
  emptyRoot,
  Frontier,
  inclusionProof,
  leafHash,
  nodeHash,
  rootOf,
  verifyConsistency,
  verifyInclusion,
} from "../../../src/ledger/merkle.ts";
import { subtreeReader, tilePath, type Tile } from "../../../src/ledger/tile.ts";
import { TreeEdge } from "../../../src/ledger/tree.ts";

/** RFC 6962 section 2.1, word for word. */
function definition(leaves: readonly Uint8Array[]): Uint8Array {
  if (leaves.length === 0) return emptyRoot;
  if (leaves.length === 1) return leaves[0]!;
  let split = 1;
  while (split * 2 < leaves.length) split *= 2;
  return nodeHash(definition(leaves.slice(0, split)), definition(leaves.slice(split)));
}

const entries = Array.from({ length: 600 }, (_, index) => sha256(Buffer.from(String(index))));
const leaves = entries.map((entry) => Buffer.from(leafHash(entry)));

function storedTree(size: number): { read: (tile: Tile) => Promise<Uint8Array>; root: Uint8Array } {
  const edge = new TreeEdge();
  for (const entry of entries.slice(0, size)) edge.append(entry, 1);
  const files = new Map(
    [...edge.takeFinished(), ...edge.partialTiles()].map(({ path, bytes }) => [path, bytes]),
  );
  return { read: async (tile) => files.get(tilePath(tile))!, root: edge.root() };
}

test("frontier, growing edge and the definition agree at every size", () => {
  const frontier = new Frontier();
  const edge = new TreeEdge();
  for (const [index, leaf] of leaves.slice(0, 300).entries()) {
    frontier.append(leaf);
    edge.append(entries[index]!, 1);
    const root = definition(leaves.slice(0, index + 1));
    expect(Buffer.compare(frontier.root(), root)).toBe(0);
    expect(Buffer.compare(edge.root(), root)).toBe(0);
    const again = Frontier.parse(frontier.serialise());
    expect(Buffer.compare(again.root(), root)).toBe(0);
    expect(Buffer.compare(again.serialise(), frontier.serialise())).toBe(0);
  }
  expect(() => Frontier.parse(frontier.serialise().subarray(0, -1))).toThrow(RangeError);
  expect(() => Frontier.parse(new Uint8Array(4))).toThrow(RangeError);
});

test("inclusion proofs from tiles verify, and nothing else does", async () => {
  for (const size of [1, 2, 3, 5, 8, 255, 256, 257, 300, 513, 600]) {
    const { read, root } = storedTree(size);
    const subtree = subtreeReader(size, read);
    expect(Buffer.compare(await rootOf(size, subtree), root)).toBe(0);
    for (const index of new Set(
      [0, 1, 2, size >> 1, size - 2, size - 1].filter((at) => at >= 0 && at < size),
    )) {
      const path = await inclusionProof(index, size, subtree);
      const claim = { index, size, root };
      expect(verifyInclusion(leaves[index]!, claim, path)).toBe(true);
      expect(verifyInclusion(leaves[index + 1] ?? emptyRoot, claim, path)).toBe(false);
      expect(verifyInclusion(leaves[index]!, claim, [...path, emptyRoot])).toBe(false);
      expect(verifyInclusion(leaves[index]!, { ...claim, root: emptyRoot }, path)).toBe(false);
      expect(verifyInclusion(leaves[index]!, { ...claim, index: index + 1 }, path)).toBe(false);
      expect(verifyInclusion(leaves[index]!, claim, path.slice(1))).toBe(size === 1);
    }
    await expect(inclusionProof(size, size, subtree)).rejects.toThrow(RangeError);
  }
});

test("consistency proofs verify for every pair, and nothing else does", async () => {
  const sizes = [0, 1, 2, 3, 4, 5, 7, 8, 9, 255, 256, 257, 511, 512, 600];
  for (const second of sizes) {
    const { read, root } = storedTree(second);
    for (const first of sizes.filter((size) => size <= second)) {
      const older = { size: first, root: definition(leaves.slice(0, first)) };
      const newer = { size: second, root };
      const path = await consistencyProof(first, second, subtreeReader(second, read));
      expect([first, second, verifyConsistency(older, newer, path)]).toEqual([first, second, true]);
      expect(verifyConsistency(older, newer, [...path, emptyRoot])).toBe(false);
      expect(verifyConsistency({ ...older, root: leaves[9]! }, newer, path)).toBe(false);
      const grows = first < second && first > 0;
      const wrongRoot = verifyConsistency(older, { ...newer, root: leaves[9]! }, path);
      expect(wrongRoot).toBe(first === 0 && second > 0);
      expect(verifyConsistency(older, newer, path.slice(1))).toBe(!grows);
    }
  }
});

test("wider tiles answer for smaller trees", async () => {
  const { read } = storedTree(600);
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 600 }), async (size) => {
      const widest = async (tile: Tile): Promise<Uint8Array> => {
        const count = Math.floor(600 / 256 ** (tile.level as number));
        return read({ ...tile, width: Math.min(256, count - tile.index * 256) });
      };
      const root = await rootOf(size, subtreeReader(size, widest));
      expect(Buffer.compare(root, definition(leaves.slice(0, size)))).toBe(0);
    }),
    { numRuns: 40 },
  );
});
