/** The first records of a start: what was found, and what may be expected from here on. */
import type { LedgerClock } from "./clock.ts";
import type { ControlKind, ControlMembers } from "./control.ts";
import type { Files } from "./files.ts";
import type { RecoveredLedger } from "./recovery.ts";
import { settleSetAside, type SetAside } from "./torn.ts";

export interface OpenedExpectations {
  readonly mode: string;
  readonly publishTargets: readonly string[];
  readonly sealIntervalMs: number;
  readonly softwareVersion: string;
}

export interface Opening {
  readonly directory: string;
  readonly files: Files;
  readonly clock: LedgerClock;
  readonly opened: OpenedExpectations;
  readonly recovered: RecoveredLedger;
  appendControl<K extends ControlKind>(control: {
    readonly kind: K;
    readonly members: ControlMembers[K];
  }): Promise<{ index: number }>;
}

/** Writes `opened`, then one `recovered` per thing that was found, in one group. */
export async function writeOpening(opening: Opening): Promise<void> {
  const { directory, files, recovered } = opening;
  const boot = recovered.memory.counters.boot + 1;
  const written = [
    opening.appendControl({ kind: "opened", members: openedMembers(opening, boot) }),
    ...recoveredRecords(opening, boot).map((members) =>
      opening.appendControl({ kind: "recovered", members }),
    ),
  ];
  await Promise.all(written);
  // Only now is what was set aside accounted for in the log.
  await settleSetAside(directory, files, recovered.setAside);
}

function openedMembers(opening: Opening, boot: number): ControlMembers["opened"] {
  const { opened, recovered } = opening;
  const { counters, tree } = recovered.memory;
  return {
    boot,
    clean: recovered.isClean,
    mode: opened.mode,
    previous_size: tree.size,
    previous_tip: counters.tip,
    publish_targets: opened.publishTargets,
    seal_interval_ms: opened.sealIntervalMs,
    software_version: opened.softwareVersion,
  };
}

function recoveredRecords(opening: Opening, boot: number): ControlMembers["recovered"][] {
  const { recovered, clock } = opening;
  if (recovered.isClean) return [];
  const { size } = recovered.memory.tree;
  const parts: (SetAside | undefined)[] = [...recovered.setAside];
  if (parts.length === 0) parts.push(undefined);
  const torn = recovered.tornReason === undefined ? "" : `: ${recovered.tornReason}`;
  return parts.map((part) => ({
    boot,
    discarded_bytes: part?.bytes ?? 0,
    discarded_digest: part?.digest ?? null,
    known_committed: recovered.knownCommitted,
    reason: part === undefined ? "unclean_start" : `torn_group${torn}`.slice(0, 512),
    recovery_point: size,
    time: String(clock.now()),
    // What a group that never became whole would have held, nobody can say.
    unproven_end: null,
    unproven_first: size,
  }));
}
