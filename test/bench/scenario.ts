/** One measurement of a whole process under load, whichever process it is. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Latencies, LoadResult } from "./load.ts";
import {
  cpuSeconds,
  Processes,
  residentMiB,
  runLoad,
  startSink,
  threadSeconds,
  untilIdle,
} from "./processes.ts";
import type { Size } from "./sizes.ts";

export interface Scenario {
  readonly name: string;
  readonly protocol: "grpc" | "http" | "json";
  readonly compression: "none" | "gzip" | "zstd";
  readonly size: Size;
  /** Share of spans with personal data. */
  readonly share: number;
  readonly sink: "none" | "http" | "grpc";
  readonly sinkCompression: "none" | "gzip";
  /** Cores of the process, and what it is told to make of them. */
  readonly cores: number;
  readonly workers: number;
  /**
   * `saturate`: senders with one request in flight each; a number: spans a second; `fair`: senders
   * that saturate, and several that send little.
   */
  readonly load: "saturate" | "fair" | number;
}

export interface Running {
  readonly pid: number;
  readonly ports: { readonly grpc: number; readonly http: number };
  /** What it has written, by part, in bytes; absent where nobody asks. */
  bytesOnDisk?(): Readonly<Record<string, number>>;
  /** Ends it in its own way, where something is to be had from that. */
  end?(): Promise<void>;
}

export interface Start {
  readonly scenario: Scenario;
  /** An existing folder that is left as the process leaves it. */
  readonly folder: string;
  readonly sink: { readonly http: number; readonly grpc: number };
  readonly processes: Processes;
}

/** What is measured. */
export interface Target {
  start(options: Start): Promise<Running>;
}

export interface Spans {
  readonly warmUp: number;
  readonly measured: number;
  /** Time that a load with a rate takes. */
  readonly pacedSeconds: number;
}

export interface Outcome extends Latencies {
  readonly cpuMicrosPerSpan: number;
  /** Of the thread that used most: what bounds the rate however many cores there are. */
  readonly threadMicrosPerSpan: number;
  readonly acceptedPerSecond: number;
  readonly seconds: number;
  /** Spans to be sent again, and those that were answered otherwise, or not at all. */
  readonly refused: number;
  readonly failed: number;
  /** How long a refusal took. */
  readonly refusals: Latencies;
  /** Resident memory while the load ran: the middle of all samples, and the highest ever. */
  readonly residentMiB: number;
  readonly peakMiB: number;
  /** Of the senders that send little; absent where all are alike. */
  readonly small?: Latencies;
  readonly bytesOnDiskPerSpan: Readonly<Record<string, number>>;
}

const sampleMs = 200;

export async function measure(
  target: Target,
  scenario: Scenario,
  spans: Spans,
  folder: string,
): Promise<Outcome> {
  const processes = new Processes();
  try {
    const sink = await startSink(processes);
    const running = await target.start({ scenario, folder, sink, processes });
    const load = loadOf(scenario, running);
    await runLoad(processes, { ...load, spans: spans.warmUp, seed: 9 });
    await untilIdle(running.pid);
    const outcome = await underLoad(running, () => runLoads(processes, scenario, load, spans));
    await running.end?.();
    return outcome;
  } finally {
    processes.kill();
  }
}

interface Loads {
  /** All spans, and the latencies of the usual senders. */
  readonly usual: LoadResult;
  readonly small?: LoadResult;
}

type LoadOptions = Readonly<Record<string, string | number>>;

function loadOf({ protocol, compression, size, share }: Scenario, { ports }: Running): LoadOptions {
  const port = protocol === "grpc" ? ports.grpc : ports.http;
  return { port, protocol, compression, size, share };
}

/** Little senders: 16 spans every 100 ms. */
const smallSenders = { senders: 8, batch: 16, rate: 8 * 160, seed: 5 };

async function runLoads(
  processes: Processes,
  { load }: Scenario,
  options: LoadOptions,
  { measured, pacedSeconds }: Spans,
): Promise<Loads> {
  if (typeof load === "number") {
    return {
      usual: await runLoad(processes, { ...options, spans: load * pacedSeconds, rate: load }),
    };
  }
  const saturating = runLoad(processes, { ...options, spans: measured });
  if (load === "saturate") return { usual: await saturating };
  // About as long as the big sender needs, so that both are there all the time.
  const spans = smallSenders.rate * pacedSeconds;
  const small = runLoad(processes, { ...options, ...smallSenders, spans });
  return { usual: await saturating, small: await small };
}

async function underLoad(running: Running, run: () => Promise<Loads>): Promise<Outcome> {
  const { pid } = running;
  const [cpuBefore, threadsBefore] = [cpuSeconds(pid), threadSeconds(pid)];
  const diskBefore = running.bytesOnDisk?.() ?? {};
  const sampler = new Sampler(pid);
  const { usual, small } = await run();
  const residentNow = sampler.end();
  await untilIdle(pid);
  const accepted = usual.accepted + (small?.accepted ?? 0);
  const perSpan = (seconds: number): number => (seconds * 1e6) / accepted;
  const threads = [...threadSeconds(pid)].map(
    ([id, seconds]) => seconds - (threadsBefore.get(id) ?? 0),
  );
  const disk = Object.entries(running.bytesOnDisk?.() ?? {});
  return {
    cpuMicrosPerSpan: perSpan(cpuSeconds(pid) - cpuBefore),
    threadMicrosPerSpan: perSpan(Math.max(...threads)),
    acceptedPerSecond: usual.accepted / usual.seconds,
    seconds: usual.seconds,
    refused: usual.refused + (small?.refused ?? 0),
    failed: usual.failed + (small?.failed ?? 0),
    refusals: usual.refusals,
    p50Ms: usual.p50Ms,
    p99Ms: usual.p99Ms,
    maxMs: usual.maxMs,
    residentMiB: residentNow,
    peakMiB: residentMiB(pid).peak,
    ...(small === undefined ? {} : { small: worstOf(small.senders) }),
    bytesOnDiskPerSpan: Object.fromEntries(
      disk.map(([part, bytes]) => [part, (bytes - (diskBefore[part] ?? 0)) / accepted]),
    ),
  };
}

function worstOf(senders: readonly Latencies[]): Latencies {
  return senders.reduce((worst, sender) => (sender.p99Ms > worst.p99Ms ? sender : worst));
}

/** Looks at resident memory again and again. */
class Sampler {
  readonly #samples: number[] = [];
  #isRunning = true;

  constructor(pid: number) {
    void this.#run(pid);
  }

  async #run(pid: number): Promise<void> {
    while (this.#isRunning) {
      this.#samples.push(residentMiB(pid).now);
      await sleep(sampleMs, undefined, { ref: false });
    }
  }

  /** @returns the middle one. */
  end(): number {
    this.#isRunning = false;
    return this.#samples.toSorted((left, right) => left - right)[this.#samples.length >> 1]!;
  }
}
