import { createHash } from "node:crypto";
import { expect, test } from "vitest";

import { Chains } from "../../../src/ledger/chains.ts";
import { TipsTree } from "../../../src/ledger/tips-tree.ts";

const digest = Buffer.alloc(32, 1);
const epochKey = Buffer.alloc(32, 2);
const macOf = (text: string): Buffer => createHash("sha256").update(text).digest();
const nameOf = (tenant: number): { namespace: string; tenant: string } => ({
  namespace: "clinic",
  tenant: `${tenant}`,
});

/** One record for each tenant, in one group. */
function commit(chains: Chains, tenants: Iterable<number>, flavour: string): void {
  const macs: Buffer[] = [];
  for (const tenant of tenants) {
    const chain = chains.open(nameOf(tenant));
    chains.draft(chain);
    chains.keyAt(chain, 1, epochKey);
    chain.draftSequence++;
    chain.draftAt = macs.push(macOf(`${tenant} ${flavour}`)) - 1;
  }
  chains.apply(Buffer.concat(macs));
}

const range = (first: number, end: number): number[] =>
  Array.from({ length: end - first }, (_, at) => first + at);

/** The root as a tree has it that was told of each tip once. */
function expectedRoot(chains: Chains): Uint8Array {
  const { sequences, macs, tags } = chains.pack();
  const tree = new TipsTree();
  for (const [slot, sequence] of sequences.entries()) {
    const [start, end] = [slot * 32, slot * 32 + 32];
    tree.update(tree.leafOf(tags.subarray(start, end)), sequence, macs, start);
  }
  return tree.root();
}

test("tips that are settled in parts, while records come, have the root of all", () => {
  const chains = new Chains(digest);
  commit(chains, range(0, 9000), "first");
  let parts = 0;
  for (const part of chains.settleTips()) {
    expect(part).toBeUndefined();
    parts++;
    commit(chains, range(100 * parts, 100 * parts + 300), `part ${parts}`);
    commit(chains, range(9000 + parts, 9001 + parts), "late");
  }
  expect(parts).toBe(2);
  expect(Buffer.from(chains.tipsRoot())).toEqual(Buffer.from(expectedRoot(chains)));
  commit(chains, range(0, 5), "again");
  expect([...chains.settleTips()]).toEqual([]);
  expect(Buffer.from(chains.tipsRoot())).toEqual(Buffer.from(expectedRoot(chains)));
});

test("chains come back from what was packed of them, and go on", () => {
  const chains = new Chains(digest);
  commit(chains, range(0, 300), "first");
  commit(chains, range(10, 20), "second");
  const again = new Chains(digest);
  again.restore(chains.pack());
  expect(again.durableCount).toBe(300);
  expect(again.pack()).toEqual(chains.pack());
  for (const each of [chains, again]) commit(each, range(290, 310), "third");
  expect(again.find(nameOf(12))).toMatchObject({ sequence: 2 });
  expect(again.pack()).toEqual(chains.pack());
  expect(Buffer.from(again.tipsRoot())).toEqual(Buffer.from(chains.tipsRoot()));
});

test("a group that fails leaves no trace of the chains that it began", () => {
  const chains = new Chains(digest);
  commit(chains, range(0, 100), "first");
  const before = chains.pack();
  for (const tenant of [5, 200, 201, 6]) {
    const chain = chains.open(nameOf(tenant));
    chains.draft(chain);
    chain.draftSequence++;
    chain.draftAt = 0;
  }
  chains.abandon();
  expect(chains.pack()).toEqual(before);
  expect(chains.find(nameOf(200))).toBeUndefined();
  commit(chains, [300, 5], "second");
  expect(chains.find(nameOf(300))).toMatchObject({ sequence: 1, slot: 100 });
  expect(chains.find(nameOf(5))).toMatchObject({ sequence: 2 });
});
