/** The whole process, row after row, as a table. */
import { mkdtempSync } from "node:fs";
import { join } from "node:path";
import { base, rowOf, variations } from "./rows.ts";
import type { Row } from "./rows.ts";
import type { Latencies } from "./load.ts";
import { measure } from "./scenario.ts";
import type { Outcome, Spans, Target } from "./scenario.ts";
import { median, micro, row, spread, tableHead, whole } from "./table.ts";

/** One core, 880-byte spans, everything on. */
export const budgetMicros = 9;

export interface WholeOptions {
  readonly target: Target;
  readonly spans: Spans;
  /** Only rows whose name has this text; all where it is undefined. */
  readonly only: string | undefined;
  /** Runs of a row; the row's own number where it is undefined. */
  readonly runs: number | undefined;
  /** Spans a second that one core takes; what the first row shows where it is undefined. */
  readonly rate: number | undefined;
  /** An empty folder; what is written stays there. */
  readonly folder: string;
  readonly say: (text: string) => void;
}

const COLUMNS = [
  { title: "the whole", width: 28 },
  { title: "CPU µs/span", width: 18 },
  { title: "budgets", width: 8 },
  { title: "busiest", width: 8 },
  { title: "spans/s/core", width: 13 },
  { title: "acked/s", width: 9 },
  { title: "p50", width: 7 },
  { title: "p99", width: 7 },
  { title: "max ms", width: 7 },
  { title: "RSS MiB", width: 8 },
  { title: "peak", width: 6 },
];

/** @returns the outcomes of each row by its name, that of the row it is indented under before it. */
export async function measureWhole(options: WholeOptions): Promise<Record<string, Outcome[]>> {
  const { say, only } = options;
  say(tableHead(COLUMNS));
  const outcomes: Record<string, Outcome[]> = {};
  const run = async (scenario: Row, name: string): Promise<void> => {
    outcomes[name] = await runRow(scenario, options);
    print(scenario.name, outcomes[name], say);
  };
  const isWanted = (name: string): boolean => only === undefined || name.includes(only);
  if (isWanted(base.name)) await run(base, base.name);
  let above: string = base.protocol;
  for (const variation of variations) {
    const isBelow = variation.name.startsWith(" ");
    if (!isBelow) above = variation.name;
    const name = isBelow ? `${above}: ${variation.name.trim()}` : variation.name;
    if (!isWanted(name)) continue;
    await run(rowOf(variation, options.rate ?? coreOf(outcomes[base.name])), name);
  }
  printDisk(outcomes[base.name], say);
  return outcomes;
}

function coreOf(outcomes: readonly Outcome[] | undefined): number {
  if (outcomes === undefined) return 40_000;
  return Math.round(1e6 / median(outcomes.map(({ cpuMicrosPerSpan }) => cpuMicrosPerSpan)));
}

async function runRow(scenario: Row, options: WholeOptions): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (let run = 0; run < (options.runs ?? scenario.runs); run++) {
    const own = mkdtempSync(join(options.folder, "run-"));
    outcomes.push(await measure(options.target, scenario, options.spans, own));
  }
  return outcomes;
}

function print(name: string, outcomes: readonly Outcome[], say: (text: string) => void): void {
  const of = (pick: (outcome: Outcome) => number): string => whole(median(outcomes.map(pick)));
  const latency = (valueMs: number): string => (valueMs < 10 ? valueMs.toFixed(1) : whole(valueMs));
  const cpu = outcomes.map((outcome) => outcome.cpuMicrosPerSpan);
  const latenciesOf = (pick: (outcome: Outcome) => Latencies | undefined): string[] =>
    (["p50Ms", "p99Ms", "maxMs"] as const).map((which) =>
      latency(median(outcomes.map((outcome) => pick(outcome)![which]))),
    );
  const cells = [
    name,
    spread(cpu, micro),
    (median(cpu) / budgetMicros).toFixed(2),
    micro(median(outcomes.map((outcome) => outcome.threadMicrosPerSpan))),
    whole(1e6 / median(cpu)),
    of(({ acceptedPerSecond }) => acceptedPerSecond),
    ...latenciesOf((outcome) => outcome),
    of(({ residentMiB }) => residentMiB),
    of(({ peakMiB }) => peakMiB),
  ];
  say(row(COLUMNS, cells));
  if (outcomes[0]!.small !== undefined) {
    const small = latenciesOf((outcome) => outcome.small);
    say(row(COLUMNS, ["    worst small sender", "", "", "", "", "", ...small, "", ""]));
  }
  const failed = median(outcomes.map((outcome) => outcome.failed));
  if (failed > 0) say(`    ${whole(failed)} spans were neither accepted nor to be sent again`);
  const refused = median(outcomes.map(refusedShare));
  if (refused === 0) return;
  const refusals = latenciesOf((outcome) => outcome.refusals);
  const share = `    ${whole(100 * refused)} % refused, for later`;
  say(row(COLUMNS, [share, "", "", "", "", "", ...refusals, "", ""]));
}

function refusedShare({ refused, acceptedPerSecond, seconds }: Outcome): number {
  return refused / (refused + acceptedPerSecond * seconds);
}

function printDisk(outcomes: readonly Outcome[] | undefined, say: (text: string) => void): void {
  if (outcomes === undefined) return;
  const parts = Object.keys(outcomes[0]!.bytesOnDiskPerSpan);
  const texts = parts.map((part) => {
    const bytes = median(outcomes.map((outcome) => outcome.bytesOnDiskPerSpan[part]!));
    // Spool files are removed when the sink has all of them.
    return `${part} ${whole(Math.max(0, bytes))}`;
  });
  say(`\nbytes on disk per span: ${texts.join(", ")}`);
}
