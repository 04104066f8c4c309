/** A disk that fails while the ledger is in use, and a spool that does. */
import { mkdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";

import { nodeFiles, type Files } from "../../../src/ledger/files.ts";
import type { CommitFollower, StagedEntry } from "../../../src/ledger/follower.ts";
import type { Ledger } from "../../../src/ledger/ledger.ts";
import { checkLog } from "../check-log.ts";
import { batch, faultyFiles, kindsOnDisk, open, recordsOnDisk, temporaryPlace } from "./support.ts";

const bounds = { storageRetryMsMin: 1 };

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

/** A spool in memory that keeps the follower's contract, and fails when told to. */
class TestFollower implements CommitFollower {
  readonly calls: string[] = [];
  readonly staged = new Map<number, readonly StagedEntry[]>();
  forwarded: string[] = [];
  beforeStage: (() => Promise<void>) | undefined;
  failing: "stage" | "rollBack" | "all" | undefined;

  async stage(group: number, entries: readonly StagedEntry[]): Promise<void> {
    this.calls.push(`stage ${group} ${entries.map(({ first, end }) => `${first}-${end}`).join()}`);
    await this.beforeStage?.();
    this.staged.set(group, entries);
    if (this.failing === "stage" || this.failing === "all") throw new Error("ENOSPC: spool");
  }

  committed(size: number): void {
    this.calls.push(`committed ${size}`);
    for (const [group, entries] of this.staged) {
      this.forwarded.push(...entries.map(({ bytes }) => Buffer.from(bytes).toString()));
      this.staged.delete(group);
    }
  }

  async rollBack(group: number): Promise<void> {
    this.calls.push(`rollBack ${group}`);
    if (this.failing === "rollBack" || this.failing === "all") throw new Error("EIO: spool");
    this.staged.delete(group);
  }
}

test("after a failed fsync: refused, cut back, a new segment, recovered, open again", async () => {
  const place = await temporaryPlace();
  const { files, system } = faultyFiles();
  const follower = new TestFollower();
  const states: string[] = [];
  const ledger = await open(place, {
    files,
    bounds,
    follower,
    onStateChange: (state) => states.push(state),
  });
  await ledger.append(batch([{ name: "a" }]));
  system.failNext(/^fdatasync segments/);
  const lost = ledger.append(batch([{ name: "b" }]));
  await expect(lost).rejects.toMatchObject({ code: "unavailable", message: /EIO/ });
  expect(ledger.status().state).toBe("recovering");
  const meanwhile = ledger.append(batch([{ name: "c" }]));
  await expect(meanwhile).rejects.toMatchObject({ code: "unavailable" });
  await until(() => ledger.status().state === "open");
  expect(follower.forwarded).toEqual(["a"]);
  // Not remembered as a repeat: its group is not in the log.
  const again = await ledger.append(batch([{ name: "b" }]));
  expect(again).toMatchObject({ first: 3, appended: 1, repeated: 0 });
  expect(follower.forwarded).toEqual(["a", "b"]);
  expect(follower.calls.slice(3)).toEqual([
    "stage 2 2-3",
    "rollBack 2",
    "committed 3",
    "stage 3 3-4",
    "committed 4",
  ]);
  expect(states).toEqual(["recovering", "open"]);
  expect(ledger.status().segmentFirst).toBe(2);
  await ledger.close();
  const report = await checkLog(place.directory, place.keys);
  expect(report.recoveries).toMatchObject([{ index: 2, reason: /^storage_failed: EIO/ }]);
});

test("a full disk: readiness with its reason, and open again by itself when there is room", async () => {
  const place = await temporaryPlace();
  const { files, system } = faultyFiles();
  const ledger = await open(place, { files, bounds });
  system.fault = {
    operation: system.operations.length,
    mode: "short",
    code: "ENOSPC",
    count: Number.POSITIVE_INFINITY,
  };
  const cut = { operation: 0, mode: "failed", code: "", count: 0 } as const;
  // Only what takes room fails on a full disk.
  system.exempt = /^(?!write)/;
  await expect(ledger.append(batch([{ name: "a" }]))).rejects.toThrow(/ENOSPC/);
  await until(() => system.operations.filter((name) => name.startsWith("write")).length > 4);
  expect(ledger.status()).toMatchObject({ state: "recovering", reason: /ENOSPC.*by itself/ });
  system.fault = cut;
  await until(() => ledger.status().state === "open");
  await ledger.append(batch([{ name: "a" }]));
  await ledger.close();
  await checkLog(place.directory, place.keys);
});

test("what cannot be cut back stops the writer until a restart", async () => {
  const place = await temporaryPlace();
  const { files, system } = faultyFiles();
  const ledger = await open(place, { files, bounds });
  system.fault = {
    operation: system.operations.length,
    mode: "persisted",
    code: "EIO",
    count: Number.POSITIVE_INFINITY,
  };
  await expect(ledger.append(batch([{ name: "a" }]))).rejects.toThrow(/EIO/);
  await until(() => ledger.status().state === "stopped");
  const refused = ledger.append(batch([{ name: "b" }]));
  await expect(refused).rejects.toMatchObject({ code: "stopped", message: /restart/ });
  await ledger.close();
  await system.closeAll();
  const again = await open(place);
  // Written after all, though nobody was told: it is in the log once.
  expect(await again.append(batch([{ name: "a" }]))).toMatchObject({ repeated: 1 });
  await again.close();
  await checkLog(place.directory, place.keys);
});

test("a writer that was stopped is not opened again by a group that fails then", async () => {
  const place = await temporaryPlace();
  const { files, system } = faultyFiles();
  const follower = new TestFollower();
  const ledger = await open(place, { files, bounds, follower });
  await ledger.append(batch([{ name: "a" }]));
  // A tile of another log is found while a group is being committed.
  await writeFile(join(place.directory, "tile", "0"), "another log");
  const sealed = ledger.checkpoint();
  await until(() => ledger.size === 3);
  follower.beforeStage = () => until(() => ledger.status().state === "stopped");
  system.failNext(/^write segments/);
  const failed = ledger.append(batch([{ name: "b" }]));
  await expect(sealed).rejects.toThrow(/cannot make a local checkpoint/);
  await expect(failed).rejects.toMatchObject({ code: "stopped" });
  expect(ledger.status()).toMatchObject({ state: "stopped", reason: /tiles of another tree/ });
  await ledger.close();
});

test("a spool that cannot stage: refused, nothing logged, taken again later", async () => {
  const place = await temporaryPlace();
  const follower = new TestFollower();
  const ledger = await open(place, { bounds, follower });
  follower.failing = "stage";
  await expect(ledger.append(batch([{ name: "a" }]))).rejects.toThrow(/ENOSPC: spool/);
  follower.failing = undefined;
  await until(() => ledger.status().state === "open");
  await ledger.append(batch([{ name: "a" }]));
  await ledger.append(batch([]));
  await ledger.append({ ...batch([]), forward: Buffer.from("metrics") });
  await ledger.append(batch([{ name: "a" }]));
  expect(follower.forwarded).toEqual(["a", "metrics"]);
  await ledger.close();
  expect(await kindsOnDisk(place.directory)).toEqual(["opened", "action", "closed", "seal"]);
});

test("after a stage that failed the log does not grow before what is left of it is gone", async () => {
  const place = await temporaryPlace();
  const follower = new TestFollower();
  const ledger = await open(place, { bounds, follower });
  follower.failing = "all";
  await expect(ledger.append(batch([{ name: "a" }]))).rejects.toThrow(/ENOSPC: spool/);
  await until(() => follower.calls.filter((call) => call === "rollBack 1").length > 2);
  // A control record would take the index that the staged entry names.
  const members = { reason: "test" };
  const control = ledger.appendControl({ kind: "redaction_off", members });
  await expect(control).rejects.toMatchObject({ code: "unavailable" });
  await expect(ledger.checkpoint()).rejects.toMatchObject({ code: "unavailable" });
  expect(ledger.size).toBe(1);
  follower.failing = undefined;
  await until(() => ledger.status().state === "open");
  await ledger.appendControl({ kind: "redaction_off", members });
  expect(follower.forwarded).toEqual([]);
  await ledger.close();
  await checkLog(place.directory, place.keys);
});

test("a spool that cannot take back: nothing is written before it has", async () => {
  const place = await temporaryPlace();
  const { files, system } = faultyFiles();
  const follower = new TestFollower();
  const ledger = await open(place, { files, bounds, follower });
  system.failNext(/^write segments/, "ENOSPC");
  follower.failing = "rollBack";
  await expect(ledger.append(batch([{ name: "a" }]))).rejects.toThrow(/ENOSPC/);
  await until(() => follower.calls.filter((call) => call.startsWith("rollBack")).length > 2);
  expect(ledger.size).toBe(1);
  expect(ledger.status().reason).toMatch(/forward copies/);
  follower.failing = undefined;
  await until(() => ledger.status().state === "open");
  await ledger.close();
  expect(follower.forwarded).toEqual([]);
  await checkLog(place.directory, place.keys);
});

test("checkpoints that cannot be made hold the ledger before the tail grows too long", async () => {
  const place = await temporaryPlace();
  const errors: string[] = [];
  const ledger = await open(place, {
    bounds: { ...bounds, checkpointRecordsMax: 8 },
    onCheckpointError: (error) => errors.push(error.message),
  });
  await rm(join(place.directory, "state"), { recursive: true });
  await fill(ledger, () => ledger.status().reason !== undefined);
  const refused = ledger.append(batch([{ name: "z" }]));
  await expect(refused).rejects.toMatchObject({ code: "unavailable", message: /checkpoint/ });
  expect(ledger.size).toBeLessThan(40);
  expect(errors[0]).toMatch(/cannot make a local checkpoint/);
  await mkdir(join(place.directory, "state"), { mode: 0o700 });
  await until(() => ledger.status().reason === undefined);
  await ledger.append(batch([{ name: "z" }]));
  await ledger.close();
  await checkLog(place.directory, place.keys);
});

async function fill(ledger: Ledger, isEnough: () => boolean): Promise<void> {
  for (let at = 0; at < 60 && !isEnough(); at++) {
    await ledger.append(batch([{ name: `fill ${at}` }])).catch(() => undefined);
  }
}

test("a local checkpoint at least every so many records, and a start that reads no more", async () => {
  const place = await temporaryPlace();
  const small = { checkpointRecordsMax: 10, dedupeWindowRecords: 40, windowBlockEntries: 8 };
  const ledger = await open(place, { bounds: small });
  for (let at = 0; at < 120; at++) {
    await ledger.append(batch([{ name: String(at) }]));
    const tail = ledger.size - (ledger.latestCheckpoint?.size ?? 0);
    expect(tail).toBeLessThan(60);
  }
  await ledger.close();
  await checkLog(place.directory, place.keys);
  const again = await open(place, { bounds: small });
  expect(again.status().windowCount).toBe(40);
  const states = await readFile(join(place.directory, "checkpoint"), "utf8");
  expect(states.split("\n")[1]).toBe(String(again.size - 1));
  for (const [name, repeated] of [
    ["119", 1],
    ["80", 1],
    ["79", 0],
  ] as const) {
    expect(await again.append(batch([{ name }]))).toMatchObject({ repeated });
  }
  await again.close();
  const closed = await recordsOnDisk(place.directory, { from: 0, to: 1 });
  expect(closed[0]!.head.kind).toBe("opened");
});

test("a segment that was closed for another that could not be begun is written again", async () => {
  const place = await temporaryPlace();
  let denied = false;
  const deny = async (): Promise<never> => {
    throw Object.assign(new Error("EACCES: permission denied"), { code: "EACCES" });
  };
  // As the kernel answers anybody but root.
  const files: Files = {
    ...nodeFiles,
    async openAppend(path, mode) {
      const found = await stat(path).catch(() => undefined);
      const isAllowed = found === undefined ? !denied : (found.mode & 0o200) !== 0;
      return isAllowed ? nodeFiles.openAppend(path, mode) : deny();
    },
  };
  const options = { files, bounds: { ...bounds, segmentBytesMax: 3000 } };
  const ledger = await open(place, options);
  denied = true;
  let sent = 0;
  const appendNext = (): Promise<unknown> =>
    ledger.append(batch([{ name: String(sent) }])).then(() => sent++);
  await expect(
    (async () => {
      for (;;) await appendNext();
    })(),
  ).rejects.toMatchObject({ code: "unavailable", message: /EACCES/ });
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(ledger.status().state).toBe("recovering");
  denied = false;
  await until(() => ledger.status().state === "open");
  await appendNext();
  await ledger.close();
  const report = await checkLog(place.directory, place.keys);
  expect(report.recoveries).toHaveLength(1);
  expect((await kindsOnDisk(place.directory)).filter((kind) => kind === "action")).toHaveLength(
    sent,
  );
});
