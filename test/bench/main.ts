/**
 * `npm run bench`: what each stage and the whole cost, in CPU time per span of the sidecar, which
 * means the same on a quiet and on a busy machine; wall-clock figures are shown beside it.
 */
import { readFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { parseArgs } from "node:util";
import { canPin, runScenario } from "./sidecar.ts";
import type { Outcome, Scenario } from "./sidecar.ts";
import { measureStages } from "./stages.ts";
import type { Measured } from "./stages.ts";
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
a process on core 0, with load generator and sink on core 1, its CPU time read from /proc after
its queues are empty. 512 spans a request, about 840 bytes a span, four connections.

--quick   one run of the two usual scenarios, under a minute
--stages  the stages alone
--json    one JSON object instead of tables
`;

const SCENARIOS: readonly Scenario[] = [
  { name: "gRPC", protocol: "grpc", compression: "none", share: 0.02, sink: false },
  { name: "gRPC, sink", protocol: "grpc", compression: "none", share: 0.02, sink: true },
  { name: "gRPC, sink, clean", protocol: "grpc", compression: "none", share: 0, sink: true },
  { name: "gRPC gzip, sink gzip", protocol: "grpc", compression: "gzip", share: 0.02, sink: true },
  { name: "HTTP protobuf, sink", protocol: "http", compression: "none", share: 0.02, sink: true },
  { name: "HTTP JSON, sink", protocol: "json", compression: "none", share: 0.02, sink: true },
];

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
  { title: "the whole, 2 % personal data", width: 30 },
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

async function benchmark(): Promise<void> {
  const quick = values.quick;
  say(`${machine()}${canPin ? "" : " (taskset is missing: nothing is pinned to a core)"}\n`);
  const stages = await measureStages({ runs: quick ? 1 : 3, rounds: quick ? 40 : 80 });
  printStages(stages);
  const whole: Record<string, Outcome[]> = {};
  if (!values.stages) {
    say(tableHead(WHOLE_COLUMNS));
    const spans = quick
      ? { warmUp: 20_480, measured: 61_440 }
      : { warmUp: 40_960, measured: 122_880 };
    for (const scenario of quick ? SCENARIOS.slice(0, 2) : SCENARIOS) {
      const outcomes: Outcome[] = [];
      for (let run = 0; run < (quick ? 1 : 2); run++) {
        outcomes.push(await runScenario(scenario, spans));
      }
      whole[scenario.name] = outcomes;
      printScenario(scenario.name, outcomes);
    }
    say(`(budget: ${budgetMicros} µs, everything on, with a sink)`);
  }
  if (values.json) {
    const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
    const result = { version, machine: machine(), budgetMicros, stages, whole };
    process.stdout.write(`${JSON.stringify(result, undefined, 2)}\n`);
  }
}

if (values.help) process.stdout.write(help);
else await benchmark();
