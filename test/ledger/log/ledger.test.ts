import { stat } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";

import { checkLog } from "../check-log.ts";
import { batch, idOf, idsOnDisk, kindsOnDisk, open, temporaryPlace } from "./support.ts";

test("appends, closes in order, and goes on after a restart", async () => {
  const place = await temporaryPlace();
  const first = await open(place);
  expect(first.status()).toMatchObject({ state: "open", size: 1, boot: 1 });
  const result = await first.append(batch([{ name: "a" }, { name: "b" }]));
  expect(result).toEqual({ first: 1, end: 3, appended: 2, repeated: 0, conflicts: 0 });
  await first.close();
  const report = await checkLog(place.directory, place.keys);
  expect(report).toMatchObject({ counts: { records: 5, actions: 2 } });

  const second = await open(place);
  expect(second.status()).toMatchObject({ boot: 2, start: { isClean: true, isFirst: false } });
  await second.append(batch([{ name: "c", tenant: "south" }]));
  await second.close();
  await checkLog(place.directory, place.keys);
  expect(await kindsOnDisk(place.directory)).toEqual([
    "opened",
    "action",
    "action",
    "closed",
    "seal",
    "opened",
    "action",
    "closed",
    "seal",
  ]);
  const names = ["a", "b", "c"].map((name) => idOf(name).toString("hex"));
  expect(await idsOnDisk(place.directory)).toEqual(names);
});

test("makes private files", async () => {
  const place = await temporaryPlace();
  const ledger = await open(place);
  await ledger.append(batch([{ name: "a" }]));
  await ledger.checkpoint();
  const modeOf = async (name: string): Promise<string> =>
    ((await stat(join(place.directory, name))).mode & 0o777).toString(8);
  expect(await modeOf(".")).toBe("700");
  expect(await modeOf("segments")).toBe("700");
  for (const name of ["ledger.json", "checkpoint", "lock", "state/3", "tile/0"]) {
    expect([name, await modeOf(name)]).toEqual([name, "600"]);
  }
  expect(await modeOf("segments/0000000000000000.jsonl")).toBe("600");
  await ledger.close();
});
