import { defineConfig } from "vitest/config";
import { TableReporter } from "./tables.ts";

// Every fault that we can make, against real processes. The tables of results are written anew.
export default defineConfig({
  test: {
    root: new URL("../..", import.meta.url).pathname,
    include: ["test/faults/**/*.test.ts"],
    env: { SPANSEAL_FAULTS: "all" },
    reporters: ["default", new TableReporter()],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    // The whole name of a scenario stands in its table.
    taskTitleValueFormatTruncate: 0,
    pool: "forks",
    maxWorkers: 2,
  },
});
