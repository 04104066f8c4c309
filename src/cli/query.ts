/** `spanseal query` */
import { Option } from "commander";
import type { Command } from "commander";
import type { JsonValue } from "../bytes/canonical-json.ts";
import { readRecords } from "../ledger/read.ts";
import { exitCodes } from "./errors.ts";
import { compileFilter, timeRange } from "./filter.ts";
import type { FilterOptions } from "./filter.ts";
import { parseCount } from "./input.ts";
import { locateLedger, withLocation } from "./locate.ts";
import type { LocationOptions } from "./locate.ts";
import { print, printJson, say } from "./output.ts";
import { withProgress } from "./progress.ts";
import { tableHeader, tableRow } from "./records.ts";
import type { ReadableRecord } from "./records.ts";
import { formatTable } from "./table.ts";

interface QueryOptions extends LocationOptions, FilterOptions {
  readonly limit?: string;
}

const tableLimit = 50;

export function register(program: Command): void {
  const command = withLocation(program.command("query"))
    .description("find records: who did what, when, with which tool, and how it ended")
    .addOption(
      new Option("--since <time>", "records from this time on (RFC 3339, or 90m, 24h, 7d ago)"),
    )
    .addOption(new Option("--until <time>", "records before this time"))
    .addOption(new Option("--namespace <name>", "of this namespace"))
    .addOption(new Option("--tenant <name>", "of this tenant"))
    .addOption(
      new Option("--kind <kind>", "action, or a control record: seal, opened, recovered …"),
    )
    .addOption(
      new Option("--type <type>", "of this action type: tool_call, decision, model_call …"),
    )
    .addOption(new Option("--tool <name>", "about this tool"))
    .addOption(new Option("--agent <name>", "by the agent with this name or id"))
    .addOption(new Option("--user <id>", "for this user; a tokenised id is found by the plain one"))
    .addOption(
      new Option("--outcome <outcome>", "with this outcome or decision: failure, denied …"),
    )
    .addOption(new Option("--trace <id>", "of this trace"))
    .addOption(new Option("--text <text>", "with this text anywhere in the record, case ignored"))
    .addOption(
      new Option("--limit <n>", `the newest n matches; 0: all (table: ${tableLimit}, --json: all)`),
    );
  command
    .addHelpText(
      "after",
      `
Records come in log order. The table shows the newest matches; --json prints one line
{id, index, sequence, time, kind, namespace, tenant, body} for each match.

Exit codes: 0 something was found, 1 nothing was.

Examples:
  spanseal query --type decision --outcome denied --since 24h
  spanseal query --tool lookup_patient --user jane@example.com --json
  spanseal query --kind recovered
`,
    )
    .action(query);
}

async function query(options: QueryOptions): Promise<void> {
  const directory = await locateLedger(options);
  const limit = parseLimit(options);
  const matches = await compileFilter(options);
  const newest: ReadableRecord[] = [];
  let found = 0;
  await withProgress(async (show) => {
    for await (const stored of readRecords(directory, timeRange(options))) {
      show(() => `reading record ${stored.head.index}, ${found} found`);
      const record = matches(stored);
      if (record === undefined) continue;
      found++;
      if (limit === 0 && options.json === true) {
        printJson(record as unknown as JsonValue);
        continue;
      }
      newest.push(record);
      if (limit > 0 && newest.length > limit) newest.shift();
    }
  });
  if (options.json === true) newest.forEach((record) => printJson(record as unknown as JsonValue));
  else printTable(newest, found);
  if (found === 0) process.exitCode = exitCodes.no;
}

function printTable(records: readonly ReadableRecord[], found: number): void {
  if (found === 0) {
    say("no record matches\n");
    return;
  }
  print(formatTable(tableHeader, records.map(tableRow)));
  if (found > records.length) {
    say(`the newest ${records.length} of ${found} matches; all of them with --limit 0\n`);
  }
}

function parseLimit({ limit, json }: QueryOptions): number {
  if (limit === undefined) return json === true ? 0 : tableLimit;
  return parseCount(limit, "--limit", {
    of: "records",
    hint: "give a number from 0, where 0 means all",
  });
}
