/** Every file operation of a publication fails once, before or after it took effect. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, test } from "vitest";
import { nodeFiles } from "../../src/ledger/files.ts";
import type { Files } from "../../src/ledger/files.ts";
import { directoryBucket } from "../../src/publish/bucket/directory.ts";
import { openPublisher } from "../../src/publish/publisher.ts";
import type { Publisher } from "../../src/publish/publisher.ts";
import { checkLog } from "./check-log.ts";
import { smallLedger } from "./small-ledger.ts";
import type { SmallLedger } from "./small-ledger.ts";

interface FaultyFiles extends Files {
  /** Operations that changed something, since the last `failAfter`. */
  changes: number;
  /** Which of the next changes fails; -1 for none. */
  failAfter(count: number, fault: "lost" | "persisted"): void;
}

const CHANGES = new Set<string>([
  "makeDirectory",
  "createExclusive",
  "createInFolder",
  "syncDirectory",
  "replace",
  "remove",
]);

function faultyFiles(): FaultyFiles {
  let failing = -1;
  let kind = "lost";
  const faulty: FaultyFiles = {
    ...nodeFiles,
    changes: 0,
    failAfter: (count, fault) => {
      faulty.changes = 0;
      failing = count;
      kind = fault;
    },
  };
  for (const name of CHANGES) {
    const real = nodeFiles[name as "remove"];
    const wrapped = async (...args: Parameters<typeof real>): Promise<void> => {
      const fails = faulty.changes++ === failing;
      if (!fails) return real(...args);
      // What fails in truth as well, such as a missing folder, fails as it is told to.
      if (kind === "persisted") await real(...args).catch(() => undefined);
      throw Object.assign(new Error(`${name} failed`), { code: "EIO" });
    };
    Object.assign(faulty, { [name]: wrapped });
  }
  return faulty;
}

const folders: { remove(): Promise<void> }[] = [];
let nowMs = 1_700_000_000_000;
const clock = {
  wallUnixNano: () => BigInt(nowMs) * 1_000_000n,
  monotonicNano: () => BigInt(nowMs) * 1_000_000n,
};

afterEach(async () => {
  for (const folder of folders.splice(0)) await folder.remove();
});

interface Scene {
  readonly ledger: SmallLedger;
  readonly files: FaultyFiles;
  readonly bucket: string;
  readonly open: () => Promise<Publisher>;
}

async function scene(): Promise<Scene> {
  const ledger = await smallLedger();
  const bucket = await mkdtemp(join(tmpdir(), "spanseal-faults-"));
  folders.push(ledger, { remove: () => rm(bucket, { recursive: true }) });
  const files = faultyFiles();
  const open = (): Promise<Publisher> =>
    openPublisher({
      ledger,
      bucket: directoryBucket(bucket, files),
      files,
      clock,
      intervalMs: 600_000,
    });
  const publisher = await open();
  ledger.append(255);
  await publisher.publishNow();
  ledger.append(4);
  return { ledger, files, bucket, open };
}

async function changesOfOnePublication(): Promise<number> {
  const { files, open } = await scene();
  const publisher = await open();
  files.failAfter(-1, "lost");
  await publisher.publishNow();
  return files.changes;
}

test.each(["lost", "persisted"] as const)("each change fails once and is %s", async (fault) => {
  const changes = await changesOfOnePublication();
  expect(changes).toBeGreaterThan(10);
  for (let change = 0; change < changes; change++) {
    for (const restarts of [false, true]) {
      const { ledger, files, bucket, open } = await scene();
      let publisher = await open();
      files.failAfter(change, fault);
      const outcome = await publisher.publishNow().then(() => "published", String);
      // Copies that share a sync make one change fewer: then the last one is not reached.
      expect(outcome).toMatch(files.changes > change ? /failed/ : "published");
      expect(publisher.status().halted).toBe(false);
      files.failAfter(-1, fault);
      if (restarts) publisher = await open();
      nowMs += 60_000;
      await publisher.tick();
      const log = directoryBucket(bucket, nodeFiles);
      expect(await checkLog(log, [256, 261])).toBe(261);
      ledger.append(10);
      const { size } = await publisher.publishNow();
      expect(await checkLog(log, [256, 261, size])).toBe(size);
      expect(publisher.status()).toMatchObject({ pendingRoots: 0, lagMs: 0, lagRecords: 0 });
    }
  }
});
