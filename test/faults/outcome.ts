/** One row of a table of results, handed from a test to the reporter that writes the tables. */
import type { TestContext } from "vitest";

/** All of it, as `npm run faults` does; else what the other suites have time for. */
export const isFull: boolean = process.env["SPANSEAL_FAULTS"] === "all";

declare module "vitest" {
  interface TaskMeta {
    outcome?: Outcome;
  }
}

export interface Outcome {
  /** Name of the table's file, without its ending. */
  readonly table: string;
  /** By column, in their order. The scenario's own name comes before them. */
  readonly cells: Readonly<Record<string, string | number>>;
}

/** Called once by a test that has seen everything it wanted to see. */
export function record({ task }: Pick<TestContext, "task">, outcome: Outcome): void {
  task.meta.outcome = outcome;
}
