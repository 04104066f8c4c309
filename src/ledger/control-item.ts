/** Control records as the sequencer takes them, and those that the ledger writes by itself. */
import { reasonOf } from "../bytes/thrown.ts";
import { sha256Hex } from "../bytes/sha256.ts";
import { toHex } from "../bytes/hex.ts";
import { recordIdBytes, type ChainName } from "../audit/prepared-batch.ts";
import { bodyDigest, systemChain } from "./chain.ts";
import type { LedgerClock } from "./clock.ts";
import { encodeControl, type ControlKind, type ControlMembers } from "./control.ts";
import type { ControlItem } from "./group.ts";
import type { LedgerMemory } from "./memory.ts";
import type { StateReference } from "./state.ts";
import type { RecordSource } from "./head-pen.ts";

export interface ControlSource {
  readonly memory: LedgerMemory;
  readonly clock: LedgerClock;
  randomBytes(count: number): Uint8Array;
}

export interface ControlRequest<K extends ControlKind> {
  readonly kind: K;
  readonly chain?: ChainName;
  /** Called when the record's place in the log is known. */
  members(): ControlMembers[K];
}

export type Waiting = Pick<ControlItem, "resolve" | "reject">;

/** For records that nobody waits for. */
const nobody: Waiting = { resolve: () => undefined, reject: () => undefined };

export function controlItem<K extends ControlKind>(
  source: ControlSource,
  request: ControlRequest<K>,
  waiting: Waiting,
): ControlItem {
  const nonce = source.randomBytes(16);
  const id = Buffer.from(source.randomBytes(recordIdBytes));
  const makeSource = (): RecordSource => {
    const bodies = encodeControl(request.kind, request.members(), nonce) as Buffer;
    return {
      kind: request.kind,
      ids: id,
      digests: Buffer.from(bodyDigest(bodies)),
      bodies: Buffer.from(bodies),
      bodyEnds: Uint32Array.of(bodies.length),
    };
  };
  return {
    ...waiting,
    type: "control",
    kind: request.kind,
    chain: request.chain ?? systemChain,
    makeSource,
    alone: false,
    source: undefined,
    index: -1,
  };
}

/** What failed in a commit, and so what must be taken back before the next one. */
export interface FailedGroup {
  readonly group: number;
  readonly count: number;
  /** The lines that may stand on disk in part; undefined where the log was not touched. */
  readonly lines: Uint8Array | undefined;
  readonly cause: unknown;
}

export function recoveredItem(source: ControlSource, failed: FailedGroup): ControlItem {
  const { counters, tree } = source.memory;
  const { lines } = failed;
  const members = (): ControlMembers["recovered"] => ({
    boot: counters.boot,
    discarded_bytes: lines?.length ?? 0,
    discarded_digest: lines === undefined ? null : sha256Hex(lines),
    known_committed: tree.size,
    reason: `storage_failed: ${reasonOf(failed.cause)}`.slice(0, 512),
    recovery_point: failed.group,
    time: String(source.clock.now()),
    unproven_end: failed.group + failed.count,
    unproven_first: failed.group,
  });
  return controlItem(source, { kind: "recovered", members }, nobody);
}

/** Undefined where the clocks agree. */
export function clockSteppedItem(source: ControlSource): ControlItem | undefined {
  const step = source.clock.takeStep();
  if (step === undefined) return undefined;
  const members = (): ControlMembers["clock_stepped"] => ({
    ledger_time: String(step.ledgerUnixNano),
    wall_time: String(step.wallUnixNano),
  });
  return controlItem(source, { kind: "clock_stepped", members }, nobody);
}

export function chainLimitItem(
  source: ControlSource,
  limit: number,
  refusedCount: number,
): ControlItem {
  const members = (): ControlMembers["chain_limit"] => ({
    chain_count: source.memory.chains.count,
    limit,
    refused_count: refusedCount,
  });
  return controlItem(source, { kind: "chain_limit", members }, nobody);
}

/** The last record of a checkpoint: written alone, so that all before it is durable. */
export function sealItem(
  source: ControlSource,
  seal: { readonly state: StateReference | undefined; onDurable(): void },
  waiting: Waiting,
): ControlItem {
  const { counters, chains } = source.memory;
  const members = (): ControlMembers["seal"] => ({
    action_count: counters.actionCount,
    chain_count: chains.durableCount,
    drop_count: counters.dropCount,
    gap_count: counters.gapCount,
    number: counters.sealCount + 1,
    record_count: counters.recordCount,
    state_digest: seal.state?.digest ?? null,
    state_size: seal.state?.size ?? null,
    tips_root: toHex(chains.tipsRoot()),
  });
  const item = controlItem(source, { kind: "seal", members }, waiting);
  return { ...item, alone: true, onDurable: () => seal.onDurable() };
}
