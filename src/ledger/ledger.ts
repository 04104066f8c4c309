/**
 * The ledger: one directory, one writer, one log. Opening it checks what is there; what cannot be
 * explained is refused, what a crash leaves is repaired and written down.
 */
import { setTimeout as delay } from "node:timers/promises";

import { reasonOf } from "../bytes/thrown.ts";
import type { ChainName, PreparedBatch } from "../audit/prepared-batch.ts";
import { storageRetryMsMax } from "../limits.ts";
import { Checkpointer, type LocalCheckpoint } from "./checkpointer.ts";
import { LedgerClock, type Clock } from "./clock.ts";
import type { ControlKind, ControlMembers } from "./control.ts";
import { controlItem, type ControlSource } from "./control-item.ts";
import type { Descriptor } from "./descriptor.ts";
import { openDirectory, type LedgerIdentity } from "./directory.ts";
import type { FileLock } from "./file-system.ts";
import type { AppendResult } from "./group.ts";
import { GroupBuilder } from "./group-builder.ts";
import { checkpointVerifiers, type KeyRing } from "./keys.ts";
import { LedgerError } from "./ledger-error.ts";
import { defaultBounds, type LedgerBounds, type LedgerOptions } from "./ledger-options.ts";
import { lockDirectory } from "./lock.ts";
import type { LedgerMemory } from "./memory.ts";
import type { NoteVerifier } from "./note.ts";
import { writeOpening, type OpenedExpectations } from "./opening.ts";
import { readEarlier } from "./find-line.ts";
import { recoverLedger, type KnownSize, type RecoveredLedger } from "./recovery.ts";
import { chainRotation, logRotation, requireKeyInUse, type Rotated } from "./rotate.ts";
import { SegmentWriter } from "./segment.ts";
import { Sequencer, type CommitReport, type SequencerState } from "./sequencer.ts";

export type {
  AppendResult,
  Clock,
  CommitReport,
  KnownSize,
  LedgerBounds,
  LedgerOptions,
  LocalCheckpoint,
  OpenedExpectations,
  SequencerState,
};

export interface ControlInput<K extends ControlKind = ControlKind> {
  readonly kind: K;
  readonly members: ControlMembers[K];
  /** A tenant's chain, where the record concerns one tenant. */
  readonly chain?: ChainName;
}

export interface LedgerStatus {
  readonly state: SequencerState;
  /** Why requests are refused; undefined where they are not. */
  readonly reason: string | undefined;
  readonly size: number;
  readonly boot: number;
  readonly chainCount: number;
  readonly windowCount: number;
  readonly checkpointSize: number;
  readonly queuedRequests: number;
  readonly queuedBytes: number;
  /** Digest of the policy that the newest `policy_changed` states; null before the first. */
  readonly policyDigest: string | null;
  /** The segment that is being written, and its bytes. */
  readonly segmentFirst: number;
  readonly segmentBytes: number;
  /** How this start found the ledger. */
  readonly start: LedgerStart;
}

export interface LedgerStart {
  readonly isFirst: boolean;
  readonly isClean: boolean;
  /** Bytes of a torn end that were moved to `quarantine/`. */
  readonly setAsideBytes: number;
}

export interface Ledger {
  readonly directory: string;
  readonly descriptor: Descriptor;
  readonly descriptorDigest: Uint8Array;
  /** Base origin, slash, instance: the log's name everywhere. */
  readonly origin: string;
  /** Durable records. */
  readonly size: number;
  /** What tells checkpoints that the keys in use signed. */
  logKeys(): readonly NoteVerifier[];
  /** The newest local checkpoint; what is published is its note, byte for byte. */
  readonly latestCheckpoint: LocalCheckpoint | undefined;
  /**
   * Resolves once every record of the batch is durable and its forward copy is staged. Then, and
   * once it has rejected, `batch.bodies` is looked at no more.
   *
   * @throws LedgerError `unavailable` (try again), `too_large`, `too_many_chains`, `stopped`,
   * `closed`. Where it rejects, none of the records may be relied on; sending them again is safe.
   */
  append(batch: PreparedBatch): Promise<AppendResult>;
  appendControl<K extends ControlKind>(control: ControlInput<K>): Promise<{ index: number }>;
  /** Seals, then writes tiles, state and signed note; durable on return. */
  checkpoint(): Promise<LocalCheckpoint>;
  /**
   * Goes over to the next chain key of `keys`. Resolves once `key_rotated` is durable.
   *
   * @throws LedgerError `missing_key` where there is none.
   */
  rotateChainKey(keys: KeyRing): Promise<Rotated>;
  /** As `rotateChainKey`, for the log key. */
  rotateLogKey(keys: KeyRing): Promise<Rotated>;
  status(): LedgerStatus;
  /** Writes `closed`, a seal and a checkpoint, then lets the directory go. */
  close(reason?: string): Promise<void>;
}

/**
 * Creates or opens the ledger. On return `opened` is durable and the directory is locked until
 * `close` or the end of the process.
 *
 * @throws LedgerError saying what to do where the ledger is in use, damaged, truncated or foreign.
 */
