/**
 * `npm run bench`: what each stage and the whole cost, in CPU time per span of the sidecar, which
 * means the same on a quiet and on a busy machine; wall-clock figures are shown beside it.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { measureDiskStages } from "./disk-stages.ts";
import { measureReceiving } from "./receive-stages.ts";
import { canPin, runScenario } from "./sidecar.ts";
import type { Outcome, Scenario } from "./sidecar.ts";
import { measureStages } from "./stages.ts";
import type { Measured, StageOptions } from "./stages.ts";
import { median, micro, row, spread, tableHead, whole } from "./table.ts";

/** One core, 880-byte spans, everything on. */
const budgetMicros = 9;

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    stages: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

const help = `npm run bench [-- --quick] [--stages] [--json]

Prints what each stage of a span's way costs alone, then what a whole sidecar costs under load:
a process on core 0, with load generator and sink on core 1, its CPU time (user and system, all
threads) read from /proc once its queues are empty. 512 spans a request, about 840 bytes and 13
attributes a span, four connections with one request in flight each. Warm-up is not counted; where
there were several runs, the median stands first and the range behind it.

CPU time hardly depends on what else the machine does; acked/s and latencies do.

--quick   fewer and shorter runs, 880 B and the first scenario only
--stages  the stages alone
--json    one JSON object instead of tables

TMPDIR names the disk that is written to.
`;

const usual = { protocol: "grpc", compression: "none", share: 0.02, sink: true } as const;

/** The first is what the budget is for; the more usual ones are run several times. */
const SCENARIOS: readonly (Scenario & { readonly runs: number })[] = [
  { ...usual, name: "gRPC, sink", runs: 3 },
  { ...usual, name: "gRPC, no sink", sink: false, runs: 2 },
  { ...usual, name: "gRPC, sink, clean", share: 0, runs: 2 },
  { ...usual, name: "gRPC gzip, sink gzip", compression: "gzip", runs: 2 },
  { ...usual, name: "HTTP protobuf, sink", protocol: "http", runs: 1 },
  { ...usual, name: "HTTP gzip, sink gzip", protocol: "http", compression: "gzip", runs: 1 },
  { ...usual, name: "HTTP JSON, sink", protocol: "json", runs: 1 },
  { ...usual, name: "HTTP JSON gzip, sink gzip", protocol: "json", compression: "gzip", runs: 1 },
];

interface Settings {
  readonly stages: StageOptions;
  readonly spans: Parameters<typeof runScenario>[1];
}

const quickScenarios = 1;
const settings: Settings = values.quick
  ? {
      stages: { runs: 3, rounds: 12, warmUpRounds: 32, sizes: ["880 B"] },
      spans: { warmUp: 20_480, measured: 65_536 },
    }
  : {
      stages: { runs: 3, rounds: 64, warmUpRounds: 160, sizes: ["300 B", "3 KB", "880 B"] },
      // One local checkpoint and one publication fall on so many records.
      spans: { warmUp: 40_960, measured: 65_536 },
    };

function say(text: string): void {
  if (!values.json) process.stdout.write(`${text}\n`);
}

function machine(): string {
  const model = cpus()[0]!.model;
  const load = loadavg()[0]!.toFixed(1);
  return `${model}, ${cpus().length} cores, load ${load}, Node ${process.versions.node}`;
}

const STAGE_COLUMNS = [
  { title: "stage (CPU of one core)", width: 34 },
  { title: "µs each", width: 22 },
  { title: "per s", width: 12 },
  { title: "MB/s", width: 8 },
];

function printStages(stages: readonly Measured[]): void {
  say(tableHead(STAGE_COLUMNS));
  for (const { stage, cpuMicros, bytesPerSpan, unit } of stages) {
    const micros = median(cpuMicros);
    const rate = bytesPerSpan === 0 ? "" : whole(bytesPerSpan / micros);
    const cells = [stage, spread(cpuMicros, micro), `${whole(1e6 / micros)} ${unit[0]}`, rate];
    say(row(STAGE_COLUMNS, cells));
  }
  say("(s: spans, r: records)\n");
}

const WHOLE_COLUMNS = [
  { title: "the whole (2 % personal data)", width: 30 },
  { title: "CPU µs/span", width: 20 },
  { title: "x budget", width: 9 },
  { title: "spans/s/core", width: 13 },
  { title: "acked/s", width: 9 },
  { title: "p50", width: 6 },
  { title: "p99", width: 6 },
  { title: "max ms", width: 7 },
  { title: "MiB", width: 5 },
];

function printScenario(name: string, outcomes: readonly Outcome[]): void {
  const of = (pick: (outcome: Outcome) => number): number => median(outcomes.map(pick));
  const cpu = outcomes.map((outcome) => outcome.cpuMicrosPerSpan);
  say(
    row(WHOLE_COLUMNS, [
      name,
      spread(cpu, micro),
      (median(cpu) / budgetMicros).toFixed(2),
      whole(1e6 / median(cpu)),
      whole(of((outcome) => outcome.acceptedPerSecond)),
      whole(of((outcome) => outcome.p50Ms)),
      whole(of((outcome) => outcome.p99Ms)),
      whole(of((outcome) => outcome.maxMs)),
      whole(of((outcome) => outcome.peakMiB)),
    ]),
  );
}

/** All runs, their folders below `folder`. */
async function runWhole(folder: string): Promise<Record<string, Outcome[]>> {
  say(tableHead(WHOLE_COLUMNS));
  const whole: Record<string, Outcome[]> = {};
  for (const scenario of values.quick ? SCENARIOS.slice(0, quickScenarios) : SCENARIOS) {
    const outcomes: Outcome[] = [];
    for (let run = 0; run < (values.quick ? 1 : scenario.runs); run++) {
      const own = mkdtempSync(join(folder, "sidecar-"));
      outcomes.push(await runScenario(scenario, settings.spans, own));
    }
    whole[scenario.name] = outcomes;
    printScenario(scenario.name, outcomes);
  }
  say(`(budget: ${budgetMicros} µs, gRPC, everything on, with a sink)`);
  return whole;
}

async function benchmark(folder: string): Promise<void> {
  const begin = machine();
  say(`${begin}${canPin ? "" : " (taskset is missing: nothing is pinned to a core)"}\n`);
  const disk = mkdtempSync(join(folder, "stages-"));
  const stages = [
    ...(await measureReceiving(settings.stages)),
    ...measureStages(settings.stages),
    ...(await measureDiskStages(disk, settings.stages)),
  ];
  printStages(stages);
  const whole = values.stages ? {} : await runWhole(folder);
  if (!values.json) return;
  const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
  const result = { version, machine: begin, pinned: canPin, budgetMicros, stages, whole };
  process.stdout.write(`${JSON.stringify(result, undefined, 2)}\n`);
}

if (values.help) process.stdout.write(help);
else {
  // Removed at the very end: for minutes ext4 passes over each inode that was freed, one by one,
  // when it looks for one for a new file, which would make each run dearer than the one before.
  const folder = mkdtempSync(join(tmpdir(), "spanseal-bench-"));
  try {
    await benchmark(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
