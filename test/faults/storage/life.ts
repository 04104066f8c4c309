/**
 * The life of a ledger in which everything that is written is written: keys, commits of several
 * requests and chains with repeats, rotations of segments and keys, roots, publications, forward
 * copies and their cursor, an orderly end, a torn end, and the starts after both. What runs is the
 * sidecar's own composition; only the system calls below it are the test's.
 */
import { setTimeout as delay } from "node:timers/promises";
import { randomBytes } from "node:crypto";
import { filesOn } from "../../../src/ledger/files.ts";
import type { KeyRing } from "../../../src/ledger/keys.ts";
import { LedgerError } from "../../../src/ledger/ledger-error.ts";
import { ed25519Verifier } from "../../../src/ledger/note.ts";
import { readRecords } from "../../../src/ledger/read.ts";
import type { VerifyReport } from "../../../src/ledger/verify/report.ts";
import { verifyLedger } from "../../../src/ledger/verify/verify.ts";
import { controlHandlers } from "../../../src/service/control-commands.ts";
import { openCore } from "../../../src/service/core.ts";
import type { Core } from "../../../src/service/core.ts";
import { openKeysOf } from "../../../src/service/keys.ts";
import { auditPolicy, recordPolicy } from "../../../src/service/policy.ts";
import { parseConfig } from "../../../src/service/config.ts";
import type { Config } from "../../../src/service/config/model.ts";
import { traceRequest } from "../../forward/otlp-requests.ts";
import { batch, idOf } from "../../ledger/log/batch.ts";
import { FaultySystem } from "../../support/disk/faulty-system.ts";
import type { Fault, SystemCall } from "../../support/disk/faulty-system.ts";
import { MemoryDisk } from "../../support/disk/memory-disk.ts";
import { countRun, countStuck } from "./counts.ts";
import type { Counts } from "./counts.ts";
import { filesSource } from "./files-source.ts";
import type { PathSink, SinkPath } from "./path-sink.ts";

const silent = (): void => undefined;
const log = { trace: silent, debug: silent, info: silent, warn: silent, error: silent };

/** Small, so that every kind of write comes in a few requests. */
const bounds = {
  ledger: {
    segmentBytesMax: 48_000,
    storageRetryMsMin: 1,
    dedupeWindowRecords: 64,
    windowBlockEntries: 4,
  },
  spool: { segmentBytesMax: 400, cacheBytesMax: 600, cursorIntervalMs: 15 },
};

const attemptsMax = 400;
const startsMax = 6;

export type StartJudgement =
  | { readonly refusal: string }
  | {
      readonly refusal: undefined;
      readonly report: VerifyReport;
      /** Acknowledged records that the log has no longer. */
      readonly lost: readonly string[];
    };

/** What the senders, the sink and the operator have seen of one ledger over all its processes. */
export class Life {
  disk: MemoryDisk;
  readonly acknowledged: string[] = [];
  readonly sent = new Set<string>();
  readonly forwarded = new Set<string>();
  /** Sizes of roots that the operator was told to be in the bucket. */
  readonly published: number[] = [];
  readonly #sink: PathSink;
  #path: SinkPath | undefined;
  /** Called at the end of each session, with its number from 0. */
  onSession: (session: number) => Promise<void> = async () => undefined;
  /** Calls of all processes so far. */
  system: FaultySystem;

  constructor(sink: PathSink, fault?: Fault) {
    this.#sink = sink;
    this.disk = new MemoryDisk();
    this.system = new FaultySystem(this.disk, fault);
  }

