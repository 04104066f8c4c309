import { rm, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { signCheckpoint } from "../../src/ledger/checkpoint.ts";
import { nodeFiles } from "../../src/ledger/files.ts";
import { ed25519Signer } from "../../src/ledger/note.ts";
import { BucketError } from "../../src/publish/bucket/bucket.ts";
import type { Version } from "../../src/publish/bucket/bucket.ts";
import { PublishError, openPublisher, readBucketEvidence } from "../../src/publish/publisher.ts";
import type { Publisher, PublisherOptions } from "../../src/publish/publisher.ts";
import { checkLog } from "./check-log.ts";
import { memoryBucket } from "./memory-bucket.ts";
import type { Fault, MemoryBucket } from "./memory-bucket.ts";
import { logKeys, origin, signer, smallLedger } from "./small-ledger.ts";
import type { SmallLedger } from "./small-ledger.ts";

const log = { origin, logKeys: () => logKeys };
const minute = 60_000;
let nowMs = 0;
let ledger: SmallLedger;
let bucket: MemoryBucket;
let ledgers: SmallLedger[];

const clock = {
  wallUnixNano: () => BigInt(nowMs) * 1_000_000n,
  monotonicNano: () => BigInt(nowMs) * 1_000_000n,
};

beforeEach(async () => {
  nowMs = 1_700_000_000_000;
  ledger = await smallLedger();
  ledgers = [ledger];
  bucket = memoryBucket();
});

afterEach(async () => {
  for (const each of ledgers) await each.remove();
});

function open(options: Partial<PublisherOptions> = {}): Promise<Publisher> {
  return openPublisher({
    ledger,
    bucket,
    files: nodeFiles,
    clock,
    intervalMs: 10 * minute,
    ...options,
  });
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return "none";
  } catch (error) {
    if (error instanceof PublishError) return error.code;
    throw error;
  }
}

const sizesIn = (from: MemoryBucket): number[] =>
  [...from.objects.keys()]
    .filter((key) => key.startsWith(`${origin}/checkpoints/`))
    .map((key) => Number(key.split("/").at(-1)));

/** Tiles are written in any order, but all of them before what follows. */
function tilesFirst(writes: readonly string[]): string[] {
  const tiles = writes.findIndex((key) => !key.startsWith(`${origin}/tile/`));
  return [...writes.slice(0, tiles).toSorted(), ...writes.slice(tiles)];
}

test("a root is published with its tiles, then under its size, then as the newest", async () => {
  const publisher = await open();
  ledger.append(299);
  expect((await publisher.publishNow()).size).toBe(300);
  expect(tilesFirst(bucket.writes)).toEqual(
    [
      "tile/0/000",
      "tile/0/001.p/44",
      "tile/1/000.p/1",
      "tile/entries/000",
      "tile/entries/001.p/44",
      "checkpoints/300",
      "checkpoint",
    ].map((path) => `${origin}/${path}`),
  );
  ledger.append(299);
  await publisher.publishNow();
  expect(tilesFirst(bucket.writes.slice(7))).toEqual(
    [
      "tile/0/001",
      "tile/0/002.p/88",
      "tile/1/000.p/2",
      "tile/entries/001",
      "tile/entries/002.p/88",
      "checkpoints/600",
      "checkpoint",
    ].map((path) => `${origin}/${path}`),
  );
  expect(await checkLog(bucket, [300, 600])).toBe(600);
  expect(publisher.status()).toEqual({
    bucket: "memory",
    publishedSize: 600,
    lagMs: 0,
    lagRecords: 0,
    pendingRoots: 0,
    halted: false,
  });
});

test("roots are made at intervals, also when idle, and every so many records", async () => {
  const publisher = await open({ everyRecords: 1000 });
  await publisher.tick();
  expect(ledger.size).toBe(0);
  nowMs += 10 * minute;
  await publisher.tick();
  expect(sizesIn(bucket)).toEqual([1]);
  nowMs += 10 * minute - 1;
  await publisher.tick();
  expect(sizesIn(bucket)).toEqual([1]);
  nowMs += 1;
  await publisher.tick();
  expect(sizesIn(bucket)).toEqual([1, 2]);
  ledger.append(999);
  await publisher.tick();
  expect(sizesIn(bucket)).toEqual([1, 2]);
  ledger.append(1);
  await publisher.tick();
  expect(sizesIn(bucket)).toEqual([1, 2, 1003]);
  await checkLog(bucket, [1, 2, 1003]);
});

