import { expect, test } from "vitest";
import { boundedBucket } from "../../src/publish/bucket/bounded.ts";
import { memoryBucket } from "./memory-bucket.ts";

test("what is not answered in time is told, and nothing is asked until it is", async () => {
  const answers: (() => void)[] = [];
  const asked: string[] = [];
  const inner = memoryBucket();
  const bucket = boundedBucket(
    {
      ...inner,
      read: async (key) => {
        asked.push(key);
        await new Promise<void>((resolve) => answers.push(resolve));
        return inner.read(key);
      },
    },
    20,
  );
  const away = { code: "unreachable", message: expect.stringContaining("reading a/b") as string };
  await expect(bucket.read("a/b")).rejects.toMatchObject(away);
  await expect(bucket.read("a/c")).rejects.toMatchObject(away);
  await expect(bucket.create("a/c", Buffer.from("x"))).rejects.toMatchObject(away);
  expect(asked).toEqual(["a/b"]);
  expect(inner.writes).toEqual([]);
  answers[0]!();
  await expect.poll(() => bucket.create("a/c", Buffer.from("x")).then(() => "made")).toBe("made");
  const read = bucket.read("a/c");
  answers[1]!();
  expect((await read)!.bytes).toEqual(new Uint8Array(Buffer.from("x")));
});
