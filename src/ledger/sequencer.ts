/**
 * The one writer of the log. Requests wait in a queue; a loop takes groups of them and commits each
 * by the steps of `#commit`, whose order is the safety argument. One group is under way at a time,
 * and is written only after the one before it was synced, so that only the last group on disk can
 * ever be torn.
 */
import { setTimeout as delay } from "node:timers/promises";

import { reasonOf } from "../bytes/thrown.ts";
import { chainLimitIntervalMs, storageRetryMsMax, storageRetryMsMin } from "../limits.ts";
import type { PreparedBatch } from "../audit/prepared-batch.ts";
import type { LedgerClock } from "./clock.ts";
import {
  chainLimitItem,
  clockSteppedItem,
  recoveredItem,
  sealItem,
  type ControlSource,
  type FailedGroup,
  type Waiting,
} from "./control-item.ts";
import { CommitQueue } from "./commit-queue.ts";
import type { CommitFollower } from "./follower.ts";
import { batchItem, resultOf, stagedEntries } from "./group.ts";
import type { AppendResult, ControlItem, Group, Item } from "./group.ts";
import type { EarlierRecords, GroupBuilder } from "./group-builder.ts";
import { LedgerError } from "./ledger-error.ts";
import type { LedgerMemory } from "./memory.ts";
import { sizeRefusal, stateRefusal, type SequencerState } from "./refusal.ts";
import type { SegmentWriter } from "./segment.ts";
import type { StateReference } from "./state.ts";

export type { SequencerState };

export interface SequencerParts {
  readonly memory: LedgerMemory;
  readonly builder: GroupBuilder;
  readonly segments: SegmentWriter;
  readonly clock: LedgerClock;
  readonly follower: CommitFollower | undefined;
  readonly controls: ControlSource;
  /** What new records of the same ids are compared with. */
  recordsAt(indexes: readonly number[]): Promise<EarlierRecords>;
  onCommit(commit: CommitReport): void;
  onStateChange(state: SequencerState, reason: string | undefined): void;
  readonly retryMsMin?: number;
}

export interface CommitReport {
  readonly records: number;
  readonly bytes: number;
  readonly milliseconds: number;
}

const none: EarlierRecords = new Map();

export class Sequencer {
  readonly #parts: SequencerParts;
  readonly #queue = new CommitQueue();
  #state: SequencerState = "open";
  #reason: string | undefined;
  /** `closed` is under way: nothing but its seal may follow. */
  #isFinishing = false;
  /** Refuses requests for a reason outside the log, such as checkpoints that cannot be made. */
  hold: string | undefined;
  #loop: Promise<void> | undefined;
  #recovery: Promise<void> | undefined;
  readonly #stopWaiting = new AbortController();
  #failures = 0;
  #refusedChains = 0;
  #chainLimitAt: bigint | undefined;

  constructor(parts: SequencerParts) {
    this.#parts = parts;
  }

  get state(): SequencerState {
    return this.#state;
  }

  get reason(): string | undefined {
    return this.#reason ?? this.hold;
  }