test("an unreachable bucket loses no root, and the lag is the age of the oldest record", async () => {
  const changes: (string | undefined)[] = [];
  const publisher = await open({
    maxLagMs: 30 * minute,
    onChange: (error) => changes.push(error?.message),
  });
  bucket.unreachable = true;
  const made: number[] = [];
  for (let round = 0; round < 5; round++) {
    ledger.append(1);
    nowMs += 10 * minute;
    await publisher.tick();
    made.push(ledger.size);
  }
  expect(publisher.status()).toMatchObject({
    lagMs: 50 * minute,
    lagRecords: 10,
    pendingRoots: 5,
    lastError: "memory does not answer",
    halted: false,
  });
  expect(publisher.refuses()).toMatch(/^the bucket memory is behind by 3000 s .*does not answer$/);

  bucket.unreachable = false;
  nowMs += minute;
  await publisher.tick();
  expect(sizesIn(bucket)).toEqual(made);
  await checkLog(bucket, made);
  expect(publisher.status()).toMatchObject({ lagMs: 0, lagRecords: 0, pendingRoots: 0 });
  expect(publisher.refuses()).toBeUndefined();
  expect(changes).toEqual(["memory does not answer", undefined]);
});

test("the lag falls with each root that gets through", async () => {
  const publisher = await open();
  bucket.unreachable = true;
  for (let round = 0; round < 3; round++) {
    ledger.append(1);
    nowMs += 10 * minute;
    await publisher.tick();
  }
  expect(publisher.status().lagMs).toBe(30 * minute);
  bucket.unreachable = false;
  // The tiles of the first root, its two checkpoints, and then nothing.
  bucket.failWrite(4, "lost");
  nowMs += 2 * minute;
  await publisher.tick();
  expect(publisher.status()).toMatchObject({ publishedSize: 2, lagMs: 22 * minute });
});

test("attempts are spaced by a wait that doubles up to a minute", async () => {
  const publisher = await open();
  bucket.unreachable = true;
  await expect(publisher.publishNow()).rejects.toMatchObject({ code: "unreachable" });
  let reads = 0;
  bucket.read = () => {
    reads++;
    return Promise.reject(new BucketError("unreachable", "no answer"));
  };
  const attempts: number[] = [];
  const startMs = nowMs;
  while (nowMs < startMs + 4 * minute) {
    nowMs += 500;
    const before = reads;
    await publisher.tick();
    if (reads > before) attempts.push((nowMs - startMs) / 1000);
  }
  expect(attempts).toEqual([1, 3, 7, 15, 31, 63, 123, 183]);
});

test("roots that waited are published by the next run, byte for byte", async () => {
  const first = await open();
  ledger.append(2);
  await first.publishNow();
  bucket.unreachable = true;
  for (const count of [3, 300]) {
    ledger.append(count);
    await expect(first.publishNow()).rejects.toMatchObject({ code: "unreachable" });
  }
  await first.close();
  const made = [...ledger.roots.keys()];

  const asked: number[] = [];
  const second = await open({
    timeOfRecord: async (index) => {
      asked.push(index);
      return nowMs - 7 * minute;
    },
  });
  expect(asked).toEqual([3]);
  expect(second.status()).toMatchObject({ pendingRoots: 2, lagMs: 7 * minute, publishedSize: 3 });
  bucket.unreachable = false;
  nowMs += minute;
  await second.tick();
  expect(sizesIn(bucket)).toEqual(made);
  await checkLog(bucket, made);
  expect(second.status().lagMs).toBe(0);
});

test("the root that the ledger makes as it closes is published at the end", async () => {
  const publisher = await open();
  ledger.append(5);
  await publisher.publishNow();
  ledger.append(5);
  await ledger.checkpoint();
  await publisher.close();
  expect(await checkLog(bucket, [6, 12])).toBe(12);
  expect(publisher.status().lagMs).toBe(0);
});

test("a root that was persisted by a run that died is published by the next", async () => {
  ledger.append(5);
  await ledger.checkpoint();
  const publisher = await open();
  await publisher.tick();
  expect(await checkLog(bucket, [6])).toBe(6);
});

