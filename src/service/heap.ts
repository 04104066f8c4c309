/**
 * Bounds what V8's collections take: memory, and time on a core that they share with the one thread
 * that answers.
 *
 * Sizes can only be given on node's command line, which is not ours. What a running process can
 * change are the factors by which collections let the heap grow, and how many threads mark it.
 */
import { PerformanceObserver } from "node:perf_hooks";
import { getHeapSpaceStatistics, setFlagsFromString } from "node:v8";
import { oldGenerationGrowthPercent, youngGenerationBytes } from "../limits.ts";

/** As long as the process runs, and for all of its threads. */
export function boundFullCollections(): void {
  // V8 would put what is often alive at a collection of the young generation where only a full one
  // frees it: objects of requests, which are dead by then. Those were half of what grew there.
  setFlagsFromString("--no-allocation-site-pretenuring");
  setFlagsFromString(`--heap-growing-percent=${oldGenerationGrowthPercent}`);
  // V8 would mark with four threads. On one core each takes as much of it as the thread that
  // answers, which then hardly moves while a collection is under way.
  setFlagsFromString("--concurrent-marking-max-worker-num=1");
}

/**
 * Bounds the part of the heap that new objects are made in. Left alone it grows to 64 MiB, which
 * saves next to no time here and stays resident.
 *
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
