/**
 * What the ledger knows in memory: a function of its log. Commits and recovery change it by the same
 * steps, and only ever by what is durable.
 */
import { toHex } from "../bytes/hex.ts";
import { epochOf } from "./chain.ts";
import type { Chains } from "./chains.ts";
import { parseControl, type ControlKind } from "./control.ts";
import type { Descriptor } from "./descriptor.ts";
import { parseVkey } from "./note.ts";
import type { TreeEdge } from "./tree.ts";
import type { DedupeWindow } from "./window.ts";

export interface LedgerMemory {
  readonly descriptor: Descriptor;
  readonly descriptorDigest: Uint8Array;
  /** The instance as hexadecimal: `writer` of every head. */
  readonly writer: string;
  readonly chains: Chains;
  /** Holds the log's size. */
  tree: TreeEdge;
  readonly window: DedupeWindow;
  readonly counters: LogCounters;
}

export interface LogCounters {
  /** Starts of this ledger. */
  boot: number;
  sealCount: number;
  /** Since the last seal, without it. */
  recordCount: number;
  actionCount: number;
  gapCount: number;
  dropCount: number;
  /** Time of the newest record. */
  lastTime: bigint;
  /** MAC of the newest record as hexadecimal; null in an empty log. */
  tip: string | null;
  /** Epoch of the chain key that the next record is written under. */
  epoch: number;
  /** Raw public key, as hexadecimal, of the log key that signs checkpoints. */
  logKey: string;
  /** Digest of the policy that the newest `policy_changed` states; null before the first. */
  policy: string | null;
  /** How the log ends: an orderly end is `closed` and the seal after it. */
  ending: "open" | "closed" | "closed_and_sealed";
}

/** Of an empty log. `epoch`: the newest chain key of the key folder. */
export function newCounters(epoch: number, descriptor: Descriptor): LogCounters {
  return {
    boot: 0,
    sealCount: 0,
    recordCount: 0,
    actionCount: 0,
    gapCount: 0,
    dropCount: 0,
    lastTime: 0n,
    tip: null,
    epoch,
    logKey: toHex(descriptor.firstLogKey),
    policy: null,
    ending: "open",
  };
}

/** Counts `count` durable records of kind `action`. */
export function countActions(counters: LogCounters, count: number): void {
  if (count === 0) return;
  counters.recordCount += count;
  counters.actionCount += count;
  counters.ending = "open";
}

/** Counts one durable control record. */
export function countControl(counters: LogCounters, kind: ControlKind, body: Uint8Array): void {
  if (kind === "seal") {
    counters.sealCount++;
    counters.recordCount = 0;
    counters.actionCount = 0;
    counters.gapCount = 0;
    counters.dropCount = 0;
    counters.ending = counters.ending === "closed" ? "closed_and_sealed" : "open";
    return;
  }
  counters.recordCount++;
  counters.ending = kind === "closed" ? "closed" : "open";
  if (kind === "opened") counters.boot = parseControl("opened", body).boot;
  if (kind === "policy_changed") counters.policy = parseControl("policy_changed", body).after;
  if (kind === "key_rotated") {
    const rotated = parseControl("key_rotated", body);
    if (rotated.purpose === "chain") counters.epoch = epochOf(rotated.to);
    else counters.logKey = toHex(parseVkey(rotated.to).publicKey);
  }
  if (kind === "gap") {
    counters.gapCount++;
    counters.dropCount += parseControl("gap", body).item_count;
  }
}
