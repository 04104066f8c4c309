/** `spanseal show` */
import { Argument, Option } from "commander";
import type { Command } from "commander";
import type { JsonValue } from "../bytes/canonical-json.ts";
import { toHex } from "../bytes/hex.ts";
import { encodeLine } from "../ledger/line.ts";
import type { StoredRecord } from "../ledger/read.ts";
import { findByIdOrIndex } from "./find.ts";
import { locateLedger, withLocation } from "./locate.ts";
import type { LocationOptions } from "./locate.ts";
import { print, printFields, printJson } from "./output.ts";
import { readable } from "./records.ts";

interface ShowOptions extends LocationOptions {
  readonly line?: true;
}

export function register(program: Command): void {
  withLocation(program.command("show"))
    .description("show one record whole")
    .addArgument(new Argument("<record>", "its id or its index"))
    .addOption(new Option("--line", "the line of the ledger as it stands, byte for byte"))
    .addHelpText(
      "after",
      `
Examples:
  spanseal show 42
  spanseal show 3f2a9c0d5b6e4f708192a3b4c5d6e7f8 --json
  spanseal show 42 --line > record.jsonl          what check-proof --record takes
`,
    )
    .action(show);
}

async function show(wanted: string, options: ShowOptions): Promise<void> {
  const directory = await locateLedger(options);
  for (const record of await findByIdOrIndex(directory, wanted)) {
    if (options.line === true) print(lineOf(record));
    else if (options.json === true) printJson(readable(record) as unknown as JsonValue);
    else printRecord(record);
  }
}

/** Head and body are the bytes that were read, so this is the line they were read from. */
function lineOf({ headBytes, mac, body }: StoredRecord): string {
  return Buffer.from(encodeLine(Buffer.from(headBytes).toString(), mac, body)).toString();
}

function printRecord(record: StoredRecord): void {
  const { head, segment, mac } = record;
  const { body, ...place } = readable(record);
  printFields([
    ["id", place.id],
    ["kind", place.kind],
    ["time", place.time],
    ["chain", `${place.namespace}/${place.tenant} #${place.sequence}`],
    ["place", `record ${place.index} of the log, in ${segment}`],
    ["mac", `${toHex(mac)} (key ${head.key})`],
    ["conflict of", head.conflictOf === undefined ? undefined : toHex(head.conflictOf)],
  ]);
  print(
    body === null ? "the body is missing\n" : `${escaped(JSON.stringify(body, undefined, 2))}\n`,
  );
}

/** The same JSON, with an escape for each character that could steer a terminal. */
function escaped(json: string): string {
  const escape = (unit: string): string => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return json.replace(/[\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, escape);
}
