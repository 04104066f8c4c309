/** A forwarder with what the ledger would do around it, on real files or on simulated ones. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import type { Signal } from "../../src/audit/otlp/schema.ts";
import type { ForwardControl } from "../../src/forward/control.ts";
import { openForwarder } from "../../src/forward/forwarder.ts";
import type { Forwarder } from "../../src/forward/forwarder.ts";
import type { ForwarderOptions, RetryOptions, SinkOptions } from "../../src/forward/options.ts";
import { systemClock } from "../../src/ledger/clock.ts";
import { nodeFiles } from "../../src/ledger/files.ts";
import { spoolQueueBytes } from "../../src/limits.ts";

export async function temporaryDirectory(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), "spanseal-forward-"));
  onTestFinished(() => rm(directory, { recursive: true, force: true }));
  return directory;
}

export interface Harness {
  readonly forwarder: Forwarder;
  readonly controls: ForwardControl[];
  readonly logged: string[];
  readonly log: FakeLog;
}

/** The log as the forwarder sees it: a size that grows by groups. */
export class FakeLog {
  size: number;
  forwarder: Forwarder | undefined;

  constructor(size = 0) {
    this.size = size;
  }

  /** Commits one request with `records` records as a group of its own. */
  async append(signal: Signal, bytes: Uint8Array, records = 1): Promise<void> {
    await this.appendGroup([[signal, bytes, records]]);
  }

  async appendGroup(requests: readonly (readonly [Signal, Uint8Array, number])[]): Promise<void> {
    const group = this.size;
    let end = group;
    const entries = requests.map(([signal, bytes, records]) => {
      const first = end;
      end += records;
      return { signal, bytes, first, end };
    });
    try {
      await this.forwarder!.stage(group, entries);
    } catch (error) {
      await this.rollBack();
      throw error;
    }
    this.size = end;
    this.forwarder!.committed(end);
  }

  /** The group was not staged, or not logged: nothing else is appended before this resolves. */
  async rollBack(): Promise<void> {
    for (let tries = 0; ; tries++) {
      try {
        return await this.forwarder!.rollBack(this.size);
      } catch (error) {
        if (tries > 3) throw error;
      }
    }
  }
}

/** As the configuration has it where it does not say otherwise. */
export const retryDefaults: RetryOptions = {
  enabled: true,
  initialIntervalMs: 5000,
  maxIntervalMs: 30_000,
  multiplier: 1.5,
  randomizationFactor: 0.5,
  maxElapsedMs: 0,
};
const sinkDefaults = { compression: "gzip", timeoutMs: 30_000 } as const;
const quickRetry = { initialIntervalMs: 5, maxIntervalMs: 20 };

type GivenSink = Partial<SinkOptions> & Pick<SinkOptions, "kind">;

export type HarnessOptions = Omit<Partial<ForwarderOptions>, "sink" | "retry"> & {
  readonly sink: GivenSink;
  readonly retry?: Partial<RetryOptions>;
  readonly logSize?: number;
  readonly fakeLog?: FakeLog;
  readonly paused?: boolean;
};

export async function startHarness(options: HarnessOptions): Promise<Harness> {
  const controls: ForwardControl[] = [];
  const logged: string[] = [];
  const log = options.fakeLog ?? new FakeLog(options.logSize);
  const forwarder = await openForwarder({
    directory: options.directory ?? (await temporaryDirectory()),
    files: nodeFiles,
    clock: systemClock,
    random: () => 0.5,
    queueBytesMax: spoolQueueBytes,
    onFull: "refuse",
    redactMessage: (text) => text,
    cursorIntervalMs: 10,
    onControl: (control) => {
      controls.push(control);
      return Promise.resolve();
    },
    log: (level, message, fields) => logged.push(`${level} ${message} ${JSON.stringify(fields)}`),
    ...options,
    sink: { ...sinkDefaults, ...options.sink },
    retry: { ...retryDefaults, ...(options.retry ?? quickRetry) },
  });
  log.forwarder = forwarder;
  await forwarder.recover(log.size);
  if (options.paused !== true) forwarder.start();
  return { forwarder, controls, logged, log };
}

/** Resolves when `condition` holds; rejects with what it saw last. */
export async function until(condition: () => boolean, timeoutMs = 30_000): Promise<void> {
  const end = performance.now() + timeoutMs;
  while (!condition()) {
    if (performance.now() > end)
      throw new Error(`not reached in ${timeoutMs} ms: ${condition.toString()}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
