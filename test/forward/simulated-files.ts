/**
 * `Files` on a disk in memory that knows what a power cut would leave. One call can be made to fail,
 * or to be the last one.
 */
import { filesOn } from "../../src/ledger/files.ts";
import type { Files } from "../../src/ledger/files.ts";
import { FaultySystem } from "../support/disk/faulty-system.ts";
import { MemoryDisk } from "../support/disk/memory-disk.ts";

export type Remains =
  /** Only what was synced, names included. */
  | "synced"
  /** Everything, as after a killed process. */
  | "seen"
  /** All names and lengths, but zeros where data was not synced. */
  | "zeros";

export interface Failure {
  /** Number of the changing call, from 1. */
  readonly at: number;
  readonly kind: "error" | "power-cut";
}

export interface SimulatedFiles extends Files {
  readonly disk: MemoryDisk;
  readonly operations: number;
  readonly isCut: boolean;
  /** The file system after the power came back. */
  after(remains: Remains, failure?: Failure): SimulatedFiles;
  /** The same file system under a new process: nothing is lost, and nothing more is synced. */
  afterKill(): SimulatedFiles;
}

export function simulatedFiles(failure?: Failure, disk = new MemoryDisk()): SimulatedFiles {
  const system = new FaultySystem(disk);
  if (failure !== undefined) {
    const mode = failure.kind === "error" ? "failed" : "killed";
    system.fault = { operation: failure.at - 1, mode };
  }
  const files = {
    ...filesOn(system),
    disk,
    after: (remains: Remains, next?: Failure) => simulatedFiles(next, imageOf(disk, remains)),
    afterKill: () => simulatedFiles(undefined, disk.afterKill()),
  };
  return Object.defineProperties(files, {
    operations: { get: () => system.calls.length },
    isCut: { get: () => system.isKilled },
  }) as SimulatedFiles;
}

function imageOf(disk: MemoryDisk, remains: Remains): MemoryDisk {
  if (remains === "zeros") return disk.afterLostData();
  return disk.afterPowerCut(() => remains === "seen");
}
