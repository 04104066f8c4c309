/** The ledger that a benchmark writes to: real files, real keys. */
import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { systemClock } from "../../src/ledger/clock.ts";
import { nodeFiles } from "../../src/ledger/files.ts";
import { openKeys } from "../../src/ledger/keys.ts";
import type { KeyRing } from "../../src/ledger/keys.ts";
import { openLedger } from "../../src/ledger/ledger.ts";
import type { Ledger } from "../../src/ledger/ledger.ts";

/** @returns what was opened, and the time from having the keys to having the ledger. */
export async function openBenchLedger(
  folder: string,
): Promise<{ ledger: Ledger; keys: KeyRing; startMs: number }> {
  await nodeFiles.makeDirectory(folder, 0o700);
  const sources = { files: nodeFiles, randomBytes };
  const keys = await openKeys(join(folder, "keys"), sources, { create: true });
  const begin = performance.now();
  const ledger = await openLedger({
    ...sources,
    directory: join(folder, "ledger"),
    origin: "bench",
    keys,
    clock: systemClock,
    opened: { mode: "soc2", publishTargets: [], sealIntervalMs: 600_000, softwareVersion: "bench" },
  });
  return { ledger, keys, startMs: performance.now() - begin };
}