const faults: readonly Fault[] = ["lost", "persisted"];
test.each(faults.flatMap((fault) => [...Array(7).keys()].map((write) => ({ write, fault }))))(
  "write $write fails and is $fault: the next attempt, or the next run, completes the log",
  async ({ write, fault }) => {
    for (const restart of [false, true]) {
      const each = await smallLedger();
      ledgers.push(each);
      const target = memoryBucket();
      let publisher = await open({ ledger: each, bucket: target });
      each.append(299);
      await publisher.publishNow();
      each.append(299);
      target.failWrite(write, fault);
      await expect(publisher.publishNow()).rejects.toMatchObject({ code: "unreachable" });
      expect(publisher.status()).toMatchObject({ pendingRoots: 1, halted: false });
      if (restart) {
        publisher = await open({ ledger: each, bucket: target });
      }
      nowMs += minute;
      await publisher.tick();
      expect(await checkLog(target, [300, 600])).toBe(600);
      expect(publisher.status()).toMatchObject({ pendingRoots: 0, lagMs: 0, halted: false });
      each.append(1);
      await publisher.publishNow();
      await checkLog(target, [300, 600, 602]);
    }
  },
);

test("evidence is the newest root of the bucket", async () => {
  expect(await readBucketEvidence(bucket, log)).toBeUndefined();
  const publisher = await open();
  ledger.append(4);
  const { size } = await publisher.publishNow();
  const evidence = await readBucketEvidence(bucket, log);
  expect(evidence?.size).toBe(size);
  expect(Buffer.from(evidence!.root)).toEqual(Buffer.from(ledger.roots.get(size)!));
  bucket.unreachable = true;
  await expect(readBucketEvidence(bucket, log)).rejects.toMatchObject({ code: "unreachable" });
});

test("a place in the bucket that is not this ledger's is refused", async () => {
  await bucket.create(`${origin}/tile/0/000.p/1`, Buffer.alloc(32));
  expect(await codeOf(open())).toBe("foreign");

  const other = memoryBucket();
  await other.swap(`${origin}/checkpoint`, Buffer.from("no checkpoint"), undefined);
  expect(await codeOf(open({ bucket: other }))).toBe("foreign");
  expect(await codeOf(readBucketEvidence(other, log))).toBe("foreign");
});

test("a root that no key of the log signed proves nothing, whatever size it states", async () => {
  const publisher = await open();
  ledger.append(4);
  const { size } = await publisher.publishNow();
  const root = ledger.roots.get(size)!;
  const stranger = ed25519Signer(origin, Buffer.alloc(32, 8));
  const key = `${origin}/checkpoint`;
  const genuine = bucket.objects.get(key)!;
  for (const forged of [
    signCheckpoint({ origin, size: size + 1000, root }, [stranger]),
    signCheckpoint({ origin, size, root }, [stranger]),
    Buffer.from(
      Buffer.from(genuine.bytes)
        .toString()
        .replace(`\n${size}\n`, `\n${size + 1}\n`),
    ),
  ]) {
    bucket.objects.set(key, { bytes: forged, version: genuine.version });
    expect(await codeOf(readBucketEvidence(bucket, log))).toBe("foreign");
    await expect(publisher.publishNow()).rejects.toThrow("not signed by a key of this log");
    expect(await codeOf(open())).toBe("foreign");
  }
});

test("a root in the ledger's folder that no key of the log signed is not published", async () => {
  const publisher = await open();
  ledger.append(4);
  const { size } = await publisher.publishNow();
  await publisher.close();
  const stranger = ed25519Signer(origin, Buffer.alloc(32, 8));
  const name = `publish/${String(size + 2).padStart(16, "0")}.checkpoint`;
  const root = Buffer.alloc(32, 1);
  const before = bucket.writes.length;
  for (const [path, note] of [
    [name, Buffer.from("no note")],
    [name, signCheckpoint({ origin, size: size + 2, root }, [stranger])],
    [name, signCheckpoint({ origin, size: size + 3, root }, [signer])],
    ["checkpoint", signCheckpoint({ origin, size: size + 2, root }, [stranger])],
  ] as const) {
    await writeFile(join(ledger.directory, path), note);
    expect(await codeOf(open())).toBe("damaged");
    await rm(join(ledger.directory, path));
  }
  expect(bucket.writes).toHaveLength(before);
});

test("a place that a first run claimed but did not finish is its own", async () => {
  const first = await open();
  ledger.append(4);
  bucket.failWrite(1, "persisted");
  await expect(first.publishNow()).rejects.toMatchObject({ code: "unreachable" });
  const second = await open();
  await second.tick();
  expect(await checkLog(bucket, [5])).toBe(5);
});

