import { expect, test } from "vitest";
import { Folders } from "../../src/publish/bucket/folders.ts";

test("folders are made one after another, once, and again where they went away", async () => {
  const calls: string[] = [];
  const folders = new Folders(
    {
      async makeDirectory(folder) {
        calls.push(`begin ${folder}`);
        await new Promise((resolve) => setTimeout(resolve, 1));
        calls.push(`end ${folder}`);
      },
    },
    0o755,
  );
  const create = (path: string): Promise<string> =>
    folders.creating(path, () => Promise.resolve(path));
  const paths = ["a/b/1", "a/c/1", "a/b/2"];
  expect(await Promise.all(paths.map(create))).toEqual(paths);
  expect(calls).toEqual(["begin a/b", "end a/b", "begin a/c", "end a/c"]);
  let attempts = 0;
  const missing = Object.assign(new Error("no folder"), { code: "ENOENT" });
  const again = (): Promise<number> =>
    ++attempts === 1 ? Promise.reject(missing) : Promise.resolve(attempts);
  expect(await folders.creating("a/b/3", again)).toBe(2);
  expect(calls.slice(4)).toEqual(["begin a/b", "end a/b"]);
});

test("a folder that could not be made durable is made again before anything is created in it", async () => {
  let attempts = 0;
  const folders = new Folders(
    {
      makeDirectory: () =>
        ++attempts === 1 ? Promise.reject(new Error("EIO")) : Promise.resolve(),
    },
    0o755,
  );
  const create = (): Promise<void> => folders.creating("a/1", () => Promise.resolve());
  await expect(create()).rejects.toThrow("EIO");
  await create();
  expect(attempts).toBe(2);
});
