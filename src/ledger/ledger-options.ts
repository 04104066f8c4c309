/** What a ledger is opened with. */
import {
  chainsMax,
  checkpointRecordsMax,
  dedupeWindowRecords,
  segmentAgeMsMax,
  segmentBytesMax,
  storageRetryMsMin,
  windowBlockEntries,
} from "../limits.ts";
import type { Clock } from "./clock.ts";
import type { Files } from "./files.ts";
import type { CommitFollower } from "./follower.ts";
import type { KeyRing } from "./keys.ts";
import type { OpenedExpectations } from "./opening.ts";
import type { KnownSize } from "./recovery.ts";
import type { CommitReport, SequencerState } from "./sequencer.ts";

export interface LedgerOptions {
  readonly directory: string;
  /** Base origin; the ledger's instance is added. */
  readonly origin: string;
  readonly keys: KeyRing;
  readonly files: Files;
  readonly clock: Clock;
  /** Cryptographically random. */
  randomBytes(count: number): Uint8Array;
  readonly follower?: CommitFollower | undefined;
  /** What `opened` says: what the verifier may expect from then on. */
  readonly opened: OpenedExpectations;
  /** Sizes that spool, bucket or projection know: a shorter log is refused. */
  readonly known?: readonly KnownSize[];
  /** As `known`, asked once the directory is locked and the log's name is known. */
  evidence?(origin: string): Promise<readonly KnownSize[]>;
  readonly bounds?: Partial<LedgerBounds>;
  onStateChange?(state: SequencerState, reason: string | undefined): void;
  onCommit?(commit: CommitReport): void;
  /** A checkpoint that the ledger made by itself failed; it is tried again. */
  onCheckpointError?(error: Error): void;
}

export interface LedgerBounds {
  readonly segmentBytesMax: number;
  readonly segmentAgeMsMax: number;
  readonly checkpointRecordsMax: number;
  readonly chainsMax: number;
  readonly storageRetryMsMin: number;
  /** Ids that a repeat is recognised by: a property of the ledger, not to be lowered lightly. */
  readonly dedupeWindowRecords: number;
  readonly windowBlockEntries: number;
}

export const defaultBounds: LedgerBounds = {
  segmentBytesMax,
  segmentAgeMsMax,
  checkpointRecordsMax,
  chainsMax,
  storageRetryMsMin,
  dedupeWindowRecords,
  windowBlockEntries,
};
