/**
 * `npm run bench`: what each stage and the whole cost, in CPU time per span of the sidecar, which
 * means the same on a quiet and on a busy machine; wall-clock figures are shown beside it.
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { cpus, loadavg, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { measureDiskStages } from "./disk-stages.ts";
import { canPin } from "./processes.ts";
import { measureReceiving } from "./receive-stages.ts";
import { base } from "./rows.ts";
import type { Spans } from "./scenario.ts";
import { sidecarTarget } from "./sidecar.ts";
import { soak } from "./soak.ts";
import { measureStages } from "./stages.ts";
import type { Measured, StageOptions } from "./stages.ts";
import { median, micro, row, spread, tableHead, whole } from "./table.ts";
import { budgetMicros, measureWhole } from "./whole.ts";

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    stages: { type: "boolean", default: false },
    whole: { type: "boolean", default: false },
    only: { type: "string" },
    runs: { type: "string" },
    rate: { type: "string" },
    soak: { type: "string" },
    dist: { type: "boolean", default: false },
    profile: { type: "string" },
    help: { type: "boolean", default: false },
  },
});

const help = `npm run bench [-- OPTIONS]

Prints what each stage of a span's way costs alone, then what a whole sidecar costs under load: a
process on core 0, with load generator and sink on core 1, its CPU time (user and system, all
threads) read from /proc once its queues are empty. 512 spans a request, about 840 bytes and 13
attributes a span, four senders with one request in flight each. Warm-up is not counted; where
there were several runs, the median stands first and the range behind it. RSS is the middle of
samples while the load ran, peak the highest of the process. The busiest thread's CPU time per span
is what bounds the rate when there are cores enough: with N cores at most
1 / max(busiest, CPU / N).

The first row is the usual one, the others vary one thing. With a rate, requests leave when they
are due, whatever became of those before; half load is half of what the first row took, twice
the load is twice as much. Latencies are those of requests that were accepted, refusals have a line
of their own.

CPU time hardly depends on what else the machine does; acked/s and latencies do.

--quick          fewer and shorter runs, 880 B and the first row only
--stages         the stages alone
--whole          the whole alone
--only TEXT      the rows of the whole whose name has TEXT, e.g. base, "half load", JSON, busy
--runs N         runs of each row
--rate N         spans a second that one core takes, for the rows with a load, or those of a soak
--soak MINUTES   one run at 10,000 spans a second, with the resident memory of each minute
--dist           what a release runs: dist/, built anew (from source, RSS has the type stripper)
--profile FOLDER a CPU profile of each sidecar, for Chromium's developer tools
--json           one JSON object instead of tables

TMPDIR names the disk that is written to.
`;

interface Settings {
  readonly stages: StageOptions;
  readonly spans: Spans;
}

const settings: Settings = values.quick
  ? {
      stages: { runs: 3, rounds: 12, warmUpRounds: 32, sizes: ["880 B"] },
      spans: { warmUp: 40_960, measured: 65_536, pacedSeconds: 5 },
    }
  : {
      stages: { runs: 3, rounds: 64, warmUpRounds: 160, sizes: ["300 B", "3 KB", "880 B"] },
      // Two local checkpoints and publications fall on so many records.
      spans: { warmUp: 81_920, measured: 131_072, pacedSeconds: 15 },
    };

/** The first row alone. */
const only: string | undefined = values.only ?? (values.quick ? base.name : undefined);

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

const letters: Readonly<Record<Measured["unit"], string>> = {
  spans: "s",
  records: "r",
  requests: "q",
};

function printStages(stages: readonly Measured[]): void {
  say(tableHead(STAGE_COLUMNS));
  for (const { stage, cpuMicros, bytesPerSpan, unit } of stages) {
    const micros = median(cpuMicros);
    const rate = bytesPerSpan === 0 ? "" : whole(bytesPerSpan / micros);
    const cells = [
      stage,
      spread(cpuMicros, micro),
      `${whole(1e6 / micros)} ${letters[unit]}`,
      rate,
    ];
    say(row(STAGE_COLUMNS, cells));
  }
  say("(s: spans, r: records, q: requests of 512 spans)\n");
}

async function stages(folder: string): Promise<Measured[]> {
  const measured = [
    ...measureStages(settings.stages),
    ...(await measureReceiving(settings.stages)),
    ...(await measureDiskStages(folder, settings.stages)),
  ];
  printStages(measured);
  return measured;
}

async function benchmark(folder: string): Promise<void> {
  const begin = machine();
  say(`${begin}${canPin ? "" : " (nothing is pinned to a core)"}\n`);
  const target = sidecarTarget({ dist: values.dist, profile: values.profile });
  const rate = numberOf(values.rate);
  const minutes = numberOf(values.soak);
  if (minutes !== undefined) {
    await soak({ target, folder, minutes, rate, say });
    return;
  }
  const wholeOnly = values.whole || values.only !== undefined;
  const measured = wholeOnly ? [] : await stages(mkdtempSync(join(folder, "stages-")));
  const runs = numberOf(values.runs) ?? (values.quick ? 1 : undefined);
  const options = { target, spans: settings.spans, only, runs, rate, folder, say };
  const rows = values.stages ? {} : await measureWhole(options);
  if (!values.json) return;
  const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
  const result = { version, machine: begin, pinned: canPin, budgetMicros, stages: measured, rows };
  process.stdout.write(`${JSON.stringify(result, undefined, 2)}\n`);
}

function numberOf(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!(value > 0)) throw new Error(`expected a number above 0, received ${text}`);
  return value;
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