  /** Another process on the disk as this one left it, or on what a power cut made of it. */
  copyOn(disk: MemoryDisk): Life {
    const copy = new Life(this.#sink);
    copy.disk = disk;
    copy.system = new FaultySystem(disk);
    copy.acknowledged.push(...this.acknowledged);
    copy.published.push(...this.published);
    for (const name of this.sent) copy.sent.add(name);
    for (const name of this.names()) copy.forwarded.add(name);
    return copy;
  }

  /** What the sink has received up to now. */
  names(): string[] {
    return [...this.forwarded, ...(this.#path?.names ?? [])];
  }

  #leavePath(): void {
    for (const name of this.#path?.names ?? []) this.forwarded.add(name);
    this.#path?.end();
    this.#path = undefined;
  }

  get config(): Config {
    this.#leavePath();
    this.#path = this.#sink.open();
    return parseConfig(`
ledger: { directory: /data/ledger }
publish: { bucket: /data/bucket, interval: 1h }
keys: { directory: /keys }
exporters:
  otlp_http:
    traces_endpoint: ${this.#path.endpoint}/v1/traces
    compression: none
    retry_on_failure: { initial_interval: 10ms, max_interval: 50ms }
`).config;
  }

  async start(): Promise<Core> {
    const { config } = this;
    const files = filesOn(this.system);
    const keys = await openKeysOf(config, { create: true, files });
    const policy = auditPolicy({ config, keys, randomBytes });
    const { redaction } = policy;
    const core = await openCore({ config, log, keys, redaction, files, bounds });
    try {
      await recordPolicy(config, core, policy);
    } catch (error) {
      await core.close(0).catch(() => undefined);
      throw error;
    }
    core.forwarder!.start();
    return core;
  }

  /** A supervisor: starts again where a start fails. */
  async startAgain(): Promise<Core> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.start();
      } catch (error) {
        if (this.system.isKilled || attempt === startsMax) throw error;
        // A process that could not start is gone, with its lock.
        this.#nextProcess();
      }
    }
  }

  #nextProcess(): void {
    const { calls, fault, met, onChange } = this.system;
    this.disk = this.disk.afterKill();
    this.system = new FaultySystem(this.disk, fault);
    this.system.calls.push(...calls);
    this.system.met = met;
    this.system.onChange = onChange;
  }

  async end(core: Core): Promise<void> {
    // An end that fails is an unclean one; the next start says so.
    await core.close(0).catch(() => undefined);
    this.#leavePath();
    if (!this.system.isKilled) this.#nextProcess();
  }

  /** The last line of the newest segment once more, and only half of it. */
  tearEnd(): void {
    const paths = this.disk.paths().filter((path) => path.endsWith(".jsonl"));
    this.disk.alter(paths.at(-1)!, (bytes) => {
      const start = bytes.lastIndexOf("\n", bytes.length - 2) + 1;
      const half = bytes.subarray(start, (start + bytes.length) >> 1);
      return Buffer.concat([bytes, half]);
    });
  }

  /** Until every step has succeeded, or the process is killed. */
  async live(): Promise<void> {
    for (const [at, steps] of sessions.entries()) {
      if (at === sessions.length - 1) this.tearEnd();
      let core = await this.startAgain();
      for (const step of steps) {
        core = await this.#succeed(core, (current) => step(this, current));
        if (this.system.isKilled) break;
      }
      await this.end(core);
      if (this.system.isKilled) return;
      await this.onSession(at);
    }
  }

  /** Senders and operators come again; a ledger that has stopped is started again. */
  async #succeed(core: Core, step: (core: Core) => Promise<void>): Promise<Core> {
    let current = core;
    for (let attempt = 1; !this.system.isKilled; attempt++) {
      try {
        await step(current);
        break;
      } catch (error) {
        if (attempt === attemptsMax) throw error;
        if (current.ledger.status().state === "stopped" || current.publisher.status().halted) {
          await this.end(current);
          current = await this.startAgain();
        }
        await delay(1);
      }
    }
    return current;
  }

  async send(core: Core, ...records: Parameters<typeof batch>[0]): Promise<void> {
    const names = records.map(({ name }) => name);
    for (const name of names) this.sent.add(name);
    const forward = Buffer.from(traceRequest(names));
    await core.ledger.append({ ...batch(records), forward });
    this.acknowledged.push(...names);
  }

  /** One start on what is there, and what verifier and senders find when it has ended again. */
  async judgeStart(): Promise<StartJudgement> {
    let core: Core;
    try {
      core = await this.start();
    } catch (error) {
      this.#leavePath();
      const { name, code } = error as Error & { code?: string };
      return { refusal: `${name} ${code ?? ""}`.trim() };
    }
    const { keys } = core;
    await core.close(0).catch(() => undefined);
    this.#leavePath();
    const { report, recorded } = await this.#read(keys, core.ledger.origin);
    const lost = this.acknowledged.filter((name) => !recorded.includes(name));
    return { refusal: undefined, report, lost };
  }

  /** Starts on what is there, as a last process without faults; what is there then is judged. */
  async judge(): Promise<Counts> {
    try {
      const core = await this.start();
      await this.send(core, { name: "last" });
      await drained(core);
      const { size } = await core.publisher.publishNow();
      this.published.push(size);
      const { keys } = core;
      await core.close(0);
      this.#leavePath();
      return await this.#count(keys, core.ledger.origin);
    } catch (error) {
      this.#leavePath();
      return countStuck(error);
    }
  }

  async #read(
    keys: KeyRing,
    origin: string,
  ): Promise<{ recorded: string[]; report: VerifyReport; sizes: ReadonlySet<number> }> {
    const files = filesOn(this.disk);
    const names = new Map([...this.sent].map((name) => [idOf(name).toString("hex"), name]));
    const recorded: string[] = [];
    try {
      for await (const { head } of readRecords("/data/ledger", {}, files)) {
        const id = Buffer.from(head.id).toString("hex");
        if (head.kind === "action") recorded.push(names.get(id) ?? id);
      }
    } catch (error) {
      // The verifier says of a damaged log what is wrong with it.
      if (!(error instanceof LedgerError)) throw error;
    }
    const source = filesSource(files, "/data/ledger", `/data/bucket/${origin}`);
    const report = await verifyLedger(source, {
      chainKey: (epoch) => keys.chainKey(epoch),
      trusted: keys.logKeys.map((key) => ed25519Verifier(origin, key.publicKey)),
    });
    return { recorded, report, sizes: new Set(await source.bucket!.checkpointSizes()) };
  }

  async #count(keys: KeyRing, origin: string): Promise<Counts> {
    const { recorded, report, sizes } = await this.#read(keys, origin);
    const failures = report.failures.map((failure) => JSON.stringify(failure));
    if (report.verdict !== "ok") failures.push(`${report.verdict}: ${report.summary}`);
    const unpublished = this.published.filter((size) => !sizes.has(size));
    if (unpublished.length > 0) failures.push(`roots not in the bucket: ${unpublished.join()}`);
    const { acknowledged, sent, forwarded } = this;
    return countRun({ acknowledged, sent, recorded, forwarded, failures });
  }
}

