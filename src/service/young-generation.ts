/**
 * Bounds the part of V8's heap that new objects are made in. Left alone it grows to 64 MiB, which
 * saves next to no time here and stays resident.
 *
 * A size can only be given on node's command line, which is not ours. What the running process can
 * change is the factor by which a collection lets it grow.
 */
import { PerformanceObserver } from "node:perf_hooks";
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";
import { youngGenerationBytes } from "../limits.ts";

/**
 * As long as the process runs, and for all of its threads: one that starts later could not grow.
 */
export function boundYoungGeneration(): void {
  let growthFactor = 0;
  const decide = (): void => {
    const factor = newSpaceBytes() < youngGenerationBytes ? 2 : 1;
    if (factor === growthFactor) return;
    growthFactor = factor;
    setFlagsFromString(`--semi-space-growth-factor=${factor}`);
  };
  decide();
  // After each collection, because V8 lets it shrink again while there is little to do.
  new PerformanceObserver(decide).observe({ entryTypes: ["gc"] });
}

function newSpaceBytes(): number {
  const spaces = getHeapSpaceStatistics();
  return spaces.find(({ space_name: name }) => name === "new_space")?.space_size ?? 0;
}
