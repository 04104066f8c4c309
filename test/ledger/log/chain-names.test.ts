import * as fc from "fast-check";
import { expect, test } from "vitest";

import type { ChainName } from "../../../src/audit/prepared-batch.ts";
import { ChainNames } from "../../../src/ledger/chain-names.ts";
import { encodeHead, encodeLine } from "../../../src/ledger/chain.ts";
import { scanLine, type ScannedLine } from "../../../src/ledger/line.ts";

const text = fc.string({
  unit: fc.constantFrom("a", "b", "z", "0", "9", ".", "-", "~"),
  minLength: 1,
  maxLength: 128,
});
const name: fc.Arbitrary<ChainName> = fc.record({ namespace: text, tenant: text });
const keyOf = ({ namespace, tenant }: ChainName): string => `${namespace}\n${tenant}`;

function lineOf({ namespace, tenant }: ChainName): ScannedLine {
  const [digest, half] = [Buffer.alloc(32), Buffer.alloc(16)];
  const head = encodeHead({
    bodyDigest: digest,
    group: 0,
    id: half,
    index: 0,
    key: "1:00000000",
    kind: "action",
    namespace,
    previousMac: digest,
    sequence: 1,
    tenant,
    time: "1",
    writer: half,
  });
  const line = Buffer.from(encodeLine(head, digest, undefined));
  return scanLine(line, 0, line.length - 1);
}

test("what no chain can be called is refused", () => {
  const names = new ChainNames();
  for (const wrong of ["é", "a".repeat(129), "\u0141"]) {
    expect(() => names.find({ namespace: "a", tenant: wrong })).toThrow(RangeError);
    expect(() => names.find({ namespace: wrong, tenant: "a" })).toThrow(RangeError);
  }
  expect(names.find({ namespace: "a".repeat(128), tenant: "a".repeat(128) })).toBe(-1);
});

test("names are found by text and by line, also after others were taken back, and come back packed", () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(name, fc.nat(3)), { maxLength: 300 }), (steps) => {
      const names = new ChainNames();
      const known: ChainName[] = [];
      for (const [wanted, step] of steps) {
        const slot = known.findIndex((each) => keyOf(each) === keyOf(wanted));
        expect(names.find(wanted)).toBe(slot);
        expect(names.findOf(lineOf(wanted))).toBe(slot);
        const added = slot < 0 ? names.add(wanted) : slot;
        expect(added).toBe(slot < 0 ? known.push(wanted) - 1 : slot);
        if (step > 0) continue;
        names.removeLast();
        known.pop();
      }
      const again = new ChainNames();
      again.restore(names.pack(), names.count);
      for (const each of [names, again]) {
        expect(known.map((one) => each.find(one))).toEqual([...known.keys()]);
        expect([...known.keys()].map((slot) => each.nameOf(slot))).toEqual(known);
        expect(each.count).toBe(known.length);
      }
      expect(again.pack()).toEqual(names.pack());
    }),
  );
});
