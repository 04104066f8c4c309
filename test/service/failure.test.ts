/** What is told of an error: its remedy is what it says to do, whatever else its words are. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openKeys } from "../../src/ledger/keys.ts";
import { explainError } from "../../src/service/failure.ts";
import { keyFolder, open, temporaryPlace } from "../ledger/log/support.ts";

async function told(work: Promise<unknown>): Promise<ReturnType<typeof explainError>> {
  return work.then(() => {
    throw new Error("nothing failed");
  }, explainError);
}

test("a remedy is told as one beside a cause too, and a cause is no remedy", async () => {
  const place = await temporaryPlace();
  await (await open(place)).close();
  const descriptor = join(place.directory, "ledger.json");
  writeFileSync(descriptor, readFileSync(descriptor).subarray(1));
  expect(await told(open(place))).toEqual({
    exitCode: 3,
    complaints: [
      {
        error: expect.stringMatching(/ledger\.json cannot be read \(.+\)$/),
        hint: "restore it from a backup or the bucket",
      },
    ],
  });
  const folder = `${place.directory}; move: it.all-away`;
  writeFileSync(folder, "");
  expect(await told(openKeys(folder, keyFolder, { create: false }))).toEqual({
    exitCode: 2,
    complaints: [
      {
        error: `cannot list ${folder}: it is no folder`,
        hint: "check the folder given by --keys or keys.directory, and who may read it",
      },
    ],
  });
});

test("what is wrong is told whole, a colon in it or not", async () => {
  const place = await temporaryPlace();
  await (await open(place)).close();
  const lost = await told(open(place, { known: [{ source: "a copy", size: 1000 }] }));
  expect(lost.complaints).toEqual([
    {
      error: expect.stringMatching(/1000: it was cut, damaged, or restored from an older copy$/),
      hint: "restore the newest copy, or begin a new ledger in another ledger.directory",
    },
  ]);
});
