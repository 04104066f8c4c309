/** One copy of what a socket yields, in little more memory than came. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { Body } from "../../src/ingest/body.ts";
import { Budget } from "../../src/ingest/budget.ts";
import { Refusal } from "../../src/ingest/refusal.ts";
import { bodyAheadBytesMax } from "../../src/limits.ts";

const MIB = 1024 * 1024;

function budgetOf(inflightBytesMax: number): Budget {
  return new Budget({ requestsMax: 10, inflightBytesMax, receivingMsMin: 0 });
}

function inChunks(bytes: Buffer, sizes: readonly number[]): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0, turn = 0; at < bytes.length; turn++) {
    const size = sizes[turn % sizes.length]!;
    chunks.push(bytes.subarray(at, at + size));
    at += size;
  }
  return chunks;
}

test("however the chunks fall, the bytes are those that came, and little more is kept", () => {
  const content = Buffer.alloc(300_000, "every byte counts. ");
  const sizes = fc.array(fc.integer({ min: 1, max: 70_000 }), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(fc.nat(20_000), sizes, fc.boolean(), (size, chunkSizes, announced) => {
      const sent = content.subarray(0, size * 15);
      const budget = budgetOf(MIB);
      const body = new Body(budget.admit({ served: 0 }, 0), announced ? sent.length : Infinity);
      for (const chunk of inChunks(sent, chunkSizes)) body.push(chunk);
      const bytes = body.bytes();
      expect(sent.equals(bytes)).toBe(true);
      expect(bytes.buffer.byteLength).toBeLessThanOrEqual(2 * sent.length);
      expect(budget.bytes).toBe(sent.length);
    }),
    { numRuns: 200 },
  );
});

test("what was only announced takes no room", () => {
  const before = process.memoryUsage().arrayBuffers;
  const bodies = Array.from({ length: 10 }, () => {
    const body = new Body(budgetOf(64 * MIB).admit({ served: 0 }, 0), 64 * MIB);
    body.push(Buffer.from("a little"));
    return body;
  });
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(bodyAheadBytesMax);
  expect(bodies).toHaveLength(10);
});

test("a chunk beyond the budget is refused, and nothing of it taken", () => {
  const budget = budgetOf(100);
  const body = new Body(budget.admit({ served: 0 }, 0), Infinity);
  body.push(Buffer.alloc(60));
  expect(() => body.push(Buffer.alloc(60))).toThrow(Refusal);
  expect([body.size, budget.bytes]).toEqual([60, 60]);
});
