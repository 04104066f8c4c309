import { expect, test } from "vitest";
import { Folders } from "../../src/publish/bucket/folders.ts";

test("folders are made one after another", async () => {
  let open = 0;
  const folders = new Folders({
    makeDirectory: async () => {
      expect(++open).toBe(1);
      await new Promise((resolve) => setImmediate(resolve));
      open--;
    },
  });
  await Promise.all(["a/b", "a/c", "a/b"].map((folder) => folders.make(folder, 0o755)));
});
