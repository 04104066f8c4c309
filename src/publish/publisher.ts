/**
 * Commits the signed roots of a log to a bucket: at intervals also when idle, every so many records,
 * on demand and at the end. It follows the ledger and never holds it up; what the bucket does not
 * take is queued on disk and tried again for ever.
 */
import { checkpointRecordsMax, publishAttemptMsUsual, publishPollMs } from "../limits.ts";
import type { Clock } from "../ledger/clock.ts";
import type { Files } from "../ledger/files.ts";
import type { NoteVerifier } from "../ledger/note.ts";
import { BucketError } from "./bucket/bucket.ts";
import type { Bucket } from "./bucket/bucket.ts";
import { Backoff } from "./backoff.ts";
import { checkSigned, connect } from "./evidence.ts";
import type { Parties, PublishedLog } from "./evidence.ts";
import { RootLag } from "./lag.ts";
import { localTree } from "./local-tree.ts";
import { publishRoot } from "./publish-root.ts";
import { PublishError, isPassing, isRestorable } from "./publish-error.ts";
import { PublishQueue } from "./queue.ts";
import type { SignedRoot } from "./queue.ts";

export { PublishError } from "./publish-error.ts";
export { readBucketEvidence } from "./evidence.ts";

/** What publishing needs of the ledger. */
export interface PublishedLedger extends PublishedLog {
  readonly directory: string;
  /** Number of records. */
  readonly size: number;
  /** Seals the log and persists tiles and a signed root in the directory, durable on return. */
  checkpoint(): Promise<SignedRoot>;
}

export interface PublisherOptions {
  readonly ledger: PublishedLedger;
  readonly bucket: Bucket;
  readonly files: Files;
  readonly clock: Clock;
  readonly intervalMs: number;
  readonly everyRecords?: number;
  /** Root lag above which `refuses` answers. */
  readonly maxLagMs?: number;
  /** Unix milliseconds of the record at an index, to know the lag that an earlier run left. */
  timeOfRecord?(index: number): Promise<number | undefined>;
  /** Told of each failure that differs from the one before, and of the success after it. */
  onChange?(error: Error | undefined): void;
}

export interface PublisherStatus {
  /** The bucket's location. */
  readonly bucket: string;
  /** Size of the log that the bucket has a signed root of; absent before the first. */
  readonly publishedSize?: number;
  /** Milliseconds since the oldest record that the bucket does not cover; 0 where there is none. */
  readonly lagMs: number;
  readonly lagRecords: number;
  readonly lagMsMax?: number;
  /** Signed roots that wait for the bucket. */
  readonly pendingRoots: number;
  readonly lastError?: string;
  /** True where publishing does not go on by itself: `lastError` says why and what to do. */
  readonly halted: boolean;
}

/**
 * @throws PublishError where bucket and ledger do not belong together: a start must not go on. An
 * unreachable bucket is no such case; it is tried again.
 */
export async function openPublisher(options: PublisherOptions): Promise<Publisher> {
  const { ledger, bucket, files } = options;
  const queue = await PublishQueue.open(ledger.directory, files, bucket.location);
  const tree = localTree(ledger.directory, files);
  const logKeys = (): readonly NoteVerifier[] => ledger.logKeys();
  const parties = { bucket, origin: ledger.origin, logKeys, queue, tree };
  for (const root of queue.pending) checkSigned(parties, root);
  const publisher = new Publisher(options, parties);
  await publisher.begin();
  return publisher;
}

export class Publisher {
  readonly #options: PublisherOptions;
  readonly #parties: Parties;
  #lag: RootLag;
  readonly #backoff = new Backoff();
  /** False after a failure, until bucket and ledger were looked at again. */
  #isSettled = false;
  #error: Error | undefined;
  /** Since when an attempt is under way. */
  #busySinceMs: number | undefined;
  #sealedAtMs: number;
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  /** One thing at a time: the end of what was asked for last. */
  #running: Promise<unknown> = Promise.resolve();

  /** Use `openPublisher`. */
  constructor(options: PublisherOptions, parties: Parties) {
    this.#options = options;
    this.#parties = parties;
    this.#lag = new RootLag(0, this.#wallMs());
    this.#sealedAtMs = this.#elapsedMs();
  }