export async function openLedger(options: LedgerOptions): Promise<Ledger> {
  const { directory, files } = options;
  await files.makeDirectory(directory, 0o700);
  const lock = await lockDirectory(directory, files);
  try {
    const identity = await openDirectory({
      ...options,
      wallUnixNano: options.clock.wallUnixNano(),
      randomBytes: (count) => options.randomBytes(count),
    });
    const bounds = { ...defaultBounds, ...options.bounds };
    const source = { ...options, bounds, identity, randomBytes: options.randomBytes.bind(options) };
    const evidence = (await options.evidence?.(identity.origin)) ?? [];
    const recovered = await recoverLedger(source, [...(options.known ?? []), ...evidence]);
    const ledger = new FileLedger(options, identity, recovered, lock);
    await ledger.begin(recovered);
    return ledger;
  } catch (error) {
    lock.release();
    throw asLedgerError(error, directory);
  }
}

function asLedgerError(error: unknown, directory: string): Error {
  if (error instanceof Error && !("syscall" in error)) return error;
  const reason = reasonOf(error);
  return new LedgerError("unavailable", `cannot open ledger ${directory}: ${reason}`, {
    remedy: "check the disk's space and the permissions",
    cause: error,
  });
}

class FileLedger implements Ledger {
  readonly directory: string;
  readonly descriptor: Descriptor;
  readonly descriptorDigest: Uint8Array;
  readonly origin: string;
  readonly #options: LedgerOptions;
  readonly #bounds: LedgerBounds;
  readonly #memory: LedgerMemory;
  readonly #lock: FileLock;
  readonly #clock: LedgerClock;
  readonly #controls: ControlSource;
  readonly #segments: SegmentWriter;
  readonly #builder: GroupBuilder;
  readonly #sequencer: Sequencer;
  readonly #checkpointer: Checkpointer;
  readonly #start: LedgerStart;
  #keys: KeyRing;
  #isCheckpointing = false;
  #closing: Promise<void> | undefined;

