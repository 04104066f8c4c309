/** A ledger in a temporary directory with real files and keys. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

import { systemClock, type Clock } from "../../../src/ledger/clock.ts";
import { nodeFileSystem } from "../../../src/ledger/file-system.ts";
import { filesOn, nodeFiles, type Files } from "../../../src/ledger/files.ts";
import { openKeys, type KeyRing } from "../../../src/ledger/keys.ts";
import { openLedger, type Ledger, type LedgerOptions } from "../../../src/ledger/ledger.ts";
import { FaultySystem } from "../../support/disk/faulty-system.ts";
import { random } from "./batch.ts";
import { readRecords, type ReadRange, type StoredRecord } from "../../../src/ledger/read.ts";

export { batch, idOf } from "./batch.ts";

export const keyFolder = { files: nodeFiles, randomBytes: random };

export interface TestPlace {
  readonly directory: string;
  readonly keys: KeyRing;
}

/** Real files whose system calls can be made to fail. */
export function faultyFiles(): { readonly files: Files; readonly system: FaultySystem } {
  const system = new FaultySystem(nodeFileSystem);
  return { files: filesOn(system), system };
}

/** Removed when the test ends. */
export async function temporaryPlace(): Promise<TestPlace> {
  const root = await mkdtemp(join(tmpdir(), "spanseal-log-"));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  const keys = await openKeys(join(root, "keys"), keyFolder, { create: true });
  return { directory: join(root, "ledger"), keys };
}

const expectations = {
  mode: "soc2",
  publishTargets: [],
  sealIntervalMs: 600_000,
  softwareVersion: "0.0.0-test",
};

export type OpenOptions = Partial<LedgerOptions> & {
  readonly files?: Files;
  readonly clock?: Clock;
};

export function open(place: TestPlace, options: OpenOptions = {}): Promise<Ledger> {
  return openLedger({
    directory: place.directory,
    origin: "test.local",
    keys: place.keys,
    files: nodeFiles,
    clock: systemClock,
    randomBytes: random,
    opened: expectations,
    ...options,
    // A small window opens sooner; more than any test here fills.
    bounds: { dedupeWindowRecords: 5000, ...options.bounds },
  });
}

/** Hex ids of all action records on disk, in log order. */
export async function idsOnDisk(directory: string): Promise<string[]> {
  const ids: string[] = [];
  for await (const { head } of readRecords(directory)) {
    if (head.kind === "action") ids.push(Buffer.from(head.id).toString("hex"));
  }
  return ids;
}

export async function recordsOnDisk(
  directory: string,
  range: ReadRange = {},
): Promise<StoredRecord[]> {
  const records: StoredRecord[] = [];
  for await (const record of readRecords(directory, range)) records.push(record);
  return records;
}

export async function kindsOnDisk(directory: string): Promise<string[]> {
  const kinds: string[] = [];
  for await (const { head } of readRecords(directory)) kinds.push(head.kind);
  return kinds;
}
