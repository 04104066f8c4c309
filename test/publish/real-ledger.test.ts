/** Publishing what the real ledger writes. */
import { randomBytes } from "node:crypto";
import { cp, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { PreparedBatch } from "../../src/audit/prepared-batch.ts";
import { canonicalize } from "../../src/bytes/canonical-json.ts";
import { encodeUtf8 } from "../../src/bytes/utf8.ts";
import { bodyDigest } from "../../src/ledger/chain.ts";
import { systemClock } from "../../src/ledger/clock.ts";
import { nodeFiles } from "../../src/ledger/files.ts";
import { checkpointVerifiers, openKeys } from "../../src/ledger/keys.ts";
import type { KeyRing } from "../../src/ledger/keys.ts";
import { openLedger } from "../../src/ledger/ledger.ts";
import type { Ledger } from "../../src/ledger/ledger.ts";
import { ed25519Verifier } from "../../src/ledger/note.ts";
import { directoryBucket } from "../../src/publish/bucket/directory.ts";
import type { Bucket } from "../../src/publish/bucket/bucket.ts";
import { openPublisher, readBucketEvidence } from "../../src/publish/publisher.ts";
import type { Publisher } from "../../src/publish/publisher.ts";
import { checkLog } from "./check-log.ts";

let folder: string;
let bucket: Bucket;
let keys: KeyRing;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "spanseal-published-"));
  bucket = directoryBucket(join(folder, "bucket"), nodeFiles);
  keys = await openKeys(join(folder, "keys"), { files: nodeFiles, randomBytes }, { create: true });
});

afterEach(() => rm(folder, { recursive: true }));

function open(directory: string = "ledger"): Promise<Ledger> {
  return openLedger({
    directory: join(folder, directory),
    origin: "audit.example.com/test",
    keys,
    files: nodeFiles,
    clock: systemClock,
    randomBytes,
    opened: {
      mode: "soc2",
      publishTargets: [bucket.location],
      sealIntervalMs: 600_000,
      softwareVersion: "0.0.0",
    },
    evidence: async (origin) => {
      const evidence = await readBucketEvidence(bucket, {
        origin,
        logKeys: () => checkpointVerifiers(origin, keys),
      });
      return evidence === undefined ? [] : [{ source: "bucket", ...evidence }];
    },
  });
}

function publish(ledger: Ledger): Promise<Publisher> {
  return openPublisher({
    ledger,
    bucket,
    files: nodeFiles,
    clock: systemClock,
    intervalMs: 600_000,
  });
}

function batch(count: number): PreparedBatch {
  const bodies = Array.from({ length: count }, () =>
    encodeUtf8(
      canonicalize({
        nonce: randomBytes(16).toString("hex"),
        schema: "spanseal.record/v1",
        time: { observed: "1700000000000000000" },
      }),
    ),
  );
  let end = 0;
  return {
    signal: "traces",
    count,
    ids: randomBytes(16 * count),
    digests: Buffer.concat(bodies.map(bodyDigest)),
    bodies: Buffer.concat(bodies),
    bodyEnds: Uint32Array.from(bodies, (body) => (end += body.length)),
    chains: [{ namespace: "default", tenant: "default" }],
    chainOf: new Uint32Array(count),
    forward: new Uint8Array(),
    unrecorded: 0,
    statistics: { items: count, redactionsByClass: {} },
  };
}

const logOf = (ledger: Ledger): Parameters<typeof checkLog>[2] => ({
  origin: ledger.origin,
  verifier: ed25519Verifier(ledger.origin, keys.logKeys[0]!.publicKey),
});

test("two runs of a ledger leave one whole log in the bucket", async () => {
  const sizes: number[] = [];
  for (const count of [700, 30]) {
    const ledger = await open();
    const publisher = await publish(ledger);
    await ledger.append(batch(count));
    sizes.push((await publisher.publishNow()).size);
    await ledger.append(batch(3));
    await ledger.close();
    await publisher.close();
    sizes.push(ledger.size);
    expect(publisher.status()).toMatchObject({ lagMs: 0, lagRecords: 0, pendingRoots: 0 });
    expect(await checkLog(bucket, sizes, logOf(ledger))).toBe(ledger.size);
  }
});

test("a ledger that is older than its bucket does not open", async () => {
  const first = await open();
  const publisher = await publish(first);
  await first.append(batch(10));
  await first.close();
  await publisher.close();
  await cp(join(folder, "ledger"), join(folder, "older"), { recursive: true });

  const second = await open();
  const again = await publish(second);
  await second.append(batch(10));
  await second.close();
  await again.close();
  await expect(open("older")).rejects.toMatchObject({ code: "truncated" });
});
