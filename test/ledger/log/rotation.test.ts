import { expect, test } from "vitest";

import { directorySource } from "../../../src/ledger/directory-source.ts";
import { addChainKey, addLogKey, publicVkeys } from "../../../src/ledger/keys.ts";
import { parseNote, parseVkey } from "../../../src/ledger/note.ts";
import { verifyLedger } from "../../../src/ledger/verify/verify.ts";
import { checkLog } from "../check-log.ts";
import { batch, keyFolder, kindsOnDisk, open, recordsOnDisk, temporaryPlace } from "./support.ts";

test("goes over to a new chain key, at once and after restarts", async () => {
  const place = await temporaryPlace();
  const ledger = await open(place);
  await ledger.append(batch([{ name: "a" }]));
  await expect(ledger.rotateChainKey(place.keys)).rejects.toMatchObject({ code: "missing_key" });
  const keys = await addChainKey(place.keys.directory, keyFolder);
  await ledger.rotateChainKey(keys);
  await ledger.append(batch([{ name: "b" }]));
  await ledger.close();
  await checkLog(place.directory, keys);
  const again = await open({ ...place, keys });
  expect(await again.append(batch([{ name: "a" }]))).toMatchObject({ repeated: 1 });
  await again.close();
  await checkLog(place.directory, keys);
  const records = await recordsOnDisk(place.directory);
  const epochs = records.map(({ head }) => head.key.split(":")[0]);
  expect(epochs.join("")).toBe("111222222");
});

test("a key that was added and not announced is not used", async () => {
  const place = await temporaryPlace();
  await (await open(place)).close();
  const keys = await addChainKey(place.keys.directory, keyFolder);
  const ledger = await open({ ...place, keys });
  await ledger.append(batch([{ name: "a" }]));
  await ledger.close();
  const report = await checkLog(place.directory, keys);
  expect(report.macs).toBe("all");
});

test("a new log key signs beside the one before it", async () => {
  const place = await temporaryPlace();
  const ledger = await open(place);
  const before = await ledger.checkpoint();
  expect(parseNote(before.note).signatures.length).toBe(1);
  const keys = await addLogKey(place.keys.directory, keyFolder);
  await ledger.rotateLogKey(keys);
  const after = await ledger.checkpoint();
  expect(parseNote(after.note).signatures.length).toBe(2);
  await ledger.close();
  await checkLog(place.directory, keys);
  const again = await open({ ...place, keys });
  await again.close();
  await checkLog(place.directory, keys);
});

test("goes over to the next key first where two were added, so that trust passes on", async () => {
  const place = await temporaryPlace();
  const ledger = await open(place);
  await addLogKey(place.keys.directory, keyFolder);
  const keys = await addLogKey(place.keys.directory, keyFolder);
  const vkeys = publicVkeys(ledger.origin, keys);
  expect(await ledger.rotateLogKey(keys)).toMatchObject({ from: vkeys[0], to: vkeys[1] });
  const { note } = await ledger.checkpoint();
  expect(parseNote(note).signatures.map(({ keyId }) => keyId)).toEqual(
    vkeys.slice(0, 2).map((vkey) => parseVkey(vkey).keyId),
  );
  expect(await ledger.rotateLogKey(keys)).toMatchObject({ from: vkeys[1], to: vkeys[2] });
  await ledger.close();
  const report = await verifyLedger(directorySource(place.directory), {
    chainKey: (epoch) => keys.chainKey(epoch),
    trusted: [parseVkey(vkeys[0]!)],
  });
  expect(report.failures).toEqual([]);
});

test("two rotations between two checkpoints lead from the first key to the last", async () => {
  const place = await temporaryPlace();
  await addLogKey(place.keys.directory, keyFolder);
  const keys = await addLogKey(place.keys.directory, keyFolder);
  for (const hasCheckpoint of [false, true]) {
    const ledger = await open({ ...place, directory: `${place.directory}-${hasCheckpoint}` });
    if (hasCheckpoint) await ledger.checkpoint();
    await ledger.rotateLogKey(keys);
    await ledger.rotateLogKey(keys);
    await ledger.close();
    const report = await verifyLedger(directorySource(ledger.directory), {
      chainKey: (epoch) => keys.chainKey(epoch),
      trusted: [parseVkey(publicVkeys(ledger.origin, keys)[0]!)],
    });
    expect([report.verdict, report.failures]).toEqual(["ok", []]);
  }
});

test("refuses chains beyond the bound, says so once, and takes the others", async () => {
  const place = await temporaryPlace();
  const ledger = await open(place, { bounds: { chainsMax: 3 } });
  await ledger.append(batch([{ name: "a" }, { name: "b", tenant: "south" }]));
  for (const tenant of ["east", "west"]) {
    const refused = ledger.append(batch([{ name: tenant, tenant }]));
    await expect(refused).rejects.toMatchObject({ code: "too_many_chains" });
  }
  await ledger.append(batch([{ name: "c", tenant: "south" }]));
  await ledger.close();
  await checkLog(place.directory, place.keys);
  const kinds = await kindsOnDisk(place.directory);
  expect(kinds.filter((kind) => kind === "chain_limit").length).toBe(1);
});

test("requests of one group may not begin more chains together than there can be", async () => {
  const place = await temporaryPlace();
  const ledger = await open(place, { bounds: { chainsMax: 4 } });
  const appends = ["a", "b", "c", "d", "a"].map((tenant, at) =>
    ledger.append(batch([{ name: `${at}`, tenant }])),
  );
  const outcomes = await Promise.allSettled(appends);
  expect(outcomes.map(({ status }) => status)).toEqual([
    "fulfilled",
    "fulfilled",
    "fulfilled",
    "rejected",
    "fulfilled",
  ]);
  expect(ledger.status().chainCount).toBe(4);
  await ledger.close();
  await checkLog(place.directory, place.keys);
});

test("refuses what no group can hold", async () => {
  const place = await temporaryPlace();
  const ledger = await open(place);
  const one = batch([{ name: "a" }]);
  const refused = ledger.append({ ...one, count: 70_000 });
  await expect(refused).rejects.toMatchObject({ code: "too_large" });
  const long = batch([{ name: "b", text: "x".repeat(16 * 1024 * 1024) }]);
  await expect(ledger.append(long)).rejects.toMatchObject({ code: "too_large" });
  await ledger.close();
  await expect(ledger.append(one)).rejects.toMatchObject({ code: "closed" });
});
