import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { boundedBucket } from "../../src/publish/bucket/bounded.ts";
import type { Bucket, NewObject } from "../../src/publish/bucket/bucket.ts";
import { memoryBucket, type MemoryBucket } from "./memory-bucket.ts";

const bounds = { answerMsMax: 100, writeMsMax: 1000 };
const content = Buffer.from("x");

/** A bucket that does what it is asked once `goOn` is called, one call for each. */
function slowBucket(): { inner: MemoryBucket; bucket: Bucket; asked: string[]; goOn: () => void } {
  const inner = memoryBucket();
  const waiting: (() => void)[] = [];
  const asked: string[] = [];
  const turn = (what: string): Promise<void> => {
    asked.push(what);
    return new Promise((resolve) => waiting.push(resolve));
  };
  const slow: Bucket = {
    ...inner,
    read: (key) => turn(`read ${key}`).then(() => inner.read(key)),
    create: (key, bytes) => turn(`create ${key}`).then(() => inner.create(key, bytes)),
    swap: (key, bytes, expected) =>
      turn(`swap ${key}`).then(() => inner.swap(key, bytes, expected)),
    async createTiles(tiles) {
      for await (const { key, bytes } of tiles) {
        await turn(`tile ${key}`);
        await inner.create(key, bytes);
      }
    },
  };
  const bucket = boundedBucket(slow, bounds);
  return { inner, bucket, asked, goOn: () => waiting.shift()!() };
}

async function* tilesOf(...keys: string[]): AsyncGenerator<NewObject> {
  for (const key of keys) yield { key, bytes: content };
}

function unanswered(doing: string): object {
  return { code: "unreachable", message: expect.stringContaining(`(${doing})`) as string };
}

/** What became of a promise, if anything has. */
function followed(promise: Promise<unknown>): { ending?: "fulfilled" | "rejected" } {
  const seen: { ending?: "fulfilled" | "rejected" } = {};
  promise.then(
    () => (seen.ending = "fulfilled"),
    () => (seen.ending = "rejected"),
  );
  return seen;
}

beforeEach(() => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
});
afterEach(() => {
  vi.useRealTimers();
});

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

interface Case {
  readonly what: string;
  readonly ms: number;
  readonly doing: string;
  readonly call: string;
  readonly act: (bucket: Bucket) => Promise<unknown>;
}

const cases: readonly Case[] = [
  {
    what: "a question",
    ms: bounds.answerMsMax,
    doing: "reading a/b",
    call: "read a/b",
    act: (bucket) => bucket.read("a/b"),
  },
  {
    what: "a write",
    ms: bounds.writeMsMax,
    doing: "writing a/b",
    call: "create a/b",
    act: (bucket) => bucket.create("a/b", content),
  },
  {
    what: "a replacement",
    ms: bounds.writeMsMax,
    doing: "replacing a/b",
    call: "swap a/b",
    act: (bucket) => bucket.swap("a/b", content, undefined),
  },
  {
    what: "a tile",
    ms: bounds.writeMsMax,
    doing: "writing tiles",
    call: "tile a/b",
    act: (bucket) => bucket.createTiles(tilesOf("a/b", "a/c")),
  },
];

test.each(cases)(
  "$what that does not return in time is told, and nothing is asked until it has returned",
  async ({ ms, doing, call, act }) => {
    const { inner, bucket, asked, goOn } = slowBucket();
    const first = act(bucket);
    const seen = followed(first);
    await settled();
    vi.advanceTimersByTime(ms - 1);
    await settled();
    expect(seen.ending).toBeUndefined();
    vi.advanceTimersByTime(1);
    await expect(first).rejects.toMatchObject(unanswered(doing));
    await expect(bucket.read("d")).rejects.toMatchObject(unanswered(doing));
    await expect(bucket.create("d", content)).rejects.toMatchObject(unanswered(doing));
    await expect(bucket.swap("d", content, undefined)).rejects.toMatchObject(unanswered(doing));
    const tiles = bucket.createTiles(tilesOf("d"));
    await expect(tiles).rejects.toMatchObject(unanswered(doing));
    expect(asked).toEqual([call]);
    expect(inner.writes).toEqual([]);

    goOn();
    await settled();
    // What was late took place; of many tiles, nothing after it.
    expect(asked).toEqual([call]);
    const next = bucket.create("d", content);
    await settled();
    goOn();
    await next;
    expect(inner.writes.at(-1)).toBe("d");
  },
);

test("many tiles may take as long as they need while one after another is written", async () => {
  const { inner, bucket, goOn } = slowBucket();
  const keys = Array.from({ length: 5 }, (_, at) => `tile/${at}`);
  const writing = bucket.createTiles(tilesOf(...keys));
  for (const _ of keys) {
    await settled();
    vi.advanceTimersByTime(900);
    goOn();
  }
  await writing;
  expect(inner.writes).toEqual(keys);
});
