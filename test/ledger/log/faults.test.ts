/**
 * Every operation on the disk of a whole life of a ledger (creation, commits, rotation, checkpoint,
 * state, close) fails once in each way; afterwards every acknowledged record is there, in order and
 * verified, and the ledger is writing again.
 */
import { cp, mkdir } from "node:fs/promises";
import { expect, test } from "vitest";

import type { Ledger } from "../../../src/ledger/ledger.ts";
import { checkLog } from "../check-log.ts";
import { FaultyFiles, type Fault, type FaultMode } from "./faulty-files.ts";
import { batch, idOf, idsOnDisk, open, temporaryPlace, type TestPlace } from "./support.ts";

const bounds = { segmentBytesMax: 4000, storageRetryMsMin: 1 };

interface Life {
  readonly acknowledged: string[];
  readonly files: FaultyFiles;
}

/** Opens, appends until each name is acknowledged, seals twice, closes. */
async function live(place: TestPlace, life: Life, names: readonly string[]): Promise<void> {
  const { files } = life;
  const ledger = await retry(() => open(place, { files, bounds }));
  for (const [at, name] of names.entries()) {
    await retry(() =>
      ledger.append(batch(place.keys, [{ name }, { name: `${name}+`, tenant: name }])),
    );
    life.acknowledged.push(name, `${name}+`);
    if (at % 3 === 1) await retry(() => ledger.checkpoint());
  }
  await close(ledger);
}

async function close(ledger: Ledger): Promise<void> {
  // An end that fails is an unclean one; the next start says so.
  await ledger.close().catch(() => undefined);
}

async function retry<Result>(action: () => Promise<Result>): Promise<Result> {
  for (let attempt = 0; ; attempt++) {
    try {
      return await action();
    } catch (error) {
      if (attempt === 200) throw error;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }
}

const names = ["a", "b", "c"];

async function check(place: TestPlace, life: Life): Promise<void> {
  const files = new FaultyFiles();
  const ledger = await open(place, { files });
  await ledger.append(batch(place.keys, [{ name: "last" }]));
  await ledger.close();
  await checkLog(place.directory, place.keys);
  const expected = [...life.acknowledged, "last"].map((name) => idOf(name).toString("hex"));
  const stored = await idsOnDisk(place.directory);
  expect(stored.filter((id) => expected.includes(id))).toEqual(expected);
  expect(new Set(stored).size).toBe(stored.length);
}

async function countOperations(): Promise<string[]> {
  const place = await temporaryPlace();
  const life: Life = { acknowledged: [], files: new FaultyFiles() };
  await live(place, life, names);
  await check(place, life);
  return life.files.operations;
}

const atOnce = 8;

/** Runs a life for every operation that one without faults has. */
async function forEveryOperation(run: (operation: number) => Promise<void>): Promise<number> {
  const operations = await countOperations();
  for (let first = 0; first < operations.length; first += atOnce) {
    const some = [...operations.keys()].slice(first, first + atOnce);
    await Promise.all(some.map((operation) => run(operation)));
  }
  return operations.length;
}

const codes = ["EIO", "ENOSPC", "EACCES"];

test.for<FaultMode>(["failed", "persisted", "short"])("every operation %s", async (mode) => {
  const count = await forEveryOperation((operation) =>
    liveThrough({ operation, mode, code: codes[operation % codes.length]! }),
  );
  expect(count).toBeGreaterThan(30);
});

test("the process ends at every operation", async () => {
  const count = await forEveryOperation((operation) =>
    dieAt({ operation, mode: "stopped", code: "" }),
  );
  expect(count).toBeGreaterThan(30);
});

async function liveThrough(fault: Fault): Promise<void> {
  const place = await temporaryPlace();
  const life: Life = { acknowledged: [], files: new FaultyFiles() };
  life.files.fault = fault;
  await named(life, fault, async () => {
    await live(place, life, names);
    await check(place, life);
  });
}

/** What the process leaves is copied elsewhere, as the lock of this process would outlive it. */
async function dieAt(fault: Fault): Promise<void> {
  const place = await temporaryPlace();
  const life: Life = { acknowledged: [], files: new FaultyFiles() };
  life.files.fault = fault;
  await named(life, fault, async () => {
    await Promise.race([live(place, life, names), life.files.stopped]);
    const copy = { ...place, directory: `${place.directory}-after` };
    await mkdir(place.directory, { recursive: true });
    await cp(place.directory, copy.directory, { recursive: true });
    await life.files.closeAll();
    await check(copy, life);
  });
}

async function named(life: Life, fault: Fault, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (cause) {
    const name = life.files.operations[fault.operation];
    const message = `operation ${fault.operation} (${name}) ${fault.mode}: ${String(cause)}`;
    throw new Error(message, { cause });
  } finally {
    await life.files.closeAll();
  }
}
