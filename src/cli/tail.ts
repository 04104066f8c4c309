/** `spanseal tail` */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Option } from "commander";
import type { Command } from "commander";
import type { JsonValue } from "../bytes/canonical-json.ts";
import { listSegments, readSegmentFrom } from "../ledger/read.ts";
import type { StoredRecord } from "../ledger/read.ts";
import { segmentName } from "../ledger/segment-name.ts";
import { tailLinesMax, tailPollMs } from "../limits.ts";
import { parseCount } from "./input.ts";
import { locateLedger, withLocation } from "./locate.ts";
import type { LocationOptions } from "./locate.ts";
import { printJson, printLine } from "./output.ts";
import { readable, tableRow } from "./records.ts";

interface TailOptions extends LocationOptions {
  readonly follow?: true;
  readonly lines: string;
}

export function register(program: Command): void {
  withLocation(program.command("tail"))
    .description("show the newest records, and with --follow those that come")
    .addOption(new Option("-n, --lines <n>", "how many of the newest").default("10"))
    .addOption(new Option("-f, --follow", "go on until interrupted"))
    .addHelpText(
      "after",
      `
Examples:
  spanseal tail --follow
  spanseal tail -n 100 --json | jq .body.action.type
`,
    )
    .action(tail);
}

async function tail(options: TailOptions): Promise<void> {
  const directory = await locateLedger(options);
  const count = parseLines(options.lines);
  const show = (record: StoredRecord): void => {
    const shown = readable(record);
    if (options.json === true) printJson(shown as unknown as JsonValue);
    else printLine(tableRow(shown).filter(Boolean).join("  "));
  };
  const end = await showNewest(directory, count, show);
  if (options.follow === true) await follow(directory, end, show);
}

/** A place in the log: a segment, by its first index, and the byte after its last whole line. */
interface End {
  readonly segment: number;
  readonly offset: number;
}

async function showNewest(
  directory: string,
  count: number,
  show: (record: StoredRecord) => void,
): Promise<End> {
  const segments = await listSegments(directory);
  let newest: StoredRecord[] = [];
  let end: End = { segment: segments.at(-1) ?? 0, offset: 0 };
  for (const segment of segments.toReversed()) {
    const records: StoredRecord[] = [];
    let offset = 0;
    for await (const record of readSegmentFrom(directory, { segment, offset: 0 })) {
      offset = record.offset + record.lineBytes + 1;
      records.push(record);
      if (records.length > count) records.shift();
    }
    if (segment === end.segment) end = { segment, offset };
    newest = [...records, ...newest].slice(-count || Infinity);
    if (newest.length >= count) break;
  }
  if (count > 0) newest.forEach(show);
  return end;
}

async function follow(
  directory: string,
  end: End,
  show: (record: StoredRecord) => void,
): Promise<never> {
  let { segment, offset } = end;
  for (;;) {
    // A newer segment exists only when this one is whole, so it is read to its end first.
    const next = (await listSegments(directory)).find((first) => first > segment);
    if ((await sizeOf(directory, segment)) > offset) {
      for await (const record of readSegmentFrom(directory, { segment, offset })) {
        offset = record.offset + record.lineBytes + 1;
        show(record);
      }
    }
    if (next === undefined) await sleep(tailPollMs);
    else [segment, offset] = [next, 0];
  }
}

async function sizeOf(directory: string, segment: number): Promise<number> {
  return (await stat(join(directory, "segments", segmentName(segment)))).size;
}

function parseLines(text: string): number {
  return parseCount(text, "--lines", {
    of: "records",
    max: tailLinesMax,
    hint: `give a number from 0 to ${tailLinesMax}; spanseal query finds older ones`,
  });
}
