import { createHash } from "node:crypto";
import * as fc from "fast-check";
import { expect, test } from "vitest";

import { TreeEdge } from "../../../src/ledger/tree.ts";
import { tilesOf, tilePath } from "../../../src/ledger/tile.ts";
import { plainRoot } from "./plain-tree.ts";

const hashOf = (value: number): Buffer => createHash("sha256").update(`${value}`).digest();
const entries = Buffer.concat(Array.from({ length: 700 }, (_, at) => hashOf(at)));

test("has the root and the tiles of the tree at every size, also after it was stored", () => {
  const hashes: Buffer[] = [];
  let edge = new TreeEdge();
  const paths = new Set<string>();
  for (let size = 1; size <= 700; size++) {
    const entry = entries.subarray((size - 1) * 32, size * 32);
    hashes.push(createHash("sha256").update(Buffer.of(0)).update(entry).digest());
    edge.append(entry, 1);
    expect(size % 3 > 0 || plainRoot(hashes).equals(edge.root())).toBe(true);
    for (const { path } of edge.takeFinished()) paths.add(path);
    const partial = edge.partialTiles().map(({ path }) => path);
    const expected = [...tilesOf(size)].map((tile) => tilePath(tile));
    expect([...paths, ...partial].toSorted()).toEqual(expected.toSorted());
    if (size % 37 === 0) edge = TreeEdge.parse(size, edge.serialise());
  }
});

test("does not care how many leaves come at a time", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 300 }), { maxLength: 6 }), (counts) => {
      const one = new TreeEdge();
      const many = new TreeEdge();
      for (const count of counts) {
        const some = entries.subarray(0, count * 32);
        many.append(some, count);
        for (let at = 0; at < count; at++) {
          one.append(some.subarray(at * 32, at * 32 + 32), 1);
        }
      }
      expect(many.root()).toEqual(one.root());
      expect(many.takeFinished()).toEqual(one.takeFinished());
      expect(many.partialTiles()).toEqual(one.partialTiles());
    }),
    { numRuns: 20 },
  );
});

test("refuses an edge of another size", () => {
  const edge = new TreeEdge();
  edge.append(entries, 300);
  expect(() => TreeEdge.parse(299, edge.serialise())).toThrow(RangeError);
  expect(() => TreeEdge.parse(301, edge.serialise())).toThrow(RangeError);
});
