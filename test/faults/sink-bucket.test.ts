/** A bucket that is away, full, read-only, slow, or not what it was. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import type { SpawnSyncReturns } from "node:child_process";
import { renameSync, rmSync, writeFileSync } from "node:fs";
import { describe, expect, onTestFinished, test } from "vitest";
import { noSmallDisk } from "../slow/hostile-storage.ts";
import { BucketTrial, whole } from "./bucket-trial.ts";

if (noSmallDisk !== undefined) console.warn(`tests with mounts are left out: ${noSmallDisk}`);

interface Trouble {
  readonly name: string;
  readonly begin: (trial: BucketTrial) => void;
  readonly end: (trial: BucketTrial) => void;
  /** What readiness says meanwhile. */
  readonly words: RegExp;
}

const away = (bucket: string): string => `${bucket}-away`;

function attempt(program: string, ...parameters: string[]): SpawnSyncReturns<string> {
  return spawnSync(program, parameters, { encoding: "utf8" });
}

function run(program: string, ...parameters: string[]): void {
  const { status, stderr } = attempt(program, ...parameters);
  assert.equal(status, 0, stderr);
}

const passing: readonly Trouble[] = [
  {
    name: "a file in place of the folder",
    begin({ bucket }) {
      renameSync(bucket, away(bucket));
      writeFileSync(bucket, "");
    },
    end({ bucket }) {
      rmSync(bucket);
      renameSync(away(bucket), bucket);
    },
    words: /publishing is tried again: .*ENOTDIR/,
  },
  {
    name: "the folder is gone",
    begin: ({ bucket }) => renameSync(bucket, away(bucket)),
    end: ({ bucket }) => renameSync(away(bucket), bucket),
    words: /publishing is tried again: the bucket .* does not exist/,
  },
];

const withMounts: readonly Trouble[] = [
  {
    name: "read-only",
    begin({ bucket }) {
      run("mount", "--bind", bucket, bucket);
      run("mount", "-o", "remount,ro,bind", bucket);
      // Gone already where the test went well.
      onTestFinished(() => void attempt("umount", "--lazy", bucket));
    },
    end: ({ bucket }) => run("umount", bucket),
    words: /publishing is tried again: .*EROFS/,
  },
];

describe("bucket", () => {
  test.for(passing)("$name", async (trouble, context) => {
    expect(await outlive(trouble, context)).toMatchObject(whole);
  });

  test.skipIf(noSmallDisk !== undefined).for(withMounts)("$name", async (trouble, context) => {
    expect(await outlive(trouble, context)).toMatchObject(whole);
  });
});

/** Roots are signed before, during and after the trouble, also by a second process. */
async function outlive(
  { begin, end, words }: Trouble,
  context: Parameters<BucketTrial["conclude"]>[0],
) {
  const trial = await BucketTrial.start();
  await trial.send(3);
  await trial.settle();
  begin(trial);
  await trial.send(3);
  await trial.waitUntil(200, words);
  await trial.kill();
  await trial.send(2);
  await trial.waitUntil(200, words);
  end(trial);
  await trial.send(1);
  return trial.conclude(context, "publishing is tried again");
}
