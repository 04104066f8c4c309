/** A scenario whose recovery is counted: a test, and a row of a table. */
import { describe, expect, test } from "vitest";
import type { TestContext } from "vitest";
import { isFull, record } from "../outcome.ts";
import { noCounts } from "./counts.ts";
import type { Counts } from "./counts.ts";

/** One for each way to run: they take minutes, and can be written one by one. */
type StorageTable = "STORAGE-WRITES" | "STORAGE-CUTS" | "STORAGE-CALLS" | "STORAGE-PROCESSES";

/** Longer than a busy machine needs: none of this is about speed. */
const timeout = isFull ? 1_800_000 : 300_000;

/** `missing`: why it cannot be run on this machine. */
export function scenario(
  name: string,
  missing: string | undefined,
  run: (counts: Counts) => Promise<void>,
  table: StorageTable = "STORAGE-PROCESSES",
): void {
  if (missing !== undefined) console.warn(`not run: ${name}: ${missing}`);
  describe("Real processes and disks", () => {
    const body = async (context: TestContext): Promise<void> => {
      const counts = noCounts();
      await run(counts);
      expect(counts.problems).toEqual([]);
      conclude(context, table, counts);
    };
    // oxlint-disable-next-line vitest/valid-title, vitest/expect-expect -- both are given above
    test.skipIf(missing !== undefined)(name, { timeout }, body);
  });
}

/** The row of the table: nothing but zeros, and the number of runs that show them. */
export function conclude(context: TestContext, table: StorageTable, counts: Counts): void {
  const { runs, acknowledgedLost, invented, falseAlarms, undetected, forwardLost } = counts;
  const cells = {
    runs,
    "acknowledged lost": acknowledgedLost,
    invented,
    "false alarms": falseAlarms,
    undetected,
    "forward copies lost": forwardLost,
  };
  for (const count of Object.values(cells).slice(1)) expect(count).toBe(0);
  expect(runs).toBeGreaterThan(0);
  record(context, { table, cells });
}
