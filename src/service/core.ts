/**
 * Ledger, spool and bucket of one configuration, opened together: what both the sidecar and a
 * command that works on the ledger itself stand on.
 */
import { randomBytes } from "node:crypto";
import { resolve } from "node:path";
import { SIGNALS } from "../audit/otlp/schema.ts";
import type { RedactionPolicy } from "../audit/redact/policy.ts";
import { ForwardError } from "../forward/forward-error.ts";
import { openForwarder } from "../forward/forwarder.ts";
import type { Forwarder } from "../forward/forwarder.ts";
import type { ForwarderOptions } from "../forward/options.ts";
import { readUnsent } from "../forward/unsent.ts";
import type { UnsentSpool } from "../forward/unsent.ts";
import { systemClock } from "../ledger/clock.ts";
import type { ControlMembers } from "../ledger/control.ts";
import { nodeFiles, waitingFiles } from "../ledger/files.ts";
import type { Files } from "../ledger/files.ts";
import type { CommitFollower } from "../ledger/follower.ts";
import { checkpointVerifiers } from "../ledger/keys.ts";
import type { KeyRing } from "../ledger/keys.ts";
import { openLedger } from "../ledger/ledger.ts";
import type { KnownSize, Ledger, LedgerBounds } from "../ledger/ledger.ts";
import type { NoteVerifier } from "../ledger/note.ts";
import { readRecord } from "../ledger/read.ts";
import { bucketAnswerMsMax, bucketWriteMsMax, controlTextCharsMax } from "../limits.ts";
import { BucketError } from "../publish/bucket/bucket.ts";
import type { Bucket } from "../publish/bucket/bucket.ts";
import { boundedBucket } from "../publish/bucket/bounded.ts";
import { directoryBucket } from "../publish/bucket/directory.ts";
import { openPublisher, readBucketEvidence } from "../publish/publisher.ts";
import type { Publisher } from "../publish/publisher.ts";
import type { Config } from "./config/model.ts";
import type { Log } from "./log.ts";
import { forwarderOptions, spoolDirectory } from "./sink.ts";
import type { SinkParts } from "./sink.ts";
import { version } from "./version.ts";

export interface Core {
  /** The keys in use; a rotation replaces them. */
  keys: KeyRing;
  readonly files: Files;
  readonly ledger: Ledger;
  readonly publisher: Publisher;
  readonly forwarder: Forwarder | undefined;
  /** What waited at the start for sinks that are not configured. */
  readonly unsent: readonly UnsentSpool[];
  /**
   * Lets the sending under way end, closes the log with its last signed root, and publishes that.
   */
  close(graceMs: number): Promise<void>;
}

export interface CoreOptions {
  readonly config: Config;
  readonly log: Log;
  readonly keys: KeyRing;
  readonly redaction: RedactionPolicy;
  /** For tests: other files than the real ones, and smaller bounds than those of `limits.ts`. */
  readonly files?: Files;
  readonly bounds?: CoreBounds;
}

export interface CoreBounds {
  readonly ledger: Partial<LedgerBounds>;
  readonly spool: Partial<
    Pick<ForwarderOptions, "segmentBytesMax" | "cacheBytesMax" | "cursorIntervalMs">
  >;
}

/**
 * Locks the ledger first; then bucket and spool are asked what they know of the log, so that a
 * shorter one is found before anything is appended; then the log is recovered, the spool cut back
 * to it, and `opened` written.
 *
 * @throws LedgerError, ForwardError, PublishError saying what to do; then nothing is left open
 */
export async function openCore(options: CoreOptions): Promise<Core> {
  const { config, log, keys, files = nodeFiles, bounds } = options;
  // Absolute: what was published is remembered by the bucket's location, however it is spelled.
  const location = resolve(config.publish.bucket);
  const bucket = boundedBucket(directoryBucket(location, options.files ?? waitingFiles), {
    answerMsMax: bucketAnswerMsMax,
    writeMsMax: bucketWriteMsMax,
  });
  const spool = new SpoolOpening(
    { ...options, files, appendControl: (control) => ledger.appendControl(control) },
    bounds?.spool,
  );
  const giveUp = async (error: unknown): Promise<never> => {
    await spool.forwarder?.close(0);
    throw error;
  };
  const ledger: Ledger = await openLedger({
    directory: config.ledger.directory,
    origin: config.ledger.origin,
    keys,
    files,
    clock: systemClock,
    randomBytes,
    ...(spool.isConfigured ? { follower: spool } : {}),
    opened: {
      mode: config.compliance.mode,
      publishTargets: [location],
      sealIntervalMs: config.publish.interval,
      softwareVersion: version,
    },
    bounds: {
      segmentBytesMax: config.ledger.segment.max_size,
      segmentAgeMsMax: config.ledger.segment.max_age,
      ...bounds?.ledger,
    },
    evidence: async (origin) => [
      ...(await bucketEvidence(bucket, { origin, keys, log })),
      ...(await spool.open()),
    ],
    onStateChange: (state, reason) => {
      const level = state === "open" || state === "closed" ? "info" : "error";
      log[level]({ state, reason }, "the ledger's state changed");
      // Not before: until then nothing can be written.
      if (state === "open") void spool.recordFailure();
    },
    onCheckpointError: (error) => log.error({ error }, "no local checkpoint could be made"),
  }).catch(giveUp);
  reportStart(ledger, log);
  for (const { message } of spool.unsent) log.warn({}, message);
  const publisher = await openPublisherOf({ config, log, files, ledger, bucket }).catch(giveUp);
  return {
    keys,
    files,
    ledger,
    publisher,
    forwarder: spool.forwarder,
    unsent: spool.unsent,
    async close(graceMs) {
      try {
        await spool.forwarder?.close(graceMs);
      } finally {
        // What the spool cannot write does not keep the log from an orderly end.
        await ledger.close().finally(() => publisher.close());
      }
    },
  };
}