test("a ledger that was restored from an older copy is refused as truncated", async () => {
  const publisher = await open();
  ledger.append(4);
  await publisher.publishNow();
  const older = await ledger.copy();
  ledgers.push(older);
  ledger.append(4);
  await publisher.publishNow();
  expect(await codeOf(open({ ledger: older }))).toBe("truncated");
});

test("a restored copy that went on differently is refused as forked", async () => {
  const publisher = await open();
  ledger.append(4);
  await publisher.publishNow();
  const copy = await ledger.copy();
  ledgers.push(copy);
  ledger.append(4);
  await publisher.publishNow();
  copy.append(6, "other");
  await copy.checkpoint();
  expect(await codeOf(open({ ledger: copy }))).toBe("forked");
});

test("of two copies that run at once the second to publish is halted before it writes", async () => {
  const publisher = await open();
  ledger.append(4);
  await publisher.publishNow();
  const copy = await ledger.copy();
  ledgers.push(copy);
  const rival = await open({ ledger: copy });
  ledger.append(4);
  await publisher.publishNow();
  const before = bucket.writes.length;
  copy.append(300, "other");
  expect(await codeOf(rival.publishNow())).toBe("forked");
  expect(rival.status()).toMatchObject({ halted: true, pendingRoots: 1 });
  nowMs += 60 * minute;
  await rival.tick();
  expect(await codeOf(rival.publishNow())).toBe("forked");
  expect(bucket.writes).toHaveLength(before);
  expect(rival.status().lagRecords).toBeGreaterThan(300);
  ledger.append(300);
  await publisher.publishNow();
  expect(await checkLog(bucket, [5, 10, 311])).toBe(311);
});

test("a lost swap ends publishing", async () => {
  const publisher = await open();
  ledger.append(4);
  await publisher.publishNow();
  const rival = Buffer.from("the root of somebody else");
  const swap = bucket.swap.bind(bucket);
  bucket.swap = async (key, bytes, expected) => {
    await swap(key, rival, expected);
    return swap(key, bytes, expected);
  };
  ledger.append(4);
  expect(await codeOf(publisher.publishNow())).toBe("lost_swap");
  expect(publisher.status()).toMatchObject({ halted: true });
  expect(publisher.status().lastError).toMatch(/: stop the other one, then restart$/);
});

test("a bucket that lost what was published is refused", async () => {
  const publisher = await open();
  ledger.append(4);
  await publisher.publishNow();
  const older = new Map(bucket.objects);
  ledger.append(4);
  await publisher.publishNow();

  const rolledBack = memoryBucket();
  for (const [key, stored] of older) rolledBack.objects.set(key, stored);
  expect(await codeOf(open({ bucket: rolledBack }))).toBe("rolled_back");
  expect(await codeOf(open({ bucket: memoryBucket() }))).toBe("rolled_back");

  // The remedy that the message names.
  await rm(join(ledger.directory, "publish/cursor.json"));
  const anew = memoryBucket();
  const again = await open({ bucket: anew });
  await again.tick();
  expect(await checkLog(anew, [10])).toBe(10);
});

test("a bucket that is brought back is gone on with, and nothing is written before", async () => {
  const publisher = await open();
  ledger.append(4);
  const root = await publisher.publishNow();
  const whole = new Map(bucket.objects);
  const key = `${origin}/checkpoint`;
  const garbage = { bytes: Buffer.from("garbage"), version: "v0" as Version };
  for (const spoilt of [new Map(), new Map([...whole, [key, garbage]])] as const) {
    bucket.objects.clear();
    for (const [name, stored] of spoilt) bucket.objects.set(name, stored);
    ledger.append(1);
    nowMs += 20 * minute;
    await publisher.tick();
    expect(publisher.status()).toMatchObject({ halted: true, publishedSize: root.size });
    expect(bucket.objects).toEqual(spoilt);
  }
  for (const [name, stored] of whole) bucket.objects.set(name, stored);
  nowMs += 20 * minute;
  await publisher.tick();
  expect(publisher.status()).toMatchObject({ halted: false, pendingRoots: 0, lagMs: 0 });
  expect(await checkLog(bucket, [ledger.size])).toBe(ledger.size);
});

test("a bucket that is not there at all may come back, also after a start", async () => {
  const publisher = await open();
  ledger.append(4);
  await publisher.publishNow();
  const whole = new Map(bucket.objects);
  bucket.objects.clear();
  bucket.isMissing = true;
  nowMs += 20 * minute;
  await publisher.tick();
  expect(publisher.status()).toMatchObject({ halted: false });
  expect(publisher.status().lastError).toContain("does not exist");
  const again = await open();
  expect(again.status()).toMatchObject({ halted: false });
  bucket.isMissing = false;
  for (const [name, stored] of whole) bucket.objects.set(name, stored);
  nowMs += 20 * minute;
  await again.tick();
  expect(again.status()).toMatchObject({ pendingRoots: 0, lagMs: 0 });
});

