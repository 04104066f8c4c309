/** A bucket that is away, full, read-only, silent, or not what it was. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import type { SpawnSyncReturns } from "node:child_process";
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import type { TestContext } from "vitest";
import { startSidecar, temporaryFolder } from "../service/sidecar-process.ts";
import { mountSmallDisk, noSmallDisk } from "../slow/hostile-storage.ts";
import { eventually, ledgerOf, readinessOf } from "../system/observation.ts";
import { send, toolCall, traceRequest } from "../system/telemetry.ts";
import { BucketTrial, whole } from "./bucket-trial.ts";
import type { Verdict } from "./bucket-trial.ts";

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
  {
    name: "full",
    begin({ bucket }) {
      // What is left is less than a file needs.
      const filler = Buffer.alloc(4096);
      for (let at = 0; ; at++) {
        try {
          writeFileSync(join(bucket, `filler-${at}`), filler);
        } catch {
          break;
        }
      }
    },
    end({ bucket }) {
      for (const name of readdirSync(bucket)) {
        if (name.startsWith("filler-")) rmSync(join(bucket, name));
      }
    },
    words: /publishing is tried again: .*ENOSPC/,
  },
];

/** What stands in the way until somebody has set it right; nothing is written meanwhile. */
const halting: readonly Trouble[] = [
  {
    name: "an empty folder in its place (not mounted)",
    begin({ bucket }) {
      renameSync(bucket, away(bucket));
      mkdirSync(bucket);
    },
    end({ bucket }) {
      expectNothingIn(bucket);
      rmSync(bucket, { recursive: true });
      renameSync(away(bucket), bucket);
    },
    words: /publishing is halted: .*its newest is none: .*not mounted/,
  },
  {
    name: "checkpoint replaced by an older one",
    begin({ prefix }) {
      const sizes = readdirSync(join(prefix, "checkpoints")).map(Number);
      const oldest = Math.min(...sizes);
      keepCheckpoint(prefix);
      copyFileSync(join(prefix, "checkpoints", String(oldest)), join(prefix, "checkpoint"));
    },
    end: ({ prefix }) => bringCheckpointBack(prefix),
    words: /publishing is halted: .*was published .* restored from an older copy/,
  },
  {
    name: "checkpoint replaced by garbage",
    begin({ prefix }) {
      keepCheckpoint(prefix);
      writeFileSync(join(prefix, "checkpoint"), "garbage\n");
    },
    end: ({ prefix }) => bringCheckpointBack(prefix),
    words: /publishing is halted: .* is no checkpoint/,
  },
  {
    name: "checkpoint replaced by that of another log",
    begin({ prefix }) {
      keepCheckpoint(prefix);
      const note = readFileSync(join(prefix, "checkpoint"), "utf8");
      const other = note.replace(/^\S+/, "elsewhere.example/0123456789abcdef");
      writeFileSync(join(prefix, "checkpoint"), other);
    },
    end: ({ prefix }) => bringCheckpointBack(prefix),
    words: /publishing is halted: .* is of another log/,
  },
];

function keepCheckpoint(prefix: string): void {
  copyFileSync(join(prefix, "checkpoint"), join(prefix, "..", "kept"));
}

function bringCheckpointBack(prefix: string): void {
  renameSync(join(prefix, "..", "kept"), join(prefix, "checkpoint"));
}

function expectNothingIn(folder: string): void {
  assert.deepEqual(readdirSync(folder), []);
}

