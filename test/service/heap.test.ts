/** The heap's part for new objects stays small while much is made, in a process of its own. */
import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";
import { youngGenerationBytes } from "../../src/limits.ts";

const source = new URL("../../src/service/heap.ts", import.meta.url).href;

/** Makes objects that live for a while, and says how large the young generation became. */
function grownBytes(isBound: boolean): number {
  const script = `
    import { getHeapSpaceStatistics } from "node:v8";
    import { setImmediate } from "node:timers/promises";
    import { boundYoungGeneration } from "${source}";
    if (${isBound}) boundYoungGeneration();
    const kept = [];
    for (let turn = 0; turn < 1500; turn++) {
      for (let at = 0; at < 2000; at++) kept[(turn * 2000 + at) % 30_000] = { turn, text: "x" + at };
      await setImmediate();
    }
    const spaces = getHeapSpaceStatistics();
    console.log(spaces.find(({ space_name: name }) => name === "new_space").space_size);
  `;
  return Number(execFileSync(process.execPath, ["--input-type=module", "-e", script]));
}

test("what is made and dropped does not make the process large", () => {
  // A collection can come before the one before it was heard of.
  expect(grownBytes(true)).toBeLessThanOrEqual(2 * youngGenerationBytes);
  expect(grownBytes(false)).toBeGreaterThan(2 * youngGenerationBytes);
});
