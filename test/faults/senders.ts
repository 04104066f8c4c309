/** What every attack of senders must leave alone, and the row of the table that says so. */
import { expect, type TestContext } from "vitest";
import { record } from "./outcome.ts";
import type { Report } from "./siege.ts";

/** Not budgets: signs of a process that is blocked, or that holds what it should not. */
const healthMsMax = 3_000;
const memoryMiBMax = 700;

/** Expects that nobody else noticed, and makes the row. */
export function conclude(context: TestContext, answer: string, report: Report): void {
  expect(report.honest).toBeGreaterThan(1);
  expect(report.healthMsMax).toBeLessThan(healthMsMax);
  expect(report.memoryMiBMax).toBeLessThan(memoryMiBMax);
  record(context, {
    table: "SENDERS",
    cells: {
      "what the sender gets": answer,
      "connections closed": report.closed,
      "requests refused": report.refused,
      "honest requests, all acknowledged": report.honest,
      "slowest of them, ms": roundedUp(report.honestMsMax, 50),
      "slowest /healthz, ms": roundedUp(report.healthMsMax, 50),
      "resident memory, MiB": roundedUp(report.memoryMiBMax, 10),
    },
  });
}

/** Coarse, so that two runs differ where something has changed. */
function roundedUp(value: number, step: number): string {
  return `< ${(Math.floor(value / step) + 1) * step}`;
}
