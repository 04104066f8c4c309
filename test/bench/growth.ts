/**
 * `npm run bench:growth`: what a ledger costs when it has grown. Builds one by real commits, then
 * starts it, signs it, verifies it and reads from it, each in a process of its own, so that memory
 * and compiled code of one do not count for another.
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { phases, type Phase } from "./growth-phases.ts";
import { whole } from "./table.ts";

const { values } = parseArgs({
  options: {
    records: { type: "string", default: "1000000" },
    tenants: { type: "string", default: "1" },
    body: { type: "string", default: "300" },
    folder: { type: "string" },
    phase: { type: "string" },
    json: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

const help = `npm run bench:growth -- [--records N] [--tenants N] [--body BYTES] [--json]

Builds a ledger of N records with bodies of so many bytes, in so many chains, then prints how long a
start takes after a kill and after an orderly end, how long signing a root holds up everything else,
what verification costs, what a query by time reads, peak memory of each, and bytes on disk.
TMPDIR names the disk that is written to; a million records take about a GB.
`;

function run(phase: Phase, folder: string): Record<string, number> {
  const options = ["--records", values.records, "--tenants", values.tenants, "--body", values.body];
  const own = [import.meta.filename, ...options, "--folder", folder, "--phase", phase];
  const output = execFileSync(process.execPath, own, { maxBuffer: 1 << 20 });
  return JSON.parse(output.toString()) as Record<string, number>;
}

/** Bytes by what they are, for one record. */
function onDisk(ledger: string): Record<string, number> {
  // All have a leaf, after an orderly end.
  const records = statSync(join(ledger, "tile/0")).size / 32;
  const bytesIn = (folder: string): number =>
    readdirSync(join(ledger, folder)).reduce(
      (sum, name) => sum + statSync(join(ledger, folder, name)).size,
      0,
    );
  const mac = '"mac":"","body":'.length + 64;
  const body = Number(values.body);
  const lines = bytesIn("segments") / records;
  return {
    "head, with the frame of its line": lines - mac - body,
    MAC: mac,
    body,
    tiles: bytesIn("tile") / records,
    "state snapshots": bytesIn("state") / records,
  };
}

async function main(): Promise<void> {
  if (values.help) return void process.stdout.write(help);
  const settings = {
    records: Number(values.records),
    tenants: Number(values.tenants),
    bodyBytes: Number(values.body),
  };
  if (values.phase !== undefined) {
    const measured = await phases[values.phase as Phase](values.folder!, settings);
    const { maxRSS } = process.resourceUsage();
    process.stdout.write(JSON.stringify({ ...measured, "peak MiB": maxRSS / 1024 }));
    // The killed sidecar is one that ends here.
    process.exit(0);
  }
  const folder = mkdtempSync(join(tmpdir(), "spanseal-growth-"));
  try {
    const results: Record<string, Record<string, number>> = {};
    for (const phase of Object.keys(phases) as Phase[]) {
      results[phase] = run(phase, folder);
      if (!values.json) print(phase, results[phase]);
    }
    const disk = onDisk(join(folder, "ledger"));
    if (values.json) process.stdout.write(`${JSON.stringify({ settings, results, disk })}\n`);
    else print("bytes on disk per record", disk);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function print(title: string, measured: Readonly<Record<string, number>>): void {
  process.stdout.write(`${title}\n`);
  for (const [name, value] of Object.entries(measured)) {
    const text = value < 100 ? value.toFixed(1) : whole(value);
    process.stdout.write(`  ${name.padEnd(44)}${text.padStart(14)}\n`);
  }
}

await main();
