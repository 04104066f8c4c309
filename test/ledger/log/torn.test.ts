/** What a power cut leaves of the last group, byte by byte and page by page. */
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, test } from "vitest";

import { nodeFiles } from "../../../src/ledger/files.ts";
import { checkLog } from "../check-log.ts";
import {
  batch,
  idOf,
  idsOnDisk,
  open,
  recordsOnDisk,
  temporaryPlace,
  type TestPlace,
} from "./support.ts";
import { cp, rm } from "node:fs/promises";

const segment = "segments/0000000000000000.jsonl";

interface Stopped {
  readonly place: TestPlace;
  readonly bytes: Buffer;
  /** Where the last group begins. */
  readonly lastGroup: number;
}

/** A ledger as a killed process leaves it: an early group, then a last one of several records. */
async function stopped(): Promise<Stopped> {
  const place = await temporaryPlace();
  const ledger = await open(place);
  await ledger.append(batch([{ name: "early" }]));
  const path = join(place.directory, segment);
  const lastGroup = (await readFile(path)).length;
  await ledger.append(batch([{ name: "x" }, { name: "y" }, { name: "z" }]));
  const bytes = await readFile(path);
  const copy = { ...place, directory: `${place.directory}-stopped` };
  await cp(place.directory, copy.directory, { recursive: true });
  await ledger.close();
  return { place: copy, bytes, lastGroup };
}

/** Opens the ledger with `bytes` as its segment; returns the ids in the log and what was set aside. */
async function recover(from: Stopped, bytes: Buffer): Promise<{ ids: string[]; aside: Buffer }> {
  const directory = `${from.place.directory}-${Math.random()}`;
  await cp(from.place.directory, directory, { recursive: true });
  await writeFile(join(directory, segment), bytes);
  const place = { ...from.place, directory };
  const ledger = await open(place);
  await ledger.append(batch([{ name: "x" }, { name: "later" }]));
  await ledger.close();
  const report = await checkLog(directory, place.keys);
  expect(report.recoveries.length).toBe(1);
  const quarantine = join(directory, "quarantine");
  const parts = await Promise.all(
    (await readdir(quarantine)).map((name) => readFile(join(quarantine, name))),
  );
  const aside = Buffer.concat(parts);
  const stated = report.recoveries[0]!.discardedBytes;
  expect(stated).toBe(aside.length);
  const ids = await idsOnDisk(directory);
  await rm(directory, { recursive: true });
  return { ids, aside };
}

const hex = (...names: string[]): string[] => names.map((name) => idOf(name).toString("hex"));

test("a last group that ends at any byte", async () => {
  const from = await stopped();
  const { bytes, lastGroup } = from;
  const starts = [...bytes.keys()].filter((at) => at === 0 || bytes[at - 1] === 0x0a);
  // Every byte around the lines' ends, and some between them.
  const isNear = (at: number): boolean => starts.some((start) => Math.abs(start - at) < 2);
  const cuts = [...bytes.keys(), bytes.length].filter(
    (at) => at >= lastGroup && (isNear(at) || at % 401 === 0 || at === bytes.length),
  );
  for (const cut of cuts) {
    const { ids, aside } = await recover(from, bytes.subarray(0, cut));
    const whole = starts.filter((start) => start > lastGroup && start <= cut).length;
    const kept = cut === bytes.length ? 3 : whole;
    const first = ["x", "y", "z"].slice(0, kept);
    expect(ids).toEqual(hex("early", ...first, ...(kept > 0 ? [] : ["x"]), "later"));
    expect(aside.length).toBe(kept === 3 ? 0 : cut - lastWhole(bytes, cut));
  }
});

function lastWhole(bytes: Buffer, cut: number): number {
  return bytes.subarray(0, cut).lastIndexOf(0x0a) + 1;
}

test("pages of the last group that were never written", async () => {
  const from = await stopped();
  const { bytes, lastGroup } = from;
  const page = fc.record({
    start: fc.integer({ min: lastGroup, max: bytes.length - 1 }),
    length: fc.integer({ min: 1, max: 600 }),
    fill: fc.constantFrom(0, 0xff, 0x41),
  });
  await fc.assert(
    fc.asyncProperty(fc.array(page, { minLength: 1, maxLength: 3 }), async (pages) => {
      const torn = Buffer.from(bytes);
      for (const { start, length, fill } of pages)
        torn.fill(fill, start, Math.min(start + length, torn.length));
      const { ids, aside } = await recover(from, torn);
      expect(ids.slice(0, 1)).toEqual(hex("early"));
      expect(ids.at(-1)).toBe(hex("later")[0]);
      // Nothing is lost: what is not in the log any more is in the part that was set aside.
      expect(torn.subarray(torn.length - aside.length)).toEqual(aside);
    }),
    { numRuns: 10 },
  );
});

test("damage in an earlier group is refused, and nothing is changed", async () => {
  const from = await stopped();
  const { bytes, lastGroup, place } = from;
  const path = join(place.directory, segment);
  for (const at of [5, lastGroup - 400, lastGroup - 2]) {
    const damaged = Buffer.from(bytes);
    damaged[at]! ^= 1;
    await writeFile(path, damaged);
    await expect(open(place)).rejects.toMatchObject({ code: "damaged" });
    expect(await readFile(path)).toEqual(damaged);
  }
  await writeFile(path, bytes);
  await (await open(place)).close();
});

test("a record of a changed body in the last group is set aside, not taken", async () => {
  const from = await stopped();
  const torn = Buffer.from(from.bytes);
  const at = torn.lastIndexOf('"text":""');
  torn.write("!", at + 2);
  const { ids, aside } = await recover(from, torn);
  expect(ids).toEqual(hex("early", "x", "y", "later"));
  expect(aside.includes('"!ext"')).toBe(false);
  expect(aside.length).toBeGreaterThan(500);
});

test("a recovery that is cut short is finished by the next one", async () => {
  const from = await stopped();
  const { place, bytes } = from;
  await writeFile(join(place.directory, segment), bytes.subarray(0, bytes.length - 10));
  const failing = {
    ...nodeFiles,
    move: () => Promise.reject(Object.assign(new Error("EIO"), { code: "EIO", syscall: "rename" })),
  };
  await expect(open(place, { files: failing })).rejects.toMatchObject({ code: "unavailable" });
  await (await open(place)).close();
  const report = await checkLog(place.directory, place.keys);
  const records = await recordsOnDisk(place.directory);
  expect(records.filter(({ head }) => head.kind === "opened").length).toBe(3);
  expect(report.recoveries.every(({ discardedBytes }) => discardedBytes > 0)).toBe(true);
});
