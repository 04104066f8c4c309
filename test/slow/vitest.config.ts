import { defineConfig } from "vitest/config";

// What takes minutes: killed and damaged ledgers, full disks, sinks in trouble, the README in a fresh clone.
export default defineConfig({
  test: {
    root: new URL("../..", import.meta.url).pathname,
    include: [
      "test/slow/**/*.test.ts",
      "test/faults/sink-*.test.ts",
      "test/faults/storage/{clocks,copies,disks,processes,system-calls}.test.ts",
    ],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: "forks",
    maxWorkers: 2,
  },
});
