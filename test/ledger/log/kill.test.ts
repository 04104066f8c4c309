/** A real process under load, killed at random moments: what it acknowledged is there afterwards. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";

import { checkLog } from "../check-log.ts";
import { idOf, idsOnDisk, kindsOnDisk, open, temporaryPlace, type TestPlace } from "./support.ts";

const rounds = 3;

/** Appends without end and prints the names of each acknowledged batch. */
async function loadUntilKilled(place: TestPlace, round: number): Promise<string[]> {
  const program = fileURLToPath(import.meta.resolve("./load.ts"));
  const child = spawn(process.execPath, [
    program,
    place.directory,
    place.keys.directory,
    `${round}`,
  ]);
  const acknowledged: string[] = [];
  const errors: string[] = [];
  child.stderr.on("data", (chunk: Buffer) => errors.push(String(chunk)));
  const lines = createInterface({ input: child.stdout });
  lines.on("line", (line) => acknowledged.push(...line.split(" ")));
  await once(lines, "line");
  // Somewhere between a write, a sync and an answer; which is not ours to know.
  setTimeout(() => child.kill("SIGKILL"), 100 + Math.random() * 300);
  await once(child, "close");
  expect(errors).toEqual([]);
  return acknowledged;
}

test("killed under load", async () => {
  const place = await temporaryPlace();
  const acknowledged: string[] = [];
  for (let round = 0; round < rounds; round++) {
    acknowledged.push(...(await loadUntilKilled(place, round)));
  }
  const ledger = await open(place);
  await ledger.close();
  const report = await checkLog(place.directory, place.keys);
  expect(report.recoveries.length).toBe(rounds);
  const stored = new Set(await idsOnDisk(place.directory));
  const missing = acknowledged.filter((name) => !stored.has(idOf(name).toString("hex")));
  expect(missing).toEqual([]);
  expect(acknowledged.length).toBeGreaterThan(rounds);
  const kinds = await kindsOnDisk(place.directory);
  expect(kinds.filter((kind) => kind === "opened").length).toBe(rounds + 1);
});
