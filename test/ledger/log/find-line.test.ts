import { appendFile, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, test } from "vitest";

import { contentDigest } from "../../../src/audit/content-digest.ts";
import { nodeFiles } from "../../../src/ledger/files.ts";
import { LineFinder, readEarlier } from "../../../src/ledger/find-line.ts";
import { toHex } from "../../../src/bytes/hex.ts";
import { batch, open, recordsOnDisk, temporaryPlace, type TestPlace } from "./support.ts";

/** A ledger whose records have texts of these lengths, in several segments. */
async function filled(lengths: readonly number[]): Promise<TestPlace> {
  const place = await temporaryPlace();
  const ledger = await open(place, { bounds: { segmentBytesMax: 400_000 } });
  for (const [at, length] of lengths.entries()) {
    await ledger.append(batch([{ name: `${at}`, text: "x".repeat(length) }]));
  }
  await ledger.close();
  return place;
}

test("every record is found where it is, however unequal the lines", async () => {
  const length = fc.oneof(
    { weight: 8, arbitrary: fc.nat(300) },
    { weight: 2, arbitrary: fc.integer({ min: 20_000, max: 150_000 }) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(length, { maxLength: 40 }), fc.gen(), async (lengths, gen) => {
      const { directory } = await filled(lengths);
      // What a running sidecar is still writing is not there yet.
      const newest = (await readdir(join(directory, "segments"))).toSorted().at(-1)!;
      await appendFile(join(directory, "segments", newest), '{"head":{"body_digest":"');
      const records = await recordsOnDisk(directory);
      const finder = new LineFinder(directory, nodeFiles);
      for (let probe = 0; probe < 20; probe++) {
        const index = gen(fc.nat, records.length - 1);
        const found = (await finder.find(index))!;
        const { segment, offset, lineBytes } = records[index]!;
        expect({ ...found, line: found.line.length }).toEqual({ segment, offset, line: lineBytes });
      }
      expect(await finder.find(records.length)).toBeUndefined();
    }),
    { numRuns: 8 },
  );
});

test("a record is found by few reads, and neighbours by none", async () => {
  const { directory } = await filled(Array.from({ length: 1500 }, (_, at) => 500 + (at % 90)));
  const reads: number[] = [];
  const files = {
    ...nodeFiles,
    readRange: (path: string, position: number, byteCount: number) => {
      reads.push(byteCount);
      return nodeFiles.readRange(path, position, byteCount);
    },
  };
  const finder = new LineFinder(directory, files);
  for (const index of [1201, 333, 800]) {
    reads.length = 0;
    await finder.find(index);
    expect(reads.length).toBeLessThan(4);
  }
  reads.length = 0;
  await finder.find(801);
  await finder.find(799);
  expect(reads).toEqual([]);
  const all = Array.from({ length: 1500 }, (_, at) => at);
  await readEarlier(directory, all, files);
  // About a megabyte of lines, in two segments at least.
  expect(reads.length).toBeLessThan(12);
});

test("records by index; a line that is not in its place is not taken for another", async () => {
  const { directory } = await filled([1, 2, 3, 4, 5]);
  const records = await recordsOnDisk(directory);
  const earlier = await readEarlier(directory, [4, 2, 4], nodeFiles);
  const told = (index: number): object => ({
    mac: toHex(records[index]!.mac),
    content: contentDigest(records[index]!.body!),
  });
  expect([...earlier]).toEqual([2, 4].map((index) => [index, told(index)]));
  const path = join(directory, "segments", records[0]!.segment);
  const lines = (await readFile(path, "utf8")).split("\n");
  await writeFile(path, lines.toSpliced(2, 1).join("\n"));
  const rejected = readEarlier(directory, [4], nodeFiles);
  await expect(rejected).rejects.toMatchObject({ code: "unavailable", message: /record 4/ });
});