  get queue(): { readonly requests: number; readonly bytes: number } {
    return { requests: this.#queue.length, bytes: this.#queue.bytes };
  }

  /** Resolves once every record of the batch is durable. */
  append(batch: PreparedBatch): Promise<AppendResult> {
    const refusal = this.#refusal() ?? this.#heldReason() ?? sizeRefusal(batch);
    if (refusal !== undefined) return Promise.reject(refusal);
    return new Promise((resolve, reject) => this.#enqueue(batchItem(batch, { resolve, reject })));
  }

  /** As `append`, for a record about the ledger itself. */
  appendControl(make: (waiting: Waiting) => ControlItem): Promise<{ readonly index: number }> {
    const refusal = this.#refusal();
    if (refusal !== undefined) return Promise.reject(refusal);
    return this.#appendLast(make);
  }

  #appendLast(make: (waiting: Waiting) => ControlItem): Promise<{ readonly index: number }> {
    const refusal = stateRefusal(this.#state, this.#reason);
    if (refusal !== undefined) return Promise.reject(refusal);
    return new Promise((resolve, reject) => this.#enqueue(make({ resolve, reject })));
  }

  #refusal(): LedgerError | undefined {
    return stateRefusal(this.#isFinishing ? "closed" : this.#state, this.#reason);
  }

  /** Appends `closed` after all that waits; from the call on, only a seal is taken. */
  async finish(make: (waiting: Waiting) => ControlItem): Promise<void> {
    this.#isFinishing = true;
    await this.drain();
    await this.#appendLast(make);
  }

  /** Appends a seal over all that is durable then; `onDurable` comes before any later group. */
  appendSeal(
    state: StateReference | undefined,
    onDurable: () => void,
  ): Promise<{ readonly index: number }> {
    const { controls } = this.#parts;
    return this.#appendLast((waiting) => sealItem(controls, { state, onDurable }, waiting));
  }

  #heldReason(): LedgerError | undefined {
    return this.hold === undefined ? undefined : new LedgerError("unavailable", this.hold);
  }

  #enqueue(item: Item): void {
    this.#queue.push(item);
    this.#start();
  }

  #start(): void {
    this.#loop ??= this.#run().finally(() => {
      this.#loop = undefined;
      if (this.#queue.length > 0 && this.#state === "open") this.#start();
    });
  }

  async #run(): Promise<void> {
    // Requests that arrived in the same turn of the event loop share a group.
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#queue.length > 0 && this.#state === "open") {
      const items = this.#queue.take();
      try {
        await this.#commit(items);
      } catch (error) {
        // No step is expected to throw here: memory and disk may differ.
        this.stop(`the commit broke off (${reasonOf(error)})`);
        this.#rejectAll(items, this.#reason ?? "the ledger has stopped");
      }
    }
  }

  /**
   * 1. Repeats are recognised; records get index, time, MAC, leaf and line. Nothing is written.
   * 2. Followers make their copies durable: no record without its forward copy.
   * 3. The lines are written and synced, in one write.
   * 4. Memory follows what is durable.
   * 5. Followers may use their copies, and only now does anybody hear of success.
   */
  async #commit(taken: readonly Item[]): Promise<void> {
    const started = performance.now();
    // The clock is read first, so that a step stands in the first group that it shows in.
    const time = this.#parts.clock.now();
    const items = this.#withClockStep(this.#admit(taken));
    if (items.length === 0) return;
    const group = await this.#build(items, time);
    if (group === undefined) return;
    if (!(await this.#stage(group))) return;
    if (!(await this.#write(group))) return;
    const { records, bytes } = this.#apply(group);
    this.#acknowledge(group);
    this.#parts.onCommit({ records, bytes, milliseconds: performance.now() - started });
  }

  /** Refuses what cannot be in the log; the others are not kept waiting for it. */
  #admit(taken: readonly Item[]): Item[] {
    const items: Item[] = [];
    const begun = new Set<string>();
    for (const item of taken) {
      const refusal = this.#parts.builder.refusal(item, begun);
      if (refusal === undefined) {
        items.push(item);
        continue;
      }
      item.reject(refusal);
      this.#refusedChains++;
    }
    if (this.#refusedChains > 0 && !this.#isFinishing) this.#recordChainLimit();
    return items;
  }

  /** One record per interval, however many are refused: refusals must not fill the log. */
  #recordChainLimit(): void {
    const now = this.#parts.clock.now();
    const interval = BigInt(chainLimitIntervalMs) * 1_000_000n;
    if (this.#chainLimitAt !== undefined && now - this.#chainLimitAt < interval) return;
    this.#chainLimitAt = now;
    const { builder, controls } = this.#parts;
    this.#enqueue(chainLimitItem(controls, builder.chainsMax, this.#refusedChains));
    this.#refusedChains = 0;
  }

  #withClockStep(items: Item[]): Item[] {
    const mayStep = items.length > 0 && !this.#isFinishing;
    const step = mayStep ? clockSteppedItem(this.#parts.controls) : undefined;
    const isAlone = items.some((item) => item.type === "control" && item.alone);
    if (step === undefined) return items;
    // A seal is the last record of its checkpoint: the step is written after it.
    if (isAlone) this.#enqueue(step);
    else items.push(step);
    return items;
  }

  async #build(items: readonly Item[], time: bigint): Promise<Group | undefined> {
    const { builder, segments } = this.#parts;
    try {
      const alike = builder.alike(items);
      const earlier = alike.length > 0 ? await this.#parts.recordsAt(alike) : none;
      builder.decide(items, earlier);
      return builder.stamp(items, { time, position: segments.place.bytes }, earlier);
    } catch (error) {
      builder.abandon();
      const cause = error instanceof Error ? error : new Error(String(error));
      for (const item of items) item.reject(cause);
      return undefined;
    }
  }

  async #stage(group: Group): Promise<boolean> {
    const entries = stagedEntries(group.items);
    if (this.#parts.follower === undefined || entries.length === 0) return true;
    try {
      await this.#parts.follower.stage(group.first, entries);
      return true;
    } catch (cause) {
      this.#fail(group, { ...this.#failed(group, cause), lines: undefined });
      return false;
    }
  }

  async #write(group: Group): Promise<boolean> {
    const { builder, segments } = this.#parts;
    if (builder.writer.count === 0) return true;
    try {
      const bytes = builder.writer.written();
      await segments.append({ bytes, firstIndex: group.first, time: group.time });
      return true;
    } catch (cause) {
      this.#fail(group, this.#failed(group, cause));
      return false;
    }
  }

  #failed(group: Group, cause: unknown): FailedGroup {
    const { writer } = this.#parts.builder;
    const lines = Uint8Array.from(writer.written());
    return { group: group.first, count: writer.count, lines, cause };
  }

  #apply(group: Group): { readonly records: number; readonly bytes: number } {
    const { builder } = this.#parts;
    builder.apply(group);
    this.#failures = 0;
    for (const item of group.items) if (item.type === "control") item.onDurable?.();
    return { records: builder.writer.count, bytes: builder.writer.length };
  }

  #acknowledge(group: Group): void {
    this.#parts.follower?.committed(this.#parts.memory.tree.size);
    for (const item of group.items) {
      if (item.type === "batch") item.resolve(resultOf(item));
      else item.resolve({ index: item.index });
    }
  }

  /** Everything that waits is refused: senders keep their data and come again. */
  #fail(group: Group, failed: FailedGroup): void {
    const reason = `cannot make records durable: ${reasonOf(failed.cause)}`;
    this.#parts.builder.abandon();
    if (failed.cause instanceof LedgerError && failed.cause.code === "damaged") {
      this.stop(reasonOf(failed.cause));
    } else if (this.#state !== "stopped") {
      this.#setState("recovering", `${reason}; trying again by itself`);
    }
    this.#rejectAll(group.items, reason);
    if (this.#state !== "recovering") return;
    this.#recovery = this.#recover(failed).catch((error: unknown) => {
      this.stop(`the recovery broke off (${reasonOf(error)})`);
    });
  }

  #rejectAll(items: readonly Item[], reason: string): void {
    for (const item of [...items, ...this.#queue.takeAll()]) {
      const code = this.#state === "stopped" ? "stopped" : "unavailable";
      item.reject(new LedgerError(code, reason));
    }
  }

  /** Ends writing for good: what is on disk is no longer what memory says. */
  stop(reason: string): void {
    this.#setState("stopped", `${reason}: restart, then the log is checked from disk`);
  }

  #setState(state: SequencerState, reason: string | undefined): void {
    this.#state = state;
    this.#reason = reason;
    this.#parts.onStateChange(state, reason);
  }

  /**
   * Takes back what may stand on disk of a failed group, its forward copies included, then writes
   * the record about it until that succeeds: only a write shows that writing works.
   */
  async #recover(failed: FailedGroup): Promise<void> {
    const isLogTouched = failed.lines !== undefined;
    let mustCut = isLogTouched;
    let mustRollBack = true;
    while (this.#state === "recovering") {
      if (mustCut && !(await this.#cutBack())) return;
      mustCut = false;
      await this.#backOff();
      if (this.#state !== "recovering") return;
      if (mustRollBack && !(await this.#rollBack(failed.group))) continue;
      mustRollBack = false;
      if (!isLogTouched) break;
      if (await this.#writeRecovered(failed)) break;
      mustCut = true;
    }
    if (this.#state !== "recovering") return;
    this.#setState("open", undefined);
    if (this.#queue.length > 0) this.#start();
  }

  /** What cannot be cut back may come to light after a restart: nothing may be written over it. */
  async #cutBack(): Promise<boolean> {
    try {
      await this.#parts.segments.cutBack();
      return true;
    } catch (error) {
      this.stop(`cannot cut the log back to what is durable (${reasonOf(error)})`);
      return false;
    }
  }

  async #rollBack(group: number): Promise<boolean> {
    try {
      await this.#parts.follower?.rollBack(group);
      return true;
    } catch (error) {
      this.#reason = `the forward copies: ${reasonOf(error)}; trying again by itself`;
      return false;
    }
  }

  async #writeRecovered(failed: FailedGroup): Promise<boolean> {
    const { builder, clock, controls, segments } = this.#parts;
    const group = await this.#build([recoveredItem(controls, failed)], clock.now());
    if (group === undefined) return false;
    try {
      const bytes = builder.writer.written();
      await segments.append({ bytes, firstIndex: group.first, time: group.time });
    } catch {
      builder.abandon();
      return false;
    }
    this.#apply(group);
    this.#acknowledge(group);
    return true;
  }

  async #backOff(): Promise<void> {
    const { retryMsMin = storageRetryMsMin } = this.#parts;
    const milliseconds = Math.min(storageRetryMsMax, retryMsMin * 2 ** this.#failures);
    this.#failures++;
    const options = { signal: this.#stopWaiting.signal, ref: false };
    await delay(milliseconds, undefined, options).catch(() => undefined);
  }

  /** Waits for what is queued. */
  async drain(): Promise<void> {
    while (this.#loop !== undefined) await this.#loop;
  }

  /** Refuses everything from now on, and ends waiting. The durable log stays as it is. */
  async close(): Promise<void> {
    await this.drain();
    if (this.#state !== "stopped") this.#setState("closed", undefined);
    this.#stopWaiting.abort();
    await this.#recovery;
    await this.#parts.segments.close();
  }
}
