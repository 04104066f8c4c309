import { defineConfig } from "vitest/config";

// Tests start real servers on port 0 and own temporary directories, so files may run side by side.
export default defineConfig({
  test: {
    root: new URL("..", import.meta.url).pathname,
    include: ["test/**/*.test.ts"],
    exclude: ["test/slow/**", "test/faults/storage/**", "test/faults/sink-*", "node_modules/**"],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: "forks",
    maxWorkers: 2,
  },
});
