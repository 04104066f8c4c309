/**
 * `npm run bench:peer`: Spanseal and the OpenTelemetry Collector under the same load, in turns, on
 * the same core; what they cost and how many times that is of Spanseal's.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { base } from "../rows.ts";
import { measure } from "../scenario.ts";
import type { Outcome, Target } from "../scenario.ts";
import { sidecarTarget } from "../sidecar.ts";
import { median, micro, row, spread, tableHead, whole } from "../table.ts";
import { builtCollector, collectorTarget, pipelines } from "./collector.ts";

const { values } = parseArgs({
  options: {
    runs: { type: "string", default: "2" },
    cache: { type: "string", default: ".cache/peer" },
    help: { type: "boolean", default: false },
  },
});

const help = `npm run bench:peer [-- --runs N] [--cache FOLDER]

Builds the OpenTelemetry Collector with its own builder (needs a Go toolchain; minutes, once, kept in
FOLDER) and measures it and Spanseal side by side: gRPC in, HTTP sink, the load of npm run bench.
What they do is not the same: see each row. Spanseal redacts, chains, signs and syncs every record
before it answers; the Collector syncs its queue only in the row that says so, its file never.
`;

const columns = [
  { title: "who, and what it does", width: 34 },
  { title: "CPU µs/span", width: 20 },
  { title: "times", width: 6 },
  { title: "spans/s/core", width: 13 },
  { title: "p50 ms", width: 7 },
  { title: "p99 ms", width: 7 },
  { title: "RSS MiB", width: 8 },
  { title: "refused", width: 8 },
];

async function compare(folder: string): Promise<void> {
  const program = builtCollector(resolve(values.cache));
  const spanseal = sidecarTarget({ dist: true, profile: undefined });
  const contenders: [string, Target][] = [
    ["Spanseal: redact, chain, sync, forward", spanseal],
    ...pipelines.map((one): [string, Target] => [one.name, collectorTarget(program, one)]),
  ];
  const outcomes = contenders.map((): Outcome[] => []);
  const spans = { warmUp: 81_920, measured: 131_072, pacedSeconds: 0 };
  for (let run = 0; run < Number(values.runs); run++) {
    for (const [at, [, target]] of contenders.entries()) {
      const own = mkdtempSync(join(folder, "run-"));
      outcomes[at]!.push(await measure(target, base, spans, own));
    }
  }
  process.stdout.write(`${cpus()[0]!.model}, load ${loadavg()[0]!.toFixed(1)}\n\n`);
  process.stdout.write(`${tableHead(columns)}\n`);
  const own = median(outcomes[0]!.map(({ cpuMicrosPerSpan }) => cpuMicrosPerSpan));
  for (const [at, [name]] of contenders.entries()) {
    process.stdout.write(`${rowOf(name, outcomes[at]!, own)}\n`);
  }
}

function rowOf(name: string, outcomes: readonly Outcome[], own: number): string {
  const cpu = outcomes.map(({ cpuMicrosPerSpan }) => cpuMicrosPerSpan);
  const of = (pick: (outcome: Outcome) => number): string => whole(median(outcomes.map(pick)));
  return row(columns, [
    name,
    spread(cpu, micro),
    (median(cpu) / own).toFixed(2),
    whole(1e6 / median(cpu)),
    of(({ p50Ms }) => p50Ms),
    of(({ p99Ms }) => p99Ms),
    of(({ residentMiB }) => residentMiB),
    of(({ refused }) => refused),
  ]);
}

if (values.help) process.stdout.write(help);
else {
  const folder = mkdtempSync(join(tmpdir(), "spanseal-peer-"));
  try {
    await compare(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}
