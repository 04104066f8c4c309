import { appendFile, chmod, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";

import { encodeHead, encodeLine } from "../../../src/ledger/chain.ts";
import { TileFiles } from "../../../src/ledger/tile-files.ts";
import type { Clock } from "../../../src/ledger/clock.ts";
import { nodeFiles, type Files } from "../../../src/ledger/files.ts";
import { inclusionProof, leafHash, verifyInclusion } from "../../../src/ledger/merkle.ts";
import { treeEntry } from "../../../src/ledger/chain.ts";
import { findRecords, listSegments, readRecord, readRecords } from "../../../src/ledger/read.ts";
import { lineSearchBytes } from "../../../src/limits.ts";
import { plainRoot } from "./plain-tree.ts";
import { batch, idOf, open, recordsOnDisk, temporaryPlace, type TestPlace } from "./support.ts";

async function filled(): Promise<TestPlace> {
  const place = await temporaryPlace();
  const ledger = await open(place, { bounds: { segmentBytesMax: 4000 } });
  for (let at = 0; at < 30; at++) {
    await ledger.append(batch([{ name: `${at}`, text: `"id":"${at}"` }]));
  }
  await ledger.close();
  return place;
}

const indexes = (records: readonly { readonly head: { readonly index: number } }[]): number[] =>
  records.map(({ head }) => head.index);

test("by index, by time, by id, whatever the segments are", async () => {
  const place = await filled();
  const all = await recordsOnDisk(place.directory);
  expect(indexes(all)).toEqual([...all.keys()]);
  expect((await listSegments(place.directory)).length).toBeGreaterThan(4);
  for (const from of all.keys()) {
    const range = { from, to: from + 3 };
    expect(indexes(await recordsOnDisk(place.directory, range))).toEqual(
      indexes(all.slice(from, from + 3)),
    );
    const fromTime = BigInt(all[from]!.head.time);
    const timed = await recordsOnDisk(place.directory, { fromTime, toTime: fromTime + 1n });
    expect(timed.map(({ head }) => head.time)).toContain(all[from]!.head.time);
    const later = await recordsOnDisk(place.directory, { fromTime: fromTime + 1n });
    expect(later.every(({ head }) => BigInt(head.time) > fromTime)).toBe(true);
  }
  expect((await readRecord(place.directory, 7))?.head.index).toBe(7);
  expect(await readRecord(place.directory, 10_000)).toBeUndefined();
  const found = [];
  for await (const record of findRecords(place.directory, idOf("12"))) found.push(record);
  expect(indexes(found)).toEqual([13]);
});

/** Counts what is read of segments. */
function countingFiles(): Files & { bytes: number } {
  const counting = {
    ...nodeFiles,
    bytes: 0,
    async readRange(path: string, position: number, byteCount: number): Promise<Uint8Array> {
      const read = await nodeFiles.readRange(path, position, byteCount);
      counting.bytes += read.length;
      return read;
    },
  };
  return counting;
}

test("a range of time or indexes is read without what lies around it", async () => {
  const place = await temporaryPlace();
  let nanoseconds = 1_790_000_000_000_000_000n;
  const clock: Clock = {
    wallUnixNano: () => nanoseconds,
    monotonicNano: () => nanoseconds,
  };
  const ledger = await open(place, { clock, bounds: { segmentBytesMax: 8 * 1024 * 1024 } });
  const text = "x".repeat(2000);
  for (let group = 0; group < 40; group++) {
    nanoseconds += 1_000_000_000n;
    const names = Array.from({ length: 200 }, (_, at) => ({ name: `${group}.${at}`, text }));
    await ledger.append(batch(names));
  }
  await ledger.close();
  const all = await recordsOnDisk(place.directory);
  expect((await listSegments(place.directory)).length).toBeGreaterThan(2);
  const groupBytes = all.slice(1, 201).reduce((sum, { lineBytes }) => sum + lineBytes + 1, 0);
  // For each boundary: one line of some segments, some blocks of one.
  const searchBytes = 2 * 16 * lineSearchBytes;
  for (const group of [0, 7, 13, 26, 39]) {
    const time = BigInt(all.at(1 + group * 200)!.head.time);
    const inside = all.filter(({ head }) => BigInt(head.time) === time && head.kind === "action");
    expect(inside).toHaveLength(200);
    for (const range of [
      { fromTime: time, toTime: time + 1n },
      { from: inside[0]!.head.index, to: inside.at(-1)!.head.index + 1 },
    ]) {
      const files = countingFiles();
      const found = await Array.fromAsync(readRecords(place.directory, range, files));
      const actions = found.filter(({ head }) => head.kind === "action");
      expect(indexes(actions)).toEqual(indexes(inside));
      expect(files.bytes).toBeLessThan(groupBytes + searchBytes);
    }
  }
  const none = countingFiles();
  const later = { fromTime: nanoseconds + 1_000_000_000n };
  expect(await Array.fromAsync(readRecords(place.directory, later, none))).toEqual([]);
  expect(none.bytes).toBeLessThan(searchBytes);
});

test("what is no line is named where it lies in the range or at its edge, and nowhere else", async () => {
  const place = await filled();
  const all = await recordsOnDisk(place.directory);
  const damaged = all[12]!;
  const path = join(place.directory, "segments", damaged.segment);
  await chmod(path, 0o600);
  const bytes = await nodeFiles.read(path);
  bytes[damaged.offset + 3] = 0x20;
  await writeFile(path, bytes);
  for (const range of [
    { from: 11, to: 13 },
    { from: 12, to: 13 },
    { from: 13, to: 14 },
  ]) {
    await expect(recordsOnDisk(place.directory, range)).rejects.toMatchObject({ code: "damaged" });
  }
  expect(indexes(await recordsOnDisk(place.directory, { from: 14, to: 16 }))).toEqual([14, 15]);
  expect(indexes(await recordsOnDisk(place.directory, { from: 9, to: 11 }))).toEqual([9, 10]);
});

test("a segment that begins with no line is found by what lies around it", async () => {
  const place = await filled();
  const all = await recordsOnDisk(place.directory);
  const [, second] = await listSegments(place.directory);
  const damaged = all[second!]!;
  const path = join(place.directory, "segments", damaged.segment);
  await chmod(path, 0o600);
  const bytes = await nodeFiles.read(path);
  bytes[3] = 0x20;
  await writeFile(path, bytes);
  const since = (from: number): ReturnType<typeof recordsOnDisk> =>
    recordsOnDisk(place.directory, { fromTime: BigInt(all[from]!.head.time) });
  await expect(since(second! - 1)).rejects.toMatchObject({ code: "damaged" });
  for (const from of [second! + 2, all.length - 1]) {
    expect(indexes(await since(from))).toContain(from);
  }
});

test("keeps the bytes: what was read encodes to the line that is there", async () => {
  const place = await filled();
  for (const record of await recordsOnDisk(place.directory)) {
    const line = encodeLine(encodeHead(record.head), record.mac, record.body);
    expect(line.length).toBe(record.lineBytes + 1);
    expect(Buffer.from(record.headBytes).toString()).toBe(encodeHead(record.head));
    const path = join(place.directory, "segments", record.segment);
    const stored = await nodeFiles.readRange(path, record.offset, line.length);
    expect(Buffer.from(stored).equals(line)).toBe(true);
  }
});

test("tolerates the incomplete last line of a running sidecar, and no other", async () => {
  const place = await filled();
  const all = await recordsOnDisk(place.directory);
  const folder = join(place.directory, "segments");
  const names = await nodeFiles.list(folder);
  await appendFile(join(folder, names.at(-1)!), '{"head":{"body_');
  expect((await recordsOnDisk(place.directory)).length).toBe(all.length);
  // Closed, and so read-only to all but root.
  await chmod(join(folder, names[1]!), 0o600);
  await truncate(join(folder, names[1]!), 500);
  await expect(recordsOnDisk(place.directory)).rejects.toMatchObject({ code: "damaged" });
  await writeFile(join(folder, names[1]!), "{}\n");
  await expect(recordsOnDisk(place.directory)).rejects.toMatchObject({ code: "damaged" });
});

test("proves every record from the local tiles, and the root of every smaller tree", async () => {
  const place = await filled();
  const all = await recordsOnDisk(place.directory);
  const size = all.length;
  const leaves = all.map(({ headBytes, mac }) => leafHash(treeEntry(headBytes, mac)));
  const tiles = new TileFiles(place.directory, nodeFiles);
  const root = await tiles.rootOf(size);
  for (const [index, leaf] of leaves.entries()) {
    const path = await inclusionProof(index, size, tiles.subtrees(size));
    expect(verifyInclusion(leaf, { index, size, root }, path)).toBe(true);
    const own = await tiles.rootOf(index + 1);
    expect(plainRoot(leaves.slice(0, index + 1)).equals(own)).toBe(true);
  }
});
