import { assert, constantFrom, integer, property, uint8Array } from "fast-check";
import { expect, test } from "vitest";
import { runBytesMin, Sieve, type Triple, wordsPerHit } from "../../src/audit/redact/sieve.ts";

const triples: readonly Triple[] = [
  ["a", "b", "c"],
  ["\x00", "\xff\x80", "a"],
  ["@:", "@", "0"],
  ...Array.from({ length: 13 }, (_, at): Triple => [String.fromCharCode(65 + at), "z", "zZ"]),
];
const run = "0123456789 .-\x80\xe2";
const sieve = new Sieve(triples, run);

/** What the sieve says about `bytes`, as offsets. */
function found(bytes: Uint8Array): { triples: Set<number>; runs: Set<number> } {
  const result = { triples: new Set<number>(), runs: new Set<number>() };
  sieve.pass(bytes, (hits, base) => {
    for (let hit = 0; hit < hits; hit++) {
      const block = base + sieve.hits[wordsPerHit * hit]!;
      const mask = sieve.hits[wordsPerHit * hit + 1]!;
      for (let bit = 0; bit < 16; bit++) {
        if (((mask >>> bit) & 1) === 1) result.triples.add(block + bit);
        if (((mask >>> (16 + bit)) & 1) === 1) result.runs.add(block + bit - runBytesMin + 1);
      }
    }
  });
  return result;
}

/** The same, told byte by byte. */
function expected(bytes: Uint8Array): { triples: number[]; runs: number[] } {
  const at = (offset: number): string => String.fromCharCode(bytes[offset] ?? 0);
  const offsets = [...bytes.keys()];
  const isTriple = (offset: number): boolean =>
    triples.some((triple) => triple.every((side, place) => side.includes(at(offset + place))));
  const isRun = (offset: number): boolean =>
    offset + runBytesMin <= bytes.length &&
    Array.from({ length: runBytesMin }, (_, more) => at(offset + more)).every((one) =>
      run.includes(one),
    );
  return { triples: offsets.filter(isTriple), runs: offsets.filter(isRun) };
}

/** Bytes that the classes are made of, and a few others. */
const text = uint8Array({ maxLength: 300 }).map((bytes) =>
  bytes.map((byte) => Buffer.from("abc\x00\xff\x80@:0123 .-\xe2ABzZ~", "latin1")[byte % 24]!),
);
/** Offsets around which a chunk of the sieve begins. */
const before = constantFrom(0, 1, 15, 16, 65_530, 65_535, 65_536, 131_070);

test("finds every triple and exactly the runs, also across blocks and chunks", () => {
  assert(
    property(text, before, integer({ min: 0, max: 20 }), (bytes, gap, more) => {
      const whole = new Uint8Array(gap + more + bytes.length).fill(0x7e);
      whole.set(bytes, gap + more);
      const { triples: those, runs } = found(whole);
      const exact = expected(bytes);
      const offset = gap + more;
      for (const one of exact.triples) expect(those).toContain(one + offset);
      expect([...runs]).toEqual(exact.runs.map((one) => one + offset));
    }),
    { numRuns: 600 },
  );
});

test("nothing is left from one pass to the next", () => {
  found(Buffer.from("abc 0123456789".repeat(10)));
  expect(found(Buffer.from("x"))).toEqual({ triples: new Set(), runs: new Set() });
  expect(found(new Uint8Array(0))).toEqual({ triples: new Set(), runs: new Set() });
});
