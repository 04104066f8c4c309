/**
 * The power is cut after every call of a life: what was synced is there, and of the rest any part,
 * blocks, lengths and names each by itself and in any order.
 */
import type { SystemCall } from "../../support/disk/faulty-system.ts";
import type { MemoryDisk } from "../../support/disk/memory-disk.ts";
import type { Random } from "../../support/agent-load.ts";
import type { Counts } from "./counts.ts";
import { Life } from "./life.ts";
import type { PathSink } from "./path-sink.ts";

/** All subsets of as many pending changes; beyond, a sample. */
const exhaustiveMax = 10;
const sampleCount = 256;

export interface PowerCut {
  /** Call after which the power is cut. */
  readonly call: SystemCall;
  /** What the senders and the sink had seen by then, on the disk as it was. */
  readonly life: Life;
}

/** One life, as it was after each of its calls. */
export async function recordCuts(sink: PathSink): Promise<PowerCut[]> {
  const cuts: PowerCut[] = [];
  const life = new Life(sink);
  life.system.onChange = (call) => {
    cuts.push({ call, life: life.copyOn(life.disk.afterKill()) });
  };
  await life.live();
  return cuts;
}

/** Which of `count` pending changes are kept: none, all, every prefix, and every or many others. */
export function subsetsOf(count: number, random: Random): Set<bigint> {
  const subsets = new Set<bigint>();
  for (let prefix = 0; prefix <= count; prefix++) subsets.add((1n << BigInt(prefix)) - 1n);
  if (count <= exhaustiveMax) {
    for (let subset = 0n; subset < 1n << BigInt(count); subset++) subsets.add(subset);
    return subsets;
  }
  for (let sample = 0; sample < sampleCount; sample++) {
    let subset = 0n;
    for (let at = 0; at < count; at++) subset = (subset << 1n) | BigInt(random.integer(2));
    subsets.add(subset);
  }
  return subsets;
}

/** The disk after the cut that kept this subset. */
export function diskAfter(disk: MemoryDisk, subset: bigint): MemoryDisk {
  return disk.afterPowerCut((number) => ((subset >> BigInt(number)) & 1n) === 1n);
}

export async function judgeCut({ call, life }: PowerCut, subset: bigint): Promise<Counts> {
  const counts = await life.copyOn(diskAfter(life.disk, subset)).judge();
  const where = `cut after ${call.name} ${call.path}, kept ${subset.toString(2)}`;
  return { ...counts, problems: counts.problems.map((problem) => `${where}: ${problem}`) };
}
