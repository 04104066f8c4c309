/**
 * What takes part in a commit beside the log itself: the forwarder's spool. The ledger stages the
 * forward copies of a group durably before it writes the group's records, so a record on disk
 * always has its forward copy, and a spool entry beyond the log was never acknowledged.
 */
import type { Signal } from "../audit/otlp/schema.ts";

export interface StagedEntry {
  readonly signal: Signal;
  /** The redacted request to forward. Who keeps it longer than until the group's end retains it. */
  readonly bytes: Uint8Array;
  /** The records of this request: indexes `[first, end)`, empty for a request without records. */
  readonly first: number;
  readonly end: number;
}

export interface CommitFollower {
  /**
   * The log was recovered to `size` and nothing has been appended to it yet: staged entries beyond
   * it were never acknowledged, and are dropped durably. Rejects where the log must not be opened.
   */
  recover?(size: number): Promise<void>;
  /**
   * Writes the entries of one group durably: on return they survive a power cut. `group` is the
   * index of the group's first record (the log's size before the group).
   *
   * Rejects where they could not be made durable; `rollBack` follows.
   */
  stage(group: number, entries: readonly StagedEntry[]): Promise<void>;
  /** The log is durable to `size`: staged entries may now be forwarded. */
  committed(size: number): void;
  /**
   * The group could not be staged or its records not be written: takes back what is there of its
   * entries, durably. Called until it resolves, before anything else is appended: the log must not
   * grow over indexes that an entry names which nobody was told of.
   */
  rollBack(group: number): Promise<void>;
}
