/**
 * Every call that changes the disk in a life of the ledger fails once in each way. The calls are
 * those of a life that was recorded without faults: a write that is added to the code is covered by
 * being there.
 */
import type { FaultMode, SystemCall } from "../../support/disk/faulty-system.ts";
import type { Counts } from "./counts.ts";
import { Life } from "./life.ts";
import type { PathSink } from "./path-sink.ts";

export const faultKinds = [
  "EIO",
  "ENOSPC",
  "EINTR",
  "short, then ENOSPC",
  "short, goes on",
  "SIGKILL",
  "failed but persisted",
] as const;

export type FaultKind = (typeof faultKinds)[number];

const modes: Readonly<Record<FaultKind, FaultMode>> = {
  EIO: "failed",
  ENOSPC: "failed",
  EINTR: "failed",
  "short, then ENOSPC": "short",
  "short, goes on": "partial",
  SIGKILL: "killed",
  "failed but persisted": "persisted",
};

const codes: Readonly<Partial<Record<FaultKind, string>>> = {
  ENOSPC: "ENOSPC",
  EINTR: "EINTR",
  "short, then ENOSPC": "ENOSPC",
};

const areas: readonly (readonly [RegExp, string])[] = [
  [/^\/keys/, "keys"],
  [/^\/data\/bucket\/.*\/tile\b/, "bucket: tiles"],
  [/^\/data\/bucket\/.*\/checkpoints\b/, "bucket: signed roots"],
  [/^\/data\/bucket\/.*\/(checkpoint|\.tmp)/, "bucket: newest root"],
  [/^\/data\/bucket/, "bucket: folders"],
  [/\/segments\b/, "segments"],
  [/\/tile\b/, "tiles"],
  [/\/state\b/, "state and repeats"],
  [/\/quarantine\b/, "set aside"],
  [/\/publish\b/, "queue of roots"],
  [/\/spool\/traces\/(cursor|\.tmp)/, "spool: cursor"],
  [/\/spool\b/, "spool"],
];

/** What is written by a call, and how: a row of the table. */
export function pointOf({ name, path }: SystemCall): string {
  const area = areas.find(([pattern]) => pattern.test(path))?.[1] ?? "ledger folder";
  return `${area}: ${name}`;
}

export interface WritePoint {
  readonly operation: number;
  readonly kind: FaultKind;
}

/** All faults for a life with these calls. Only a write can be short. */
export function pointsOf(calls: readonly SystemCall[]): WritePoint[] {
  return calls.flatMap(({ name }, operation) =>
    faultKinds
      .filter((kind) => name === "write" || !kind.startsWith("short"))
      .map((kind) => ({ operation, kind })),
  );
}

export interface PointResult {
  /** The row: lives differ a little, so it is told by the call that was met. */
  readonly point: string;
  readonly kind: FaultKind;
  readonly counts: Counts;
}

const triesMax = 3;

/** Undefined where the life came to its end before the call: lives differ by a few calls. */
export async function runPoint(
  sink: PathSink,
  point: WritePoint,
): Promise<PointResult | undefined> {
  for (let tries = 0; tries < triesMax; tries++) {
    const result = await tryPoint(sink, point);
    if (result !== undefined) return result;
  }
  return undefined;
}

async function tryPoint(
  sink: PathSink,
  { operation, kind }: WritePoint,
): Promise<PointResult | undefined> {
  const code = codes[kind];
  const life = new Life(sink, { operation, mode: modes[kind], ...(code && { code }) });
  let stuck: unknown;
  await life.live().catch((error: unknown) => (stuck = error));
  const { met } = life.system;
  if (met === undefined) return undefined;
  // After an error that was survived the power is cut half of the time: what was made good must be
  // durable. After a kill the kernel still has everything.
  const isCut = kind !== "SIGKILL" && operation % 2 === 1;
  const disk = isCut ? life.disk.afterPowerCut(() => false) : life.disk.afterKill();
  const counts = await life.copyOn(disk).judge();
  const isStuck = stuck !== undefined && !life.system.isKilled;
  if (isStuck) {
    counts.falseAlarms++;
    counts.problems.push(`did not go on: ${String(stuck)}`);
  }
  const where = `${kind} at ${operation}, ${met.name} ${met.path}`;
  const problems = counts.problems.map((problem) => `${where}: ${problem}`);
  return { point: pointOf(met), kind, counts: { ...counts, problems } };
}
