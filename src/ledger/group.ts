/**
 * What waits for a commit: requests and control records, and what one group decides about them
 * before anything is written.
 */
import { recordIdBytes, type ChainName, type PreparedBatch } from "../audit/prepared-batch.ts";
import type { Chain } from "./chains.ts";
import type { ControlKind } from "./control.ts";
import type { StagedEntry } from "./follower.ts";
import type { RecordSource } from "./head-pen.ts";

export interface AppendResult {
  /** Indexes of the appended records: `[first, end)`. */
  readonly first: number;
  readonly end: number;
  readonly appended: number;
  /** Records that the log has already; they were not appended again. */
  readonly repeated: number;
  /** Of the appended: records with the id but not the content of an earlier one. */
  readonly conflicts: number;
}

interface Waiting<Result> {
  resolve(result: Result): void;
  reject(error: Error): void;
}

export interface BatchItem extends Waiting<AppendResult> {
  readonly type: "batch";
  readonly batch: PreparedBatch;
  readonly source: RecordSource;
  readonly idWords: Uint32Array;
  readonly chains: Chain[];
  /** The place of its first record among all action records of its group, repeats included. */
  place: number;
  /** Per record: `repeat`, `fresh`, or which earlier record it contradicts. */
  readonly outcomes: Int32Array;
  first: number;
  end: number;
  conflicts: number;
}

export interface ControlItem extends Waiting<{ readonly index: number }> {
  readonly type: "control";
  readonly kind: ControlKind;
  readonly chain: ChainName;
  /** The record as it must be at this place of the log; called again where a write is repeated. */
  makeSource(): RecordSource;
  /** Written alone, with nothing of its group after it. */
  readonly alone: boolean;
  /** Called as soon as the record is durable, before any other group is begun. */
  onDurable?(): void;
  source: RecordSource | undefined;
  index: number;
}

export type Item = BatchItem | ControlItem;

export const repeat = -1;
export const fresh = -2;

/** An earlier record of the window, by its slot, or of the same group, by its place there. */
export function conflictWith(place: number, isSameGroup: boolean): number {
  return place * 2 + (isSameGroup ? 1 : 0);
}

/** The group that is being committed. */
export interface Group {
  readonly items: readonly Item[];
  /** Index of its first record. */
  readonly first: number;
  readonly time: bigint;
}

export function batchItem(batch: PreparedBatch, waiting: Waiting<AppendResult>): BatchItem {
  return {
    ...waiting,
    type: "batch",
    batch,
    source: {
      kind: "action",
      ids: bufferOf(batch.ids),
      digests: bufferOf(batch.digests),
      bodies: bufferOf(batch.bodies),
      bodyEnds: batch.bodyEnds,
    },
    idWords: wordsOf(batch.ids, batch.count),
    chains: [],
    place: 0,
    outcomes: new Int32Array(batch.count),
    first: 0,
    end: 0,
    conflicts: 0,
  };
}

/** Records and body bytes that an item may add to a group. */
export function itemCount(item: Item): number {
  return item.type === "batch" ? item.batch.count : 1;
}

export function itemBytes(item: Item): number {
  if (item.type === "batch") return item.batch.bodies.length;
  return item.source === undefined ? 0 : item.source.bodies.length;
}

/** The forward copies of a group: of all requests but those that hold repeats and nothing else. */
export function stagedEntries(items: readonly Item[]): StagedEntry[] {
  const entries: StagedEntry[] = [];
  for (const item of items) {
    if (item.type === "control" || item.batch.forward.length === 0) continue;
    const { first, end, batch } = item;
    if (batch.count > 0 && first === end && batch.unrecorded === 0) continue;
    entries.push({ signal: batch.signal, bytes: batch.forward, first, end });
  }
  return entries;
}

export function resultOf(item: BatchItem): AppendResult {
  const appended = item.end - item.first;
  return {
    first: item.first,
    end: item.end,
    appended,
    repeated: item.batch.count - appended,
    conflicts: item.conflicts,
  };
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

/** Ids have 16 bytes each; as words they are compared four times, not sixteen. */
function wordsOf(bytes: Uint8Array, count: number): Uint32Array {
  const aligned = bytes.byteOffset % 4 === 0 ? bytes : Uint8Array.from(bytes);
  return new Uint32Array(aligned.buffer, aligned.byteOffset, (count * recordIdBytes) / 4);
}
