/** What every bucket promises, run over each of them. */
import { expect, test } from "vitest";
import { BucketError } from "../../src/publish/bucket/bucket.ts";
import type {
  Bucket,
  BucketErrorCode,
  NewObject,
  Version,
} from "../../src/publish/bucket/bucket.ts";

const one = Buffer.from("one");
const two = Buffer.from("two");
const three = Buffer.from("three");

async function codeOf(promise: Promise<unknown>): Promise<BucketErrorCode | "none"> {
  try {
    await promise;
    return "none";
  } catch (error) {
    if (error instanceof BucketError) return error.code;
    throw error;
  }
}

async function bytesAt(bucket: Bucket, key: string): Promise<string | undefined> {
  const stored = await bucket.read(key);
  return stored === undefined ? undefined : Buffer.from(stored.bytes).toString();
}

/** `open` gives an empty bucket. */
export function bucketContract(name: string, open: () => Promise<Bucket>): void {
  test(`${name}: what was created is read, at any depth`, async () => {
    const bucket = await open();
    expect(await bucket.read("a/b/c")).toBeUndefined();
    await bucket.create("a/b/c", one);
    await bucket.create("a/d", two);
    expect(await bytesAt(bucket, "a/b/c")).toBe("one");
    expect(await bytesAt(bucket, "a/d")).toBe("two");
    expect(await bucket.read("a/b/d")).toBeUndefined();
  });

  test(`${name}: an object is created once`, async () => {
    const bucket = await open();
    await bucket.create("a/b", one);
    await bucket.create("a/b", one);
    expect(await codeOf(bucket.create("a/b", two))).toBe("present");
    expect(await bytesAt(bucket, "a/b")).toBe("one");
  });

  test(`${name}: many tiles are created at once, and again, but never changed`, async () => {
    const bucket = await open();
    async function* tiles(text: string): AsyncGenerator<NewObject> {
      for (let at = 0; at < 40; at++) {
        yield { key: `a/tile/${at % 3}/${at}`, bytes: Buffer.from(at === 20 ? text : "one") };
      }
    }
    await bucket.createTiles(tiles("one"));
    await bucket.createTiles(tiles("one"));
    expect(await bytesAt(bucket, "a/tile/0/39")).toBe("one");
    expect(await codeOf(bucket.createTiles(tiles("two")))).toBe("present");
    expect(await bytesAt(bucket, "a/tile/2/20")).toBe("one");
    async function* failing(): AsyncGenerator<NewObject> {
      yield { key: "a/tile/x", bytes: one };
      throw new TypeError("no more");
    }
    await expect(bucket.createTiles(failing())).rejects.toThrow(TypeError);
  });

  test(`${name}: of many writers of one key one gets through`, async () => {
    const bucket = await open();
    const codes = await Promise.all(
      [...Array(8).keys()].map((index) => codeOf(bucket.create("a/b", Buffer.from(`w${index}`)))),
    );
    expect(codes.filter((code) => code === "none")).toHaveLength(1);
    expect(codes.filter((code) => code === "present")).toHaveLength(7);
    expect(await bytesAt(bucket, "a/b")).toBe(`w${codes.indexOf("none")}`);
  });

  test(`${name}: a swap goes from version to version`, async () => {
    const bucket = await open();
    const first = await bucket.swap("a/checkpoint", one, undefined);
    expect((await bucket.read("a/checkpoint"))?.version).toBe(first);
    const second = await bucket.swap("a/checkpoint", two, first);
    expect(second).not.toBe(first);
    expect(await codeOf(bucket.swap("a/checkpoint", three, first))).toBe("conflict");
    expect(await codeOf(bucket.swap("a/checkpoint", three, undefined))).toBe("conflict");
    expect(await bytesAt(bucket, "a/checkpoint")).toBe("two");
    await bucket.swap("a/checkpoint", three, second);
    expect(await bytesAt(bucket, "a/checkpoint")).toBe("three");
  });

  test(`${name}: a swap of what is not there is a conflict`, async () => {
    const bucket = await open();
    const version = await bucket.swap("a/checkpoint", one, undefined);
    expect(await codeOf(bucket.swap("b/checkpoint", two, version))).toBe("conflict");
    expect(await bucket.read("b/checkpoint")).toBeUndefined();
  });

  test.each([undefined, one])(
    `${name}: of many swaps from one version one gets through`,
    async (start) => {
      const bucket = await open();
      let version: Version | undefined;
      if (start !== undefined) version = await bucket.swap("a/checkpoint", start, undefined);
      const codes = await Promise.all(
        [...Array(8).keys()].map((index) =>
          codeOf(bucket.swap("a/checkpoint", Buffer.from(`w${index}`), version)),
        ),
      );
      expect(codes.filter((code) => code === "none")).toHaveLength(1);
      expect(codes.filter((code) => code === "conflict")).toHaveLength(7);
      expect(await bytesAt(bucket, "a/checkpoint")).toBe(`w${codes.indexOf("none")}`);
    },
  );

  test(`${name}: a prefix is empty until something is under it`, async () => {
    const bucket = await open();
    expect(await bucket.isEmpty("a/b")).toBe(true);
    await bucket.create("a/bc/d", one);
    expect(await bucket.isEmpty("a/b")).toBe(true);
    await bucket.create("a/b/x/y", one);
    expect(await bucket.isEmpty("a/b")).toBe(false);
    expect(await bucket.isEmpty("a")).toBe(false);
  });

  test.each(["", "/a", "a/", "a//b", "../a", "a/../b", "a/.b", "a\\b", "a b", "a\u0000"])(
    `${name}: %j is no key`,
    async (key) => {
      const bucket = await open();
      await expect(bucket.create(key, one)).rejects.toThrow(RangeError);
      await expect(bucket.swap(key, one, undefined)).rejects.toThrow(RangeError);
      await expect(bucket.read(key)).rejects.toThrow(RangeError);
      await expect(bucket.isEmpty(key)).rejects.toThrow(RangeError);
    },
  );
}
