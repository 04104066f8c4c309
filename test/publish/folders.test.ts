import { expect, test } from "vitest";
import { Folders } from "../../src/publish/bucket/folders.ts";

/** Syncs that end when they are told to. */
function slowFolders(): { folders: Folders; syncs: PromiseWithResolvers<void>[] } {
  const syncs: PromiseWithResolvers<void>[] = [];
  const folders = new Folders({
    makeDirectory: () => Promise.resolve(),
    syncDirectory: () => {
      const sync = Promise.withResolvers<void>();
      syncs.push(sync);
      return sync.promise;
    },
  });
  return { folders, syncs };
}

test("one sync serves all who come while another is under way, and never that other", async () => {
  const { folders, syncs } = slowFolders();
  const first = folders.sync("a");
  const late = [folders.sync("a"), folders.sync("a")];
  const elsewhere = folders.sync("b");
  expect(syncs.length).toBe(2);
  syncs[1]!.resolve();
  await elsewhere;
  syncs[0]!.resolve();
  await first;
  await expect.poll(() => syncs.length).toBe(3);
  syncs[2]!.resolve();
  await Promise.all(late);
  expect(syncs.length).toBe(3);
});

test("a sync that fails is told to those who waited for it, and the next is tried", async () => {
  const { folders, syncs } = slowFolders();
  const first = folders.sync("a");
  const second = folders.sync("a");
  syncs[0]!.reject(new Error("no space"));
  await expect(first).rejects.toThrow("no space");
  await expect.poll(() => syncs.length).toBe(2);
  syncs[1]!.resolve();
  await second;
  const third = folders.sync("a");
  syncs[2]!.resolve();
  await third;
});

test("folders are made one after another", async () => {
  let open = 0;
  const folders = new Folders({
    makeDirectory: async () => {
      expect(++open).toBe(1);
      await new Promise((resolve) => setImmediate(resolve));
      open--;
    },
    syncDirectory: () => Promise.resolve(),
  });
  await Promise.all(["a/b", "a/c", "a/b"].map((folder) => folders.make(folder, 0o755)));
});