interface Asked {
  readonly origin: string;
  readonly keys: KeyRing;
  readonly log: Log;
}

async function bucketEvidence(bucket: Bucket, asked: Asked): Promise<KnownSize[]> {
  const { origin, keys, log } = asked;
  try {
    const logKeys = (): NoteVerifier[] => checkpointVerifiers(origin, keys);
    const evidence = await readBucketEvidence(bucket, { origin, logKeys });
    return evidence === undefined ? [] : [{ source: `bucket ${bucket.location}`, ...evidence }];
  } catch (error) {
    // Ingestion does not depend on the bucket; publishing compares again when it is back.
    if (!(error instanceof BucketError) || error.code !== "unreachable") throw error;
    log.warn({ error }, "the bucket cannot be asked what it knows of the log");
    return [];
  }
}

function reportStart(ledger: Ledger, log: Log): void {
  const { start, size, boot } = ledger.status();
  if (start.isFirst) log.info({ directory: ledger.directory }, "created the ledger");
  else if (start.isClean) log.info({ size, boot }, "opened the ledger");
  else {
    const { setAsideBytes } = start;
    log.warn({ size, boot, setAsideBytes }, "recovered the ledger after an unclean end");
  }
}

interface Publishing {
  readonly config: Config;
  readonly log: Log;
  readonly files: Files;
  readonly ledger: Ledger;
  readonly bucket: Bucket;
}

async function openPublisherOf(publishing: Publishing): Promise<Publisher> {
  const { config, log, files, ledger, bucket } = publishing;
  const { interval, every_records: everyRecords, max_lag: maxLagMs } = config.publish;
  try {
    return await openPublisher({
      ledger,
      bucket,
      files,
      clock: systemClock,
      intervalMs: interval,
      everyRecords,
      ...(maxLagMs === undefined ? {} : { maxLagMs }),
      timeOfRecord: async (index) => {
        const record = await readRecord(ledger.directory, index, files);
        return record === undefined ? undefined : Number(BigInt(record.head.time) / 1_000_000n);
      },
      onChange: (error) =>
        error === undefined
          ? log.info({}, "publishing works again")
          : log.error({ error }, "publishing failed"),
    });
  } catch (error) {
    await ledger.close("bucket and ledger do not belong together");
    throw error;
  }
}

/** The forwarder as the ledger's follower, opened only when the ledger is locked. */
class SpoolOpening implements CommitFollower {
  readonly #parts: SinkParts;
  readonly #options: ForwarderOptions | undefined;
  /** Why a group could not be spooled, until the log says so. */
  #failure: ForwardError | undefined;
  #isFailing = false;
  forwarder: Forwarder | undefined;
  unsent: readonly UnsentSpool[] = [];

  constructor(parts: SinkParts, bounds: CoreBounds["spool"] | undefined) {
    this.#parts = parts;
    const options = forwarderOptions(parts);
    this.#options = options && { ...options, ...bounds };
  }

  get isConfigured(): boolean {
    return this.#options !== undefined;
  }

  /** @returns what the spool knows of the log. */
  async open(): Promise<KnownSize[]> {
    if (this.#options !== undefined) this.forwarder = await openForwarder(this.#options);
    this.unsent = await this.#readUnsent();
    if (this.#options === undefined || this.forwarder === undefined) return [];
    return [{ source: `spool ${this.#options.directory}`, size: this.forwarder.knownSize }];
  }

  async #readUnsent(): Promise<UnsentSpool[]> {
    const { config, files } = this.#parts;
    const sent = this.forwarder?.status() ?? {};
    const found: UnsentSpool[] = [];
    for (const signal of SIGNALS.filter((one) => sent[one] === undefined)) {
      const unsent = await readUnsent(signal, { directory: spoolDirectory(config), files });
      if (unsent !== undefined) found.push(unsent);
    }
    return found;
  }

  async recover(size: number): Promise<void> {
    await this.forwarder?.recover(size);
  }

  async stage(...staged: Parameters<CommitFollower["stage"]>): Promise<void> {
    try {
      await this.forwarder?.stage(...staged);
      this.#isFailing = false;
    } catch (error) {
      const isNews = !this.#isFailing && error instanceof ForwardError;
      if (isNews && error.code === "spool_failed") {
        // One record for all that fails until a write succeeds: senders come again and again.
        this.#isFailing = true;
        this.#failure = error;
      }
      throw error;
    }
  }

  /**
   * The log was not touched by what failed here, so it has no trace of it; without this record
   * nobody could tell later why senders were refused. Kept until it is durable.
   */
  async recordFailure(): Promise<void> {
    const failure = this.#failure;
    if (failure === undefined) return;
    this.#failure = undefined;
    try {
      await this.#parts.appendControl({ kind: "storage_failed", members: failureOf(failure) });
    } catch (error) {
      this.#failure ??= failure;
      this.#parts.log.warn({ error }, "a failure of the spool could not be recorded yet");
    }
  }

  committed(size: number): void {
    this.forwarder?.committed(size);
  }

  async rollBack(group: number): Promise<void> {
    await this.forwarder?.rollBack(group);
  }
}

function failureOf({ message, cause }: ForwardError): ControlMembers["storage_failed"] {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
  const reason = message.slice(0, controlTextCharsMax).toWellFormed();
  return { code, operation: "spool", reason };
}
