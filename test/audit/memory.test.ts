import { expect, test } from "vitest";
import { contentDigest } from "../../src/audit/content-digest.ts";
import { MEMBERS } from "../../src/audit/members.ts";
import { nameProblem } from "../../src/audit/names.ts";
import { TraceMemory } from "../../src/audit/trace-memory.ts";

test("the memory is bounded and keeps the newer half at least", () => {
  const memory = new TraceMemory(8);
  for (let trace = 0; trace < 100; trace++) {
    memory.remember(`t${trace}`, { agent: true });
    expect(memory.size).toBeLessThanOrEqual(8);
    for (let newer = Math.max(0, trace - 3); newer <= trace; newer++) {
      expect(memory.recall(`t${newer}`)).toEqual({ agent: true });
    }
  }
  expect(memory.recall("t0")).toBeUndefined();
});

test("facts of a trace add up", () => {
  const memory = new TraceMemory();
  memory.remember("a", { agent: true });
  memory.remember("a", { agent: false, tenant: "t" });
  expect(memory.recall("a")).toEqual({ agent: true, tenant: "t" });
  expect(memory.size).toBe(1);
});

test("names that disagree are none, for good", () => {
  const memory = new TraceMemory();
  memory.remember("a", { agent: false, tenant: "first" });
  memory.remember("a", { agent: true, tenant: "second", namespace: "n" });
  expect(memory.recall("a")).toEqual({ agent: true, tenant: null, namespace: "n" });
  memory.remember("a", { agent: false, tenant: "first", namespace: "n" });
  expect(memory.recall("a")).toEqual({ agent: true, tenant: null, namespace: "n" });
});

test("the members stand in canonical order", () => {
  const paths = MEMBERS.map(({ path }) => path.split("."));
  for (let index = 1; index < paths.length; index++) {
    const before = paths[index - 1]!;
    const after = paths[index]!;
    const differ = after.findIndex((name, depth) => name !== before[depth]);
    expect([before[differ]! < after[differ]!, before, after]).toEqual([true, before, after]);
  }
});

test("the digest of a content ignores nonce, flags and time of observation only", () => {
  const of = (body: object): string => contentDigest(Buffer.from(JSON.stringify(body)));
  const body = {
    a: { nonce: "x" },
    nonce: "00",
    time: { end: "1", observed: "5" },
    x: { observed: "1" },
  };
  expect(of({ ...body, nonce: "ff" })).toBe(of(body));
  expect(of({ ...body, time: { end: "1", observed: "9" } })).toBe(of(body));
  expect(of({ ...body, time: { end: "2", observed: "5" } })).not.toBe(of(body));
  expect(of({ ...body, a: { nonce: "y" } })).not.toBe(of(body));
  expect(of({ ...body, x: { observed: "2" } })).not.toBe(of(body));
  expect(of({ ...body, nonce: "fff" })).not.toBe(of(body));
  expect(of({ kind: "seal" })).toHaveLength(64);
  const { a, ...rest } = body;
  const flagged = (flags: unknown): string => of({ a, flags, ...rest });
  for (const flags of [[], ["orphan"], ["coerced", "orphan"]]) {
    expect(flagged(flags)).toBe(of(body));
    expect(of({ ...body, attributes: { flags } })).not.toBe(of(body));
  }
  const escaped = { a: 'quote " \\', nonce: "00", time: { observed: "1" } };
  expect(of({ ...escaped, nonce: "11" })).toBe(of(escaped));
});

test.each([
  ["tenant", "acme", true],
  ["tenant", "spanseal", true],
  ["namespace", "spanseal", false],
  ["namespace", "", false],
  ["tenant", 'a"b', false],
  ["tenant", "a\\b", false],
  ["tenant", "[REDACTED:email]", true],
  ["tenant", "user@example.com/eu:1", true],
  ["tenant", "x".repeat(128), true],
  ["tenant", "x".repeat(129), false],
] as const)("%s %j is a name: %s", (kind, name, good) => {
  expect(nameProblem(kind, name) === undefined).toBe(good);
});