  /** Looks at bucket and ledger once; `openPublisher` calls it. */
  async begin(): Promise<void> {
    try {
      await connect(this.#parties);
      this.#isSettled = true;
    } catch (error) {
      if (!isPassing(error)) throw error;
      this.#failed(error);
    }
    await this.#adopt();
    await this.#loadLag();
  }

  /** Begins to publish by itself. */
  start(): void {
    if (this.#closed || this.#timer !== undefined) return;
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      // Failures are kept for `status`; the next look comes anyway.
      void this.tick().finally(() => this.start());
    }, publishPollMs).unref();
  }

  /** Does what is due now. Rejects never; `status` tells what went wrong. */
  tick(): Promise<void> {
    return this.#exclusive(async () => {
      this.#lag.observe(this.#options.ledger.size, this.#wallMs());
      if (this.#isSealDue()) await this.#attempt(() => this.#seal());
      if (this.#isPublishDue()) await this.#attempt(() => this.#publishPending());
    });
  }

  /**
   * Signs a root now and commits it, with all that waited before it.
   *
   * @throws PublishError where the bucket did not take it (it stays queued), or what the ledger
   * throws where it could not make a root.
   */
  publishNow(): Promise<SignedRoot> {
    return this.#exclusive(async () => {
      let root: SignedRoot | undefined;
      const error = await this.#attempt(async () => {
        root = await this.#seal();
        await this.#publishPending();
      });
      if (error !== undefined) throw error;
      return root!;
    });
  }

  /**
   * Signs a root now and queues it durably: the bucket gets it before any later one, whenever it
   * takes it.
   *
   * @throws what the ledger throws where it could not make a root
   */
  queueRoot(): Promise<SignedRoot> {
    return this.#exclusive(() => this.#seal());
  }

  status(): PublisherStatus {
    const { ledger, bucket, maxLagMs } = this.#options;
    const { cursor, pending } = this.#parties.queue;
    const publishedSize = cursor?.size ?? 0;
    return {
      bucket: bucket.location,
      ...(publishedSize > 0 && { publishedSize }),
      lagMs: this.#lag.lagMs(this.#wallMs()),
      lagRecords: Math.max(0, ledger.size - publishedSize),
      ...(maxLagMs !== undefined && { lagMsMax: maxLagMs }),
      pendingRoots: pending.length,
      ...this.#lastError(),
      halted: this.#isHalted(),
    };
  }

  #lastError(): Pick<PublisherStatus, "lastError"> {
    if (this.#error !== undefined) return { lastError: this.#error.message };
    if (this.#busySinceMs === undefined) return {};
    const seconds = Math.floor((this.#elapsedMs() - this.#busySinceMs) / 1000);
    if (seconds * 1000 < publishAttemptMsUsual) return {};
    const { location } = this.#options.bucket;
    return { lastError: `an attempt has been under way in ${location} for ${seconds} s` };
  }

  /** Why nothing more should be accepted: the bucket is behind by more than `maxLagMs`. */
  refuses(): string | undefined {
    const { maxLagMs, bucket } = this.#options;
    if (maxLagMs === undefined) return undefined;
    const lagMs = this.#lag.lagMs(this.#wallMs());
    if (lagMs <= maxLagMs) return undefined;
    const seconds = Math.floor(lagMs / 1000);
    const cause = this.#error?.message ?? "no attempt has failed yet";
    return `the bucket ${bucket.location} is behind by ${seconds} s (publish.max_lag): ${cause}`;
  }

  /**
   * Publishes the last root of the ledger, which is closed by now, and ends. What the bucket does
   * not take at once stays queued for the next start.
   */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#exclusive(() => this.#attempt(() => this.#publishPending()));
  }

  #isSealDue(): boolean {
    const { ledger, intervalMs, everyRecords = checkpointRecordsMax } = this.#options;
    if (this.#closed) return false;
    if (this.#elapsedMs() - this.#sealedAtMs >= intervalMs) return true;
    // The monotonic clock stands still while a machine sleeps; records grow old all the same.
    if (this.#lag.unsealedMs(this.#wallMs()) >= intervalMs) return true;
    return ledger.size - this.#parties.queue.newestSize >= everyRecords;
  }

  #isPublishDue(): boolean {
    const waits = this.#parties.queue.pending.length > 0 || !this.#isSettled;
    return waits && !this.#hasEnded() && this.#backoff.isOver(this.#elapsedMs());
  }

  /** Makes a root and queues it. */
  async #seal(): Promise<SignedRoot> {
    const { ledger } = this.#options;
    const beforeMs = this.#wallMs();
    this.#lag.observe(ledger.size, beforeMs);
    // The ledger may have made roots of its own since; the newest is not to be passed over.
    await this.#adopt();
    const root = await ledger.checkpoint();
    await this.#parties.queue.add(root);
    this.#lag.observe(root.size, beforeMs);
    this.#lag.sealed(root.size);
    this.#sealedAtMs = this.#elapsedMs();
    return root;
  }

  /** Queues the newest root that the ledger has persisted. */
  async #adopt(): Promise<void> {
    const checkpoint = await this.#parties.tree.checkpoint();
    if (checkpoint === undefined) return;
    const root = { size: checkpoint.size, note: checkpoint.note.bytes };
    checkSigned(this.#parties, root);
    await this.#parties.queue.add(root);
    this.#lag.sealed(checkpoint.size);
  }

  async #publishPending(): Promise<void> {
    const { queue } = this.#parties;
    if (this.#hasEnded()) throw this.#error!;
    await this.#adopt();
    // Each time anew: a rival that published meanwhile is noticed before a tile is in its way, and
    // after a failure it turns out what the bucket did all the same.
    let connection = await connect(this.#parties);
    this.#lag.published(connection.size);
    while (queue.pending.length > 0) {
      const root = queue.pending[0]!;
      connection = await publishRoot(this.#parties, root, connection);
      this.#lag.published(root.size);
    }
    this.#succeeded();
  }

  /** Runs `action` and keeps its failure for `status`. @returns the failure. */
  async #attempt(action: () => Promise<unknown>): Promise<Error | undefined> {
    this.#busySinceMs = this.#elapsedMs();
    try {
      await action();
    } catch (error) {
      return this.#failed(error);
    } finally {
      this.#busySinceMs = undefined;
    }
    return undefined;
  }

  #failed(cause: unknown): Error {
    const error =
      cause instanceof BucketError
        ? new PublishError("unreachable", cause.message, { cause })
        : cause instanceof Error
          ? cause
          : new Error(String(cause));
    this.#isSettled = false;
    this.#backoff.fail(this.#elapsedMs());
    if (this.#hasEnded()) return this.#error!;
    const isNews = this.#error?.message !== error.message;
    this.#error = error;
    if (isNews) this.#options.onChange?.(error);
    return error;
  }

  #succeeded(): void {
    this.#isSettled = true;
    this.#backoff.reset();
    if (this.#error === undefined) return;
    this.#error = undefined;
    this.#options.onChange?.(undefined);
  }

  #isHalted(): boolean {
    return this.#error !== undefined && !isPassing(this.#error);
  }

  /** Halted until a restart. */
  #hasEnded(): boolean {
    return this.#isHalted() && !isRestorable(this.#error);
  }

  /** The lag that an earlier run left: all up to the newest queued root, and all after it. */
  async #loadLag(): Promise<void> {
    const { ledger } = this.#options;
    const { queue } = this.#parties;
    const nowMs = this.#wallMs();
    const publishedSize = queue.cursor?.size ?? 0;
    this.#lag = new RootLag(publishedSize, nowMs);
    for (const end of new Set([queue.newestSize, ledger.size])) {
      if (end <= this.#lag.size) continue;
      this.#lag.observe(end, nowMs, await this.#options.timeOfRecord?.(this.#lag.size));
      this.#lag.sealed(queue.newestSize);
    }
  }

  #exclusive<T>(action: () => Promise<T>): Promise<T> {
    const result = this.#running.then(action);
    this.#running = result.catch(() => undefined);
    return result;
  }

  #wallMs(): number {
    return Number(this.#options.clock.wallUnixNano() / 1_000_000n);
  }

  #elapsedMs(): number {
    return Number(this.#options.clock.monotonicNano() / 1_000_000n);
  }
}
