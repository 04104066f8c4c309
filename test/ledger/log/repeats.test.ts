import { readdir, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, test } from "vitest";

import { toHex } from "../../../src/bytes/hex.ts";
import { checkLog } from "../check-log.ts";
import { batch, idOf, idsOnDisk, open, recordsOnDisk, temporaryPlace } from "./support.ts";

test("a repeat is acknowledged, not appended, also after restarts", async () => {
  const place = await temporaryPlace();
  const { keys } = place;
  const first = await open(place);
  await first.append(batch([{ name: "a" }, { name: "b" }]));
  const again = await first.append(batch([{ name: "a" }, { name: "c" }]));
  expect(again).toMatchObject({ appended: 1, repeated: 1, conflicts: 0 });
  await first.close();

  // From the state snapshot, then from the whole log.
  for (const removed of ["none", "state"]) {
    await rm(join(place.directory, removed), { recursive: true, force: true });
    const ledger = await open(place);
    const { size } = ledger;
    const repeats = batch([{ name: "c" }, { name: "b" }, { name: "a" }]);
    expect(await ledger.append(repeats)).toMatchObject({ appended: 0, repeated: 3 });
    expect(ledger.size).toBe(size);
    expect(ledger.status().windowCount).toBe(3);
    await ledger.close();
    await checkLog(place.directory, keys);
  }
});

test("a repeat inside one batch, and of an id that is being committed", async () => {
  const place = await temporaryPlace();
  const ledger = await open(place);
  const results = await Promise.all([
    ledger.append(batch([{ name: "a" }, { name: "a" }])),
    ledger.append(batch([{ name: "a" }])),
  ]);
  expect(results.map(({ appended, repeated }) => [appended, repeated])).toEqual([
    [1, 1],
    [0, 1],
  ]);
  await ledger.close();
  expect(await idsOnDisk(place.directory)).toEqual([idOf("a").toString("hex")]);
});

test("other content under the same id is appended and names the record it contradicts", async () => {
  const place = await temporaryPlace();
  const { keys } = place;
  const ledger = await open(place);
  await ledger.append(batch([{ name: "a", text: "1" }]));
  const second = await ledger.append(batch([{ name: "a", text: "2" }]));
  expect(second).toMatchObject({ appended: 1, conflicts: 1 });
  const beside = batch([
    { name: "b", text: "1" },
    { name: "b", text: "2" },
  ]);
  expect(await ledger.append(beside)).toMatchObject({ appended: 2, conflicts: 1 });
  for (const text of ["1", "2"]) {
    const repeats = await ledger.append(batch([{ name: "a", text }]));
    expect(repeats).toMatchObject({ appended: 0, repeated: 1 });
  }
  await ledger.close();
  await checkLog(place.directory, keys);
  const records = await recordsOnDisk(place.directory, { from: 1, to: 5 });
  const nameOf = (at: number): string => toHex(records[at]!.mac);
  const contradicted = records.map(({ head }) => head.conflictOf && toHex(head.conflictOf));
  expect(contradicted).toEqual([undefined, nameOf(0), undefined, nameOf(2)]);
});

test("of many contents under one id the newest are told from each other", async () => {
  const place = await temporaryPlace();
  const ledger = await open(place);
  const texts = Array.from({ length: 9 }, (_, at) => `${at}`);
  const versions = batch(texts.map((text) => ({ name: "a", text })));
  expect(await ledger.append(versions)).toMatchObject({ appended: 9, conflicts: 8 });
  const newest = batch(texts.slice(1).map((text) => ({ name: "a", text })));
  expect(await ledger.append(newest)).toMatchObject({ appended: 0, repeated: 8 });
  // Not looked for any further: recorded once more, which loses nothing.
  const oldest = await ledger.append(batch([{ name: "a", text: "0" }]));
  expect(oldest).toMatchObject({ appended: 1, conflicts: 1 });
  await ledger.close();
  await checkLog(place.directory, place.keys);
});