describe("bucket", () => {
  test.for(passing)("$name", async (trouble, context) => {
    expect(await outlive(trouble, context)).toMatchObject(whole);
  });

  test.skipIf(noSmallDisk !== undefined).for(withMounts)("$name", async (trouble, context) => {
    const cwd = temporaryFolder();
    if (trouble.name === "full") mountSmallDisk(join(cwd, "spanseal-data/bucket"), "1m");
    expect(await outlive(trouble, context, cwd)).toMatchObject(whole);
  });

  test.for(halting)("$name", async ({ begin, end, words }, context) => {
    const trial = await BucketTrial.start();
    await trial.send(3);
    await trial.settle();
    await trial.send(1);
    await trial.settle();
    begin(trial);
    await trial.send(3);
    await trial.waitUntil(503, words);
    await trial.send(2);
    // A start does not go on either: what the ledger published is not there.
    await trial.sidecar.stop();
    const refused = await trial.run("serve");
    expect([refused.code, refused.stderr]).toEqual([3, expect.stringMatching(/bucket/)]);
    end(trial);
    await trial.startAgain();
    await trial.send(1);
    await trial.settle();
    begin(trial);
    await trial.send(1);
    await trial.waitUntil(503, words);
    end(trial);
    await trial.send(1);
    const noticed = "publishing is halted, goes on when mended; start refused";
    expect(await trial.conclude(context, noticed)).toMatchObject(whole);
  });

  test("a published tile is changed: verify names it", async (context) => {
    const trial = await BucketTrial.start();
    await trial.send(3);
    await trial.settle();
    const folder = join(trial.prefix, "tile/0/000.p");
    const tile = join(folder, readdirSync(folder).toSorted((a, b) => Number(b) - Number(a))[0]!);
    const bytes = readFileSync(tile);
    const changed = Buffer.from(bytes);
    changed[0]! ^= 1;
    trial.sidecar.child.kill("SIGSTOP");
    writeFileSync(tile, changed);
    const named = await trial.run("verify", "--bucket", trial.bucket, "--json");
    writeFileSync(tile, bytes);
    trial.sidecar.child.kill("SIGCONT");
    expect(named.code).toBe(1);
    expect(named.stdout).toContain("tile/0/000.p");
    expect(await trial.conclude(context, "verify: the tile")).toMatchObject(whole);
  });

  test("publish.max_lag refuses senders until the bucket is back", async (context) => {
    const trial = await BucketTrial.start({ max_lag: "2s" });
    const [trouble] = passing;
    await trial.send(3);
    await trial.settle();
    trouble!.begin(trial);
    await trial.send(1);
    await trial.waitUntil(503, /the bucket is behind by more than publish.max_lag: .*ENOTDIR/);
    expect(await trial.trySend()).toBe(503);
    trouble!.end(trial);
    await eventually(async () => expect(await trial.trySend()).toBe(200));
    const noticed = "not ready, senders get 503";
    expect(await trial.conclude(context, noticed)).toMatchObject(whole);
  });

  test("two sidecars with one bucket", async (context) => {
    const trial = await BucketTrial.start();
    const config = { publish: { bucket: trial.bucket, interval: "1s" } };
    const other = await startSidecar({ config });
    for (let id = 1; id <= 5; id++) {
      await trial.send(1);
      expect(await send(other, traceRequest([toolCall({ id })]))).toBe(200);
    }
    await eventually(async () => expect((await readinessOf(other)).warnings).toBe(""));
    expect(await other.stop()).toBe(0);
    expect(await trial.conclude(context, "each has its own place")).toMatchObject(whole);
  });

  test("a copy of the ledger runs elsewhere with the same bucket", async (context) => {
    const first = await BucketTrial.start();
    await first.send(3);
    await first.settle();
    expect(await first.sidecar.stop()).toBe(0);
    const { bucket, sidecar } = first;
    const copied = temporaryFolder();
    cpSync(ledgerOf(sidecar), join(copied, "spanseal-data/ledger"), { recursive: true });
    cpSync(join(sidecar.cwd, "spanseal-keys"), join(copied, "spanseal-keys"), { recursive: true });
    await first.startAgain();
    await first.send(2);
    await first.settle();
    const config = { publish: { bucket, interval: "1s" } };
    const copy = startSidecar({ cwd: copied, config });
    await expect(copy).rejects.toThrow(/ended with 3: .*bucket/s);
    await first.send(1);
    expect(await first.conclude(context, "the copy is refused at start")).toMatchObject(whole);
  });

  test("silent when asked, as a network disk that is away", async (context) => {
    const trial = await BucketTrial.start();
    await trial.send(3);
    await trial.settle();
    const checkpoint = join(trial.prefix, "checkpoint");
    // Whoever opens it waits for a writer.
    renameSync(checkpoint, `${checkpoint}-away`);
    run("mkfifo", checkpoint);
    await trial.send(3);
    await trial.waitUntil(200, /publishing is tried again: .* has not answered yet \(reading /);
    await trial.send(3);
    await trial.sidecar.stop();
    await trial.startAgain();
    await trial.send(3);
    await trial.waitUntil(200, /publishing is tried again: .* has not answered yet \(reading /);
    const bytes = readFileSync(`${checkpoint}-away`);
    writeFileSync(checkpoint, bytes);
    rmSync(checkpoint);
    renameSync(`${checkpoint}-away`, checkpoint);
    expect(await trial.conclude(context, "publishing is tried again")).toMatchObject(whole);
  });

  test("silent in the middle of writing tiles", async (context) => {
    const trial = await BucketTrial.start({ interval: "1h" });
    await trial.send(1);
    await trial.run("publish");
    const tiles = ["0/000", "0/001", "0/002", "0/003"].flatMap((name) => [
      join(trial.prefix, "tile", name),
      join(trial.prefix, "tile/entries", name.slice(2)),
    ]);
    mkdirSync(join(trial.prefix, "tile/entries"), { recursive: true });
    run("mkfifo", ...tiles);
    const many = traceRequest(Array.from({ length: 1100 }, (_, at) => toolCall({ id: 1000 + at })));
    expect(await send(trial.sidecar, many)).toBe(200);
    const publishing = trial.run("publish");
    await new Promise((resolve) => setTimeout(resolve, 1000));
    await trial.send(5);
    await trial.waitUntil(200, /an attempt has been under way in .* for \d+ s/);
    await trial.send(5);
    for (const tile of tiles) rmSync(tile);
    await trial.kill();
    await publishing;
    await trial.run("publish");
    expect(await trial.conclude(context, "an attempt has been under way")).toMatchObject(whole);
  });
});

/** Roots are signed before, during and after the trouble, also by a second process. */
async function outlive(
  { begin, end, words }: Trouble,
  context: TestContext,
  cwd?: string,
): Promise<Verdict> {
  const trial = await BucketTrial.start({}, cwd);
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
