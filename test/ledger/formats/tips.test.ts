import * as fc from "fast-check";
import { expect, test } from "vitest";

import { TipsTree } from "../../../src/ledger/tips-tree.ts";
import { emptyTipsRoot, tipLeaf, tipNode, verifyTip, type Tip } from "../../../src/ledger/tips.ts";

const tip: fc.Arbitrary<Tip> = fc.record({
  // Few distinct first bytes, so that tags share long beginnings.
  tag: fc
    .tuple(fc.constantFrom(0, 1, 128, 129), fc.uint8Array({ minLength: 31, maxLength: 31 }))
    .map(([first, rest]) => Uint8Array.from([first, ...rest])),
  sequence: fc.integer({ min: 1, max: 2 ** 40 }),
  mac: fc.uint8Array({ minLength: 32, maxLength: 32 }),
});
const tips = fc.uniqueArray(tip, {
  minLength: 1,
  maxLength: 40,
  selector: ({ tag }) => Buffer.from(tag).toString("hex"),
});

function bit(tag: Uint8Array, number: number): number {
  return (tag[number >> 3]! >> (7 - (number & 7))) & 1;
}

/** FORMAT.md rule 33, word for word. */
function definition(set: readonly Tip[]): Uint8Array {
  if (set.length === 1) return tipLeaf(set[0]!);
  for (let number = 0; ; number++) {
    const left = set.filter(({ tag }) => bit(tag, number) === 0);
    const right = set.filter(({ tag }) => bit(tag, number) === 1);
    if (left.length > 0 && right.length > 0)
      return tipNode(number, definition(left), definition(right));
  }
}

function set(tree: TipsTree, { tag, sequence, mac }: Tip): void {
  tree.update(tree.leafOf(tag), sequence, mac);
}

test("the tree has the root of its definition, in whatever order tips come and change", () => {
  fc.assert(
    fc.property(tips, fc.nat(), (all, shift) => {
      const tree = new TipsTree();
      const turned = all.map((_, at) => all[(at + shift) % all.length]!);
      for (const each of turned) {
        set(tree, { ...each, sequence: 7 });
        tree.root();
      }
      for (const each of all) set(tree, each);
      expect(tree.size).toBe(all.length);
      expect(Buffer.compare(tree.root(), definition(all))).toBe(0);
    }),
  );
  expect(Buffer.compare(new TipsTree().root(), emptyTipsRoot)).toBe(0);
});

test("a path shows one tip, and no other for the same tag", () => {
  fc.assert(
    fc.property(tips, fc.nat(), (all, at) => {
      const tree = new TipsTree();
      for (const each of all) set(tree, each);
      const shown = all[at % all.length]!;
      const path = tree.path(shown.tag)!;
      expect(verifyTip(shown, path, tree.root())).toBe(true);
      expect(verifyTip({ ...shown, sequence: shown.sequence + 1 }, path, tree.root())).toBe(false);
      const flipped = Uint8Array.from(shown.tag, (byte, place) => (place === 31 ? byte ^ 1 : byte));
      expect(tree.path(flipped)).toBeUndefined();
      expect(verifyTip({ ...shown, tag: flipped }, path, tree.root())).toBe(false);
      expect(verifyTip(shown, path.toReversed(), tree.root())).toBe(path.length < 2);
    }),
  );
});