test("a repeat is not acknowledged where what it repeats cannot be read", async () => {
  const place = await temporaryPlace();
  const ledger = await open(place);
  await ledger.append(batch([{ name: "a" }]));
  const [segment] = await readdir(join(place.directory, "segments"));
  const path = join(place.directory, "segments", segment!);
  const whole = await readFile(path);
  await truncate(path, whole.indexOf("\n") + 1);
  const unread = ledger.append(batch([{ name: "a" }, { name: "b" }]));
  await expect(unread).rejects.toMatchObject({ code: "unavailable", message: /record 1/ });
  await writeFile(path, whole);
  const again = await ledger.append(batch([{ name: "a" }, { name: "b" }]));
  expect(again).toMatchObject({ appended: 1, repeated: 1 });
  await ledger.close();
  await checkLog(place.directory, place.keys);
});

test("the record that is contradicted is named after a restart too, from any segment", async () => {
  const place = await temporaryPlace();
  const { keys } = place;
  const bounds = { segmentBytesMax: 3000 };
  const first = await open(place, { bounds });
  for (let at = 0; at < 20; at++) await first.append(batch([{ name: `${at}`, text: "1" }]));
  await first.close();
  // From the state snapshot, then from the whole log.
  for (const removed of ["none", "state"]) {
    await rm(join(place.directory, removed), { recursive: true, force: true });
    const ledger = await open(place, { bounds });
    const names = ["19", "0", "7"];
    const changed = batch(names.map((name) => ({ name, text: removed })));
    const newest = new Map<string, string>();
    for (const { head, mac } of await recordsOnDisk(place.directory)) {
      newest.set(toHex(head.id), toHex(mac));
    }
    const appended = await ledger.append(changed);
    expect(appended).toMatchObject({ conflicts: 3 });
    const { first: from, end: to } = appended;
    const records = await recordsOnDisk(place.directory, { from, to });
    const contradicted = records.map(({ head }) => toHex(head.conflictOf!));
    expect(contradicted).toEqual(names.map((name) => newest.get(toHex(idOf(name)))));
    await ledger.close();
    await checkLog(place.directory, keys);
  }
});

test("any interleaving of appends, checkpoints and restarts verifies and keeps one of each", async () => {
  const name = fc.constantFrom("a", "b", "c", "d", "e", "f", "g");
  const record = fc.record({ name, tenant: fc.constantFrom("north", "south") });
  const step = fc.oneof(
    { weight: 6, arbitrary: fc.array(record, { maxLength: 4 }) },
    { weight: 1, arbitrary: fc.constantFrom("checkpoint" as const, "restart" as const) },
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 12 }), async (steps) => {
      const place = await temporaryPlace();
      const bounds = { segmentBytesMax: 5000 };
      let ledger = await open(place, { bounds });
      let waiting: Promise<unknown>[] = [];
      const sent = new Set<string>();
      for (const action of steps) {
        if (action === "restart") {
          await Promise.all(waiting);
          await ledger.close();
          ledger = await open(place, { bounds });
        } else if (action === "checkpoint") waiting.push(ledger.checkpoint());
        else {
          // The tenant is part of a record's source, and so of its id.
          const records = action.map((one) => ({ ...one, name: `${one.name}/${one.tenant}` }));
          waiting.push(ledger.append(batch(records)));
          for (const one of records) sent.add(idOf(one.name).toString("hex"));
        }
        if (waiting.length > 3) {
          await Promise.all(waiting);
          waiting = [];
        }
      }
      await Promise.all(waiting);
      await ledger.close();
      await checkLog(place.directory, place.keys);
      const stored = await idsOnDisk(place.directory);
      expect(stored.toSorted()).toEqual([...sent].toSorted());
    }),
    { numRuns: 15 },
  );
});

test("a request of repeats is forwarded again only for what made no record", async () => {
  const place = await temporaryPlace();
  const forwarded: string[] = [];
  const ledger = await open(place, {
    follower: {
      stage: async (_, entries) => {
        forwarded.push(...entries.map(({ bytes }) => Buffer.from(bytes).toString()));
      },
      committed: () => undefined,
      rollBack: async () => undefined,
    },
  });
  const first = batch([{ name: "a" }]);
  await ledger.append(first);
  await ledger.append(batch([{ name: "a" }]));
  const withPlainSpan = { ...first, forward: Buffer.from("a, plain"), unrecorded: 1 };
  expect(await ledger.append(withPlainSpan)).toMatchObject({ appended: 0, repeated: 1 });
  await ledger.close();
  expect(forwarded).toEqual(["a", "a, plain"]);
});