test("another bucket is begun from the first tile on", async () => {
  const publisher = await open();
  ledger.append(299);
  await publisher.publishNow();
  ledger.append(1);
  await publisher.publishNow();
  const other = memoryBucket("elsewhere");
  const second = await open({ bucket: other });
  await second.tick();
  expect(await checkLog(other, [302])).toBe(302);
});

test("a cursor that was lost is found again in the bucket", async () => {
  const publisher = await open();
  ledger.append(299);
  await publisher.publishNow();
  ledger.append(299);
  await ledger.checkpoint();
  await rm(join(ledger.directory, "publish"), { recursive: true });
  const second = await open();
  expect(second.status().publishedSize).toBe(300);
  await second.tick();
  expect(await checkLog(bucket, [300, 600])).toBe(600);
});

test("a queued root that the bucket has already is forgotten, not published over newer ones", async () => {
  const publisher = await open();
  ledger.append(4);
  const old = await publisher.publishNow();
  ledger.append(4);
  await publisher.publishNow();
  const path = join(ledger.directory, `publish/${String(old.size).padStart(16, "0")}.checkpoint`);
  await nodeFiles.createExclusive(path, old.note, 0o600);
  const second = await open();
  expect(second.status().pendingRoots).toBe(0);
  await second.tick();
  expect(await checkLog(bucket, [5, 10])).toBe(10);
  expect(await nodeFiles.list(join(ledger.directory, "publish"))).toEqual(["cursor.json"]);
});

test("a tile that the ledger lost is damage, not a retry", async () => {
  ledger.append(299);
  await ledger.checkpoint();
  const publisher = await open();
  await truncate(join(ledger.directory, "tile/0"), 8000);
  await publisher.tick();
  expect(publisher.status()).toMatchObject({
    halted: true,
    lastError: expect.stringMatching(/lacks tile 0: restore/),
  });
  expect(bucket.objects.has(`${origin}/checkpoint`)).toBe(false);
});

test("tiles of roots that waited are cut from those of newer ones", async () => {
  const publisher = await open();
  bucket.unreachable = true;
  ledger.append(9);
  await codeOf(publisher.publishNow());
  ledger.append(9);
  await codeOf(publisher.publishNow());
  ledger.append(400);
  await codeOf(publisher.publishNow());
  bucket.unreachable = false;
  nowMs += minute;
  await publisher.tick();
  expect(await checkLog(bucket, [10, 20, 421])).toBe(421);
});

test("a ledger that cannot make a root is asked again, and the bucket is not blamed", async () => {
  const publisher = await open();
  ledger.append(1);
  ledger.failure = new Error("the disk is full");
  nowMs += 10 * minute;
  await publisher.tick();
  expect(publisher.status()).toMatchObject({ lastError: "the disk is full", halted: false });
  await expect(publisher.publishNow()).rejects.toThrow("the disk is full");
  ledger.failure = undefined;
  nowMs += minute;
  await publisher.tick();
  expect(await checkLog(bucket, [2])).toBe(2);
  expect(publisher.status().lastError).toBeUndefined();
});

test("an unreachable bucket does not stop a start, and is judged when it answers", async () => {
  const first = await open();
  ledger.append(4);
  await first.publishNow();
  const older = await ledger.copy();
  ledgers.push(older);
  ledger.append(4);
  await first.publishNow();
  bucket.unreachable = true;
  const publisher = await open({ ledger: older });
  expect(publisher.status()).toMatchObject({ halted: false, lastError: "memory does not answer" });
  bucket.unreachable = false;
  nowMs += minute;
  await publisher.tick();
  expect(publisher.status().halted).toBe(true);
  expect(publisher.status().lastError).toMatch(/restored from an older copy/);
});

test.each(["", "null", "[]", '{"bucket":1}', "\u00ff\u00fe not JSON"])(
  "a cursor file of %j is no cursor: the bucket is asked instead",
  async (text) => {
    const publisher = await open();
    ledger.append(3);
    const { size } = await publisher.publishNow();
    await writeFile(join(ledger.directory, "publish/cursor.json"), Buffer.from(text, "latin1"));
    expect((await open()).status().publishedSize).toBe(size);
  },
);
