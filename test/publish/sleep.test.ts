/** A machine that sleeps: the wall clock goes on, the monotonic one stands still. */
import { expect, onTestFinished, test } from "vitest";
import { nodeFiles } from "../../src/ledger/files.ts";
import { openPublisher } from "../../src/publish/publisher.ts";
import { memoryBucket } from "./memory-bucket.ts";
import { smallLedger } from "./small-ledger.ts";

const minute = 60_000;

test("after a sleep beyond max_lag the next look publishes, and senders are not kept waiting", async () => {
  const ledger = await smallLedger();
  onTestFinished(() => ledger.remove());
  let wallMs = 1_700_000_000_000;
  const publisher = await openPublisher({
    ledger,
    bucket: memoryBucket(),
    files: nodeFiles,
    clock: { wallUnixNano: () => BigInt(wallMs) * 1_000_000n, monotonicNano: () => 0n },
    intervalMs: 10 * minute,
    maxLagMs: 60 * minute,
  });
  ledger.append(1);
  await publisher.tick();
  expect(publisher.refuses()).toBe(undefined);
  wallMs += 120 * minute;
  expect(publisher.refuses()).toContain("publish.max_lag");
  await publisher.tick();
  expect(publisher.refuses()).toBe(undefined);
  expect(publisher.status()).toMatchObject({ lagMs: 0, publishedSize: 2 });
});
