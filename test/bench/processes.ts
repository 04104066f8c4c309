/** Processes of the benchmark: where they run, and what the kernel says they cost. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import type { LoadResult } from "./load.ts";

const here = import.meta.dirname;
const ticksPerSecond = 100;
const cores: number = availableParallelism();
export const canPin: boolean = existsSync("/usr/bin/taskset") && cores > 1;

/** All processes that one run has started, to be ended with it. */
export class Processes {
  readonly #children: ChildProcess[] = [];

  /** Starts `command` on the first `count` cores. */
  startTarget(
    command: readonly string[],
    count: number,
    environment: Readonly<Record<string, string>> = {},
  ): ChildProcess {
    return this.#start(command, count < cores ? `0-${count - 1}` : undefined, environment);
  }

  /** Starts one of the scripts beside this file on a core that the target does not use. */
  startHelper(script: string, parameters: readonly string[]): ChildProcess {
    const others = `${cores === 2 ? 1 : 2}-${cores - 1}`;
    return this.#start([process.execPath, join(here, script), ...parameters], others, {});
  }

  #start(
    command: readonly string[],
    on: string | undefined,
    environment: Readonly<Record<string, string>>,
  ): ChildProcess {
    // taskset becomes the process that it starts.
    const [program, ...rest] =
      canPin && on !== undefined ? ["taskset", "-c", on, ...command] : command;
    const child = spawn(program!, rest, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, ...environment },
    });
    this.#children.push(child);
    return child;
  }

  /** Ends all of them at once. */
  kill(): void {
    for (const child of this.#children) child.kill("SIGKILL");
  }
}

export async function firstLine(child: ChildProcess): Promise<string> {
  let errors = "";
  child.stderr!.setEncoding("utf8").on("data", (text: string) => (errors += text));
  for await (const line of createInterface({ input: child.stdout! })) return line;
  throw new Error(`a process of the benchmark ended: ${errors}`);
}

export async function startSink(processes: Processes): Promise<{ http: number; grpc: number }> {
  const line = await firstLine(processes.startHelper("sink.ts", []));
  return JSON.parse(line) as { http: number; grpc: number };
}

/** @param options of load.ts */
export async function runLoad(
  processes: Processes,
  options: Readonly<Record<string, string | number>>,
): Promise<LoadResult> {
  const parameters = Object.entries(options).flatMap(([name, value]) => [`--${name}`, `${value}`]);
  return JSON.parse(await firstLine(processes.startHelper("load.ts", parameters))) as LoadResult;
}

/** Queued work counts: a process is idle when it has used next to no CPU for half a second. */
export async function untilIdle(pid: number): Promise<void> {
  for (let tries = 0; tries < 240; tries++) {
    const before = cpuSeconds(pid);
    await sleep(500);
    if (cpuSeconds(pid) - before <= 0.02) return;
  }
  throw new Error("the process did not become idle within two minutes");
}

/** User and system time of all threads of a process, ended ones included. */
export function cpuSeconds(pid: number): number {
  return secondsOf(readFileSync(`/proc/${pid}/stat`, "utf8"));
}

/** User and system time of each thread that runs, by thread id. */
export function threadSeconds(pid: number): Map<string, number> {
  const tasks = readdirSync(`/proc/${pid}/task`);
  return new Map(
    tasks.map((id) => [id, secondsOf(readFileSync(`/proc/${pid}/task/${id}/stat`, "utf8"))]),
  );
}

function secondsOf(stat: string): number {
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond;
}

/** Resident memory now and at its highest. */
export function residentMiB(pid: number): { now: number; peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  const mib = (name: string): number =>
    Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)![1]) / 1024;
  return { now: mib("VmRSS"), peak: mib("VmHWM") };
}