  constructor(
    options: LedgerOptions,
    identity: LedgerIdentity,
    recovered: RecoveredLedger,
    lock: FileLock,
  ) {
    this.directory = options.directory;
    this.descriptor = identity.descriptor;
    this.descriptorDigest = identity.digest;
    this.origin = identity.origin;
    this.#options = options;
    this.#bounds = { ...defaultBounds, ...options.bounds };
    this.#memory = recovered.memory;
    this.#lock = lock;
    this.#keys = options.keys;
    this.#start = {
      isFirst: recovered.isFirstStart,
      isClean: recovered.isClean,
      setAsideBytes: recovered.setAside.reduce((sum, { bytes }) => sum + bytes, 0),
    };
    this.#clock = new LedgerClock(options.clock, recovered.memory.counters.lastTime);
    this.#controls = {
      memory: this.#memory,
      clock: this.#clock,
      randomBytes: (count) => options.randomBytes(count),
    };
    this.#segments = new SegmentWriter(
      `${options.directory}/segments`,
      options.files,
      { bytesMax: this.#bounds.segmentBytesMax, ageMsMax: this.#bounds.segmentAgeMsMax },
      recovered.place,
    );
    this.#builder = new GroupBuilder(this.#memory, this.#keys, this.#bounds.chainsMax);
    this.#sequencer = this.#makeSequencer();
    this.#checkpointer = this.#makeCheckpointer(recovered);
  }

  #makeSequencer(): Sequencer {
    return new Sequencer({
      memory: this.#memory,
      builder: this.#builder,
      segments: this.#segments,
      clock: this.#clock,
      follower: this.#options.follower,
      controls: this.#controls,
      recordsAt: (indexes) => readEarlier(this.directory, indexes, this.#options.files),
      retryMsMin: this.#bounds.storageRetryMsMin,
      onCommit: (commit) => this.#committed(commit),
      onStateChange: (state, reason) => this.#options.onStateChange?.(state, reason),
    });
  }

  #makeCheckpointer(recovered: RecoveredLedger): Checkpointer {
    return new Checkpointer(
      {
        directory: this.directory,
        origin: this.origin,
        files: this.#options.files,
        memory: this.#memory,
        keys: () => this.#keys,
        segmentPlace: () => this.#segments.place,
        seal: (state, onDurable) => this.#sequencer.appendSeal(state, onDurable),
        blockEntries: this.#bounds.windowBlockEntries,
        stop: (reason) => this.#sequencer.stop(reason),
      },
      { latest: recovered.checkpoint, state: recovered.state, blocks: recovered.blocks },
    );
  }

  async begin(recovered: RecoveredLedger): Promise<void> {
    const { directory, opened, files } = this.#options;
    try {
      // Before the first append: afterwards a dropped entry's indexes could be taken by others.
      await this.#options.follower?.recover?.(this.size);
      await writeOpening({
        directory,
        files,
        opened,
        recovered,
        clock: this.#clock,
        appendControl: (control) => this.appendControl(control),
      });
    } catch (error) {
      await this.#sequencer.close();
      throw error;
    }
  }

  logKeys(): readonly NoteVerifier[] {
    return checkpointVerifiers(this.origin, this.#keys);
  }

  get size(): number {
    return this.#memory.tree.size;
  }

  get latestCheckpoint(): LocalCheckpoint | undefined {
    return this.#checkpointer.latest;
  }

  append(batch: PreparedBatch): Promise<AppendResult> {
    return this.#sequencer.append(batch);
  }

  appendControl<K extends ControlKind>(control: ControlInput<K>): Promise<{ index: number }> {
    return this.#sequencer.appendControl((waiting) =>
      controlItem(this.#controls, { ...control, members: () => control.members }, waiting),
    );
  }

  async checkpoint(): Promise<LocalCheckpoint> {
    if (this.#closing !== undefined) throw new LedgerError("closed", "the ledger is closed");
    return this.#checkpoint();
  }

  async #checkpoint(): Promise<LocalCheckpoint> {
    const checkpoint = await this.#checkpointer.checkpoint();
    this.#sequencer.hold = undefined;
    return checkpoint;
  }

  /** Bounds the work of the next start, whether or not anything is published. */
  #committed(commit: CommitReport): void {
    this.#options.onCommit?.(commit);
    if (this.#unsealed() < this.#bounds.checkpointRecordsMax || this.#isCheckpointing) return;
    this.#isCheckpointing = true;
    void this.#checkpointUntilDone().finally(() => {
      this.#isCheckpointing = false;
    });
  }

  #unsealed(): number {
    return this.size - (this.latestCheckpoint?.size ?? 0);
  }

  /** Tried again by itself; while it fails, the tail must not grow without end. */
  async #checkpointUntilDone(): Promise<void> {
    const { storageRetryMsMin, checkpointRecordsMax } = this.#bounds;
    for (let attempt = 0; this.#mayCheckpoint(); attempt++) {
      try {
        await this.#checkpoint();
        return;
      } catch (error) {
        const cause = error instanceof Error ? error : new Error(String(error));
        this.#options.onCheckpointError?.(cause);
        if (this.#unsealed() >= 2 * checkpointRecordsMax) {
          const { message } = cause;
          this.#sequencer.hold = `${message}; no more records until a checkpoint is made`;
        }
        const milliseconds = Math.min(storageRetryMsMax, storageRetryMsMin * 2 ** attempt);
        await delay(milliseconds, undefined, { ref: false });
      }
    }
  }

  #mayCheckpoint(): boolean {
    return this.#closing === undefined && this.#sequencer.state !== "stopped";
  }

  async rotateChainKey(keys: KeyRing): Promise<Rotated> {
    return this.#rotate(keys, () => chainRotation(this.#memory, keys));
  }

  async rotateLogKey(keys: KeyRing): Promise<Rotated> {
    return this.#rotate(keys, () => logRotation(this.#memory, this.origin, keys));
  }

  /** The record is written under the old key, and alone: the group after it has the new one. */
  async #rotate(keys: KeyRing, members: () => ControlMembers["key_rotated"]): Promise<Rotated> {
    requireKeyInUse(this.#memory.counters.epoch, this.#keys, keys);
    this.#keys = keys;
    this.#builder.useKeys(keys);
    let names = { from: "", to: "" };
    const request = { kind: "key_rotated", members: () => (names = members()) } as const;
    const { index } = await this.#sequencer.appendControl((waiting) => ({
      ...controlItem<"key_rotated">(this.#controls, request, waiting),
      alone: true,
    }));
    return { index, from: names.from, to: names.to };
  }

  status(): LedgerStatus {
    const { chains, counters, window } = this.#memory;
    const { state, reason, queue } = this.#sequencer;
    const { first, bytes } = this.#segments.place;
    return {
      state,
      reason,
      size: this.size,
      boot: counters.boot,
      policyDigest: counters.policy,
      chainCount: chains.count,
      windowCount: window.count,
      checkpointSize: this.latestCheckpoint?.size ?? 0,
      queuedRequests: queue.requests,
      queuedBytes: queue.bytes,
      segmentFirst: first,
      segmentBytes: bytes,
      start: this.#start,
    };
  }

  close(reason = "stopped"): Promise<void> {
    this.#closing ??= this.#close(reason);
    return this.#closing;
  }

  async #close(reason: string): Promise<void> {
    try {
      // A seal of an earlier call would be a second one after `closed`.
      await this.#checkpointer.idle();
      await this.#sequencer.drain();
      if (this.#sequencer.state === "open") {
        const members = (): ControlMembers["closed"] => ({
          boot: this.#memory.counters.boot,
          reason,
        });
        await this.#sequencer.finish((waiting) =>
          controlItem(this.#controls, { kind: "closed", members }, waiting),
        );
        await this.#checkpoint();
      }
    } finally {
      await this.#sequencer.close();
      this.#lock.release();
    }
  }
}
