import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, test } from "vitest";
import { nodeFiles } from "../../src/ledger/files.ts";
import type { Files } from "../../src/ledger/files.ts";
import { directoryBucket } from "../../src/publish/bucket/directory.ts";
import type { NewObject } from "../../src/publish/bucket/bucket.ts";
import { bucketContract } from "./bucket-contract.ts";
import { memoryBucket } from "./memory-bucket.ts";

const folders: string[] = [];

async function folder(): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), "spanseal-bucket-"));
  folders.push(path);
  return path;
}

afterAll(async () => {
  for (const path of folders) await rm(path, { recursive: true });
});

bucketContract("memory", async () => memoryBucket());
bucketContract("directory", async () => directoryBucket(join(await folder(), "new"), nodeFiles));

test("a directory bucket holds whole files and nothing else", async () => {
  const path = await folder();
  const bucket = directoryBucket(path, nodeFiles);
  await bucket.create("o/tile/0/000.p/1", Buffer.from("x"));
  const version = await bucket.swap("o/checkpoint", Buffer.from("1"), undefined);
  await bucket.swap("o/checkpoint", Buffer.from("2"), version);
  const names = (await readdir(path, { recursive: true })).toSorted();
  expect(names).toEqual([
    "o",
    "o/checkpoint",
    "o/tile",
    "o/tile/0",
    "o/tile/0/000.p",
    "o/tile/0/000.p/1",
  ]);
});

async function* tiles(...texts: string[]): AsyncGenerator<NewObject> {
  for (const [at, text] of texts.entries()) yield { key: `o/tile/${at}`, bytes: Buffer.from(text) };
}

test("a tile that a killed writer left torn is completed, any other is never changed", async () => {
  const path = await folder();
  const bucket = directoryBucket(path, nodeFiles);
  await mkdir(join(path, "o/tile"), { recursive: true });
  for (const torn of ["", "hash", "hash\0\0", "\0\0\0\0\0\0", "hashes"]) {
    await writeFile(join(path, "o/tile/1"), torn);
    await bucket.createTiles(tiles("first", "hashes", "third"));
    expect(await readFile(join(path, "o/tile/1"), "utf8")).toBe("hashes");
  }
  for (const other of ["hashed", "hashes!", "h\0shes", "x"]) {
    await writeFile(join(path, "o/tile/1"), other);
    const attempt = bucket.createTiles(tiles("first", "hashes", "third"));
    await expect(attempt).rejects.toMatchObject({ code: "present" });
    expect(await readFile(join(path, "o/tile/1"), "utf8")).toBe(other);
  }
});

test("what a killed writer left under a temporary name is no object", async () => {
  const path = await folder();
  await writeFile(join(path, ".tmp-1"), "half");
  const bucket = directoryBucket(path, nodeFiles);
  await bucket.create("o/x", Buffer.from("x"));
  await rm(join(path, "o/x"));
  await writeFile(join(path, "o/.tmp-2"), "half");
  expect(await bucket.isEmpty("o")).toBe(true);
});

test("a swap that died before the file was replaced is taken up by the same writer only", async () => {
  const path = await folder();
  const dying: Files = {
    ...nodeFiles,
    replace: () => Promise.reject(new Error("power cut")),
  };
  const bucket = directoryBucket(path, nodeFiles);
  const version = await bucket.swap("o/checkpoint", Buffer.from("1"), undefined);
  const killed = directoryBucket(path, dying);
  const attempt = killed.swap("o/checkpoint", Buffer.from("2"), version);
  await expect(attempt).rejects.toMatchObject({ code: "unreachable" });

  const other = bucket.swap("o/checkpoint", Buffer.from("3"), version);
  await expect(other).rejects.toMatchObject({ code: "conflict" });
  await bucket.swap("o/checkpoint", Buffer.from("2"), version);
  expect(await readFile(join(path, "o/checkpoint"), "utf8")).toBe("2");
});

test("whatever the file system refuses may pass later", async () => {
  const path = await folder();
  await writeFile(join(path, "file"), "x");
  const bucket = directoryBucket(join(path, "file"), nodeFiles);
  await expect(bucket.create("o/x", Buffer.from("x"))).rejects.toMatchObject({
    name: "BucketError",
    code: "unreachable",
  });
  await expect(bucket.read("o/x")).rejects.toMatchObject({ code: "unreachable" });
});
