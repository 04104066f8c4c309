/**
 * The same faults below everything: the kernel's answers to a real process are replaced by strace.
 * Which calls there are is seen in a run without faults, so none is chosen by hand.
 */
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Random } from "../../support/agent-load.ts";
import { countStuck, addCounts } from "./counts.ts";
import type { Counts } from "./counts.ts";
import { isFull } from "../outcome.ts";
import { scenario } from "./scenario.ts";
import { World } from "./world.ts";

/** By what they do; a machine has one or the other name. */
const calls: Readonly<Record<string, readonly string[]>> = {
  openat: ["openat"],
  write: ["pwrite64"],
  fdatasync: ["fdatasync"],
  fsync: ["fsync"],
  rename: ["rename", "renameat", "renameat2"],
  link: ["link", "linkat"],
  unlink: ["unlink", "unlinkat"],
  mkdir: ["mkdir", "mkdirat"],
  close: ["close"],
};
const traced = Object.values(calls).flatMap((names) => names.map((name) => `?${name}`));

const faults = ["error=EIO", "error=ENOSPC", "error=EINTR", "signal=KILL"] as const;
/** How often each fault is made of each call. */
const samples = isFull ? 3 : 1;
const triesMax = 4;
const seed = Number(process.env["SPANSEAL_TEST_SEED"] ?? Date.now() % 1_000_000);
const random = new Random(seed);
console.log(`seed ${seed}: repeat with SPANSEAL_TEST_SEED=${seed}`);

function probe(): string | undefined {
  const { error, status, stderr } = spawnSync(
    "strace",
    ["-f", "--seccomp-bpf", "-qq", "-o", "/dev/null", "-e", "trace=fdatasync", "true"],
    { encoding: "utf8" },
  );
  if (error !== undefined) return "strace is not installed";
  return status === 0 ? undefined : `strace cannot trace here: ${stderr.trim()}`;
}

const missing = probe();
// Through a ring of its own the kernel is asked without a call that could be seen. With one thread
// for files a life has the same calls in the same order, as far as it can.
const env = { UV_USE_IO_URING: "0", UV_THREADPOOL_SIZE: "1" };

function strace(log: string, inject?: string): readonly string[] {
  // A signal is not delivered where the kernel filters the calls: then every call is looked at.
  const filter = inject?.includes("signal=") === true ? [] : ["--seccomp-bpf"];
  // Quiet, but for how a process ended.
  const parameters = ["-f", ...filter, "-q", "-y", "-o", log, "-e", `trace=${traced.join()}`];
  return ["strace", ...parameters, ...(inject === undefined ? [] : ["-e", inject])];
}

/** A start, some records of which one is large, and an orderly end, as far as it comes. */
async function live(world: World, under: readonly string[]): Promise<void> {
  try {
    const sidecar = await world.start({ under, env });
    for (let at = 0; at < 4; at++) await world.send(sidecar);
    await world.send(sidecar, "long ".repeat(4000));
    await world.send(sidecar);
    await sidecar.stop();
  } catch {
    // A start that met the fault is over: whoever runs the sidecar starts it again.
  }
}

interface SeenCall {
  readonly name: string;
  /** From 1, among those of that name by the same thread: strace counts for each by itself. */
  readonly number: number;
}

/** The calls of a life that touch its own files. */
async function recordCalls(): Promise<SeenCall[]> {
  const world = await World.open();
  const log = join(world.cwd, "strace.log");
  await live(world, strace(log));
  const numbers = new Map<string, number>();
  const seen: SeenCall[] = [];
  for (const line of readFileSync(log, "utf8").split("\n")) {
    const [call, , name] = /^(\d+) +(\w+)\(/.exec(line) ?? [];
    if (call === undefined || name === undefined) continue;
    const number = (numbers.get(call) ?? 0) + 1;
    numbers.set(call, number);
    if (/spanseal-(data|keys)/.test(line)) seen.push({ name, number });
  }
  return seen;
}

/** @returns false where the life had fewer calls this time, and the fault was not met. */
async function runFault(call: SeenCall, fault: string, counts: Counts): Promise<boolean> {
  const world = await World.open();
  const log = join(world.cwd, "strace.log");
  const inject = `inject=${call.name}:${fault}:when=${call.number}`;
  const problems = counts.problems.length;
  try {
    await live(world, strace(log, inject));
    if (!/INJECTED|killed by SIGKILL/.test(readFileSync(log, "utf8"))) return false;
    await world.judge(counts);
  } catch (error) {
    addCounts(counts, countStuck(error));
  }
  if (counts.problems.length > problems) counts.problems.push(`the fault was ${inject}`);
  return true;
}

let recorded: Promise<SeenCall[]> | undefined;
const all = Object.entries(calls);
const some = isFull ? all : [random.pick(all)];

for (const [call, names] of some) {
  scenario(
    `${call} fails with EIO, ENOSPC, EINTR, or is the last (strace)`,
    missing,
    async (counts) => {
      recorded ??= recordCalls();
      const own = (await recorded).filter(({ name }) => names.includes(name));
      if (own.length === 0) throw new Error(`a sidecar that makes no ${call} was not seen at work`);
      for (const fault of faults) {
        const before = counts.runs;
        for (let sample = 0; sample < samples; sample++) {
          for (let tries = 0; tries < triesMax; tries++) {
            if (await runFault(random.pick(own), fault, counts)) break;
          }
        }
        if (counts.runs === before) counts.problems.push(`${fault} was never met`);
      }
    },
    "STORAGE-CALLS",
  );
}