type Step = (life: Life, core: Core) => Promise<void>;

const long = "x".repeat(9000);

async function publish(life: Life, core: Core): Promise<void> {
  const { size } = await core.publisher.publishNow();
  life.published.push(size);
}

function rotate(which: "chain" | "log"): Step {
  return async (_, core) => {
    await controlHandlers({ core }).get("rotate")!({ which });
  };
}

/** Each session is a process that comes to an orderly end. */
const sessions: readonly (readonly Step[])[] = [
  [
    (life, core) => life.send(core, { name: "a" }, { name: "a2", tenant: "south" }),
    // In one group, of three chains, over several blocks.
    async (life, core) => {
      await Promise.all([
        life.send(core, { name: "b", text: long }),
        life.send(core, { name: "c", tenant: "south" }, { name: "d", tenant: "west" }),
      ]);
    },
    publish,
    (_, core) => drained(core),
    (life, core) => life.send(core, { name: "a" }, { name: "e" }),
    // Begins a segment.
    (life, core) => life.send(core, { name: "f", text: long.repeat(4) }),
    rotate("chain"),
    rotate("log"),
    // Eight blocks and more: what of them a power cut keeps is enumerated.
    (life, core) => life.send(core, { name: "j", text: long.repeat(3) }),
    (life, core) => life.send(core, { name: "g" }),
    publish,
  ],
  [(life, core) => life.send(core, { name: "h" }), (_, core) => drained(core)],
  [(life, core) => life.send(core, { name: "i" }, { name: "h" })],
];

async function drained(core: Core): Promise<void> {
  const waits = (): boolean =>
    Object.values(core.forwarder!.status()).some(({ queueEntries }) => queueEntries > 0);
  for (let attempt = 0; waits(); attempt++) {
    if (attempt === 2 * attemptsMax) throw new Error("the spool is not drained");
    await delay(2);
  }
}

/** All calls of a life without faults. */
export async function callsOfLife(sink: PathSink): Promise<SystemCall[]> {
  const life = new Life(sink);
  await life.live();
  return life.system.calls;
}
