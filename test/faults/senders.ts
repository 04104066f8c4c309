/** What every attack of senders must leave alone, and the row of the table that says so. */
import type { TestContext } from "vitest";
import { record } from "./outcome.ts";
import type { Report } from "./siege.ts";

/** Not budgets: signs of a process that is blocked, or that holds what it should not. */
const healthMsMax = 20_000;
const memoryMiBMax = 700;

/** Makes the row. @returns what else was harmed: nothing, where all is well. */
export function harms(context: TestContext, answer: string, report: Report): string[] {
  const found: string[] = [];
  if (report.honest < 2) found.push(`${report.honest} requests of honest senders`);
  if (report.healthMsMax > healthMsMax)
    found.push(`health answered after ${report.healthMsMax} ms`);
  if (report.memoryMiBMax > memoryMiBMax) found.push(`${report.memoryMiBMax} MiB of memory`);
  record(context, {
    table: "SENDERS",
    cells: {
      "what the sender gets": answer,
      "connections closed": report.closed,
      "requests refused": report.refused,
      "honest requests, all acknowledged": report.honest,
      "sent again": report.repeats,
      "slowest of them, ms": roundedUp(report.honestMsMax, 50),
      "slowest /healthz, ms": roundedUp(report.healthMsMax, 50),
      "resident memory, MiB": roundedUp(report.memoryMiBMax, 10),
    },
  });
  return found;
}

/** Coarse, so that two runs differ where something has changed. */
function roundedUp(value: number, step: number): string {
  return `< ${(Math.floor(value / step) + 1) * step}`;
}
