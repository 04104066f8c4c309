/**
 * The whole: a real sidecar process on one core, the load and the sink as processes on another,
 * and the sidecar's CPU time and memory as the kernel accounts them.
 */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { stringify } from "yaml";

const here = import.meta.dirname;
const main = join(here, "../../src/cli/main.ts");
const ticksPerSecond = 100;
const sidecarCore = 0;
const otherCore = 1;
export const canPin: boolean = existsSync("/usr/bin/taskset");

export interface Scenario {
  readonly name: string;
  readonly protocol: "grpc" | "http" | "json";
  readonly compression: "none" | "gzip";
  /** Share of spans with personal data. */
  readonly share: number;
  readonly sink: boolean;
}

export interface Outcome {
  readonly cpuMicrosPerSpan: number;
  readonly acceptedPerSecond: number;
  readonly refused: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  readonly peakMiB: number;
}

/** @param folder an existing one that is left as the sidecar leaves it */
export async function runScenario(
  scenario: Scenario,
  spans: { readonly warmUp: number; readonly measured: number },
  folder: string,
): Promise<Outcome> {
  const children: ChildProcess[] = [];
  try {
    const sinkPort = scenario.sink ? await startSink(children) : undefined;
    const sidecar = await startSidecar(folder, scenario, sinkPort);
    children.push(sidecar.child);
    await runLoad(scenario, sidecar.port, spans.warmUp);
    await untilIdle(sidecar.child.pid!);
    const before = cpuSeconds(sidecar.child.pid!);
    const load = await runLoad(scenario, sidecar.port, spans.measured);
    await untilIdle(sidecar.child.pid!);
    const cpu = cpuSeconds(sidecar.child.pid!) - before;
    return {
      cpuMicrosPerSpan: (cpu * 1e6) / load.accepted,
      acceptedPerSecond: load.accepted / load.seconds,
      refused: load.refused,
      p50Ms: load.p50Ms,
      p99Ms: load.p99Ms,
      maxMs: load.maxMs,
      peakMiB: peakMiB(sidecar.child.pid!),
    };
  } finally {
    children.forEach((child) => child.kill("SIGKILL"));
  }
}

/** Starts node on a core of its own, where the machine can. */
function startNode(core: number, script: string, parameters: readonly string[]): ChildProcess {
  const command = [process.execPath, script, ...parameters];
  const [program, ...rest] = canPin ? ["taskset", "-c", String(core), ...command] : command;
  return spawn(program!, rest, { stdio: ["ignore", "pipe", "pipe"] });
}

async function firstLine(child: ChildProcess): Promise<string> {
  let errors = "";
  child.stderr!.setEncoding("utf8").on("data", (text: string) => (errors += text));
  for await (const line of createInterface({ input: child.stdout! })) return line;
  throw new Error(`a process of the benchmark ended: ${errors}`);
}

async function startSink(children: ChildProcess[]): Promise<number> {
  const child = startNode(otherCore, join(here, "sink.ts"), []);
  children.push(child);
  return Number(await firstLine(child));
}

async function startSidecar(
  folder: string,
  { compression, protocol }: Scenario,
  sinkPort: number | undefined,
): Promise<{ child: ChildProcess; port: number }> {
  const anyPort = { endpoint: "127.0.0.1:0" };
  const sink = { endpoint: `http://127.0.0.1:${sinkPort}`, compression };
  const config = {
    receivers: { otlp: { protocols: { grpc: anyPort, http: anyPort } } },
    operations: anyPort,
    ledger: { directory: join(folder, "ledger") },
    publish: { bucket: join(folder, "bucket") },
    keys: { directory: join(folder, "keys") },
    ...(sinkPort === undefined ? {} : { exporters: { otlp_http: sink } }),
  };
  const file = join(folder, "spanseal.yaml");
  writeFileSync(file, stringify(config));
  const child = startNode(sidecarCore, main, ["serve", "--json", "--config", file]);
  const ready = JSON.parse(await firstLine(child)) as { endpoints: Record<string, string> };
  const endpoint = ready.endpoints[protocol === "grpc" ? "grpc" : "http"]!;
  return { child, port: Number(endpoint.split(":").at(-1)) };
}

interface LoadResult {
  readonly accepted: number;
  readonly refused: number;
  readonly seconds: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

async function runLoad(scenario: Scenario, port: number, spans: number): Promise<LoadResult> {
  const { protocol, compression, share } = scenario;
  const options = { protocol, compression, share, port, spans };
  const parameters = Object.entries(options).flatMap(([name, value]) => [`--${name}`, `${value}`]);
  const child = startNode(otherCore, join(here, "load.ts"), parameters);
  return JSON.parse(await firstLine(child)) as LoadResult;
}

/** Queued work counts: the sidecar is idle when it has used next to no CPU for half a second. */
async function untilIdle(pid: number): Promise<void> {
  for (let tries = 0; tries < 120; tries++) {
    const before = cpuSeconds(pid);
    await sleep(500);
    if (cpuSeconds(pid) - before <= 0.02) return;
  }
  throw new Error("the sidecar did not become idle within a minute");
}

/** User and system time of all its threads. taskset becomes the process that it starts. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

function peakMiB(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/VmHWM:\s+(\d+)/.exec(status)![1]) / 1024;
}
