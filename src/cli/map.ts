/** `spanseal map` */
import { readFile } from "node:fs/promises";
import { Argument, Option } from "commander";
import type { Command } from "commander";
import { mappedRecords } from "../audit/mapped-record.ts";
import type { MappedRecord } from "../audit/mapped-record.ts";
import { SIGNALS } from "../audit/otlp/schema.ts";
import type { Signal } from "../audit/otlp/schema.ts";
import type { AuditPolicy } from "../audit/policy.ts";
import { prepare } from "../audit/prepare.ts";
import { RequestError } from "../audit/request-error.ts";
import { TraceMemory } from "../audit/trace-memory.ts";
import type { JsonValue } from "../bytes/canonical-json.ts";
import { WireError } from "../bytes/wire.ts";
import { JsonError, transcodeJson } from "../ingest/json.ts";
import { locateAuditPolicy } from "./audit-policy.ts";
import { CommandError, exitCodes } from "./errors.ts";
import { readInput } from "./input.ts";
import { withLocation } from "./locate.ts";
import type { LocationOptions } from "./locate.ts";
import { print, printJson, say } from "./output.ts";
import { guessSignal, isJson } from "./signal.ts";
import { formatTable } from "./table.ts";

interface MapOptions extends LocationOptions {
  readonly signal?: Signal;
}

export function register(program: Command): void {
  withLocation(program.command("map"))
    .description("show the audit records that OTLP request bodies would make; writes nothing")
    .addArgument(new Argument("[files...]", "request bodies, protobuf or JSON; - for stdin"))
    .addOption(
      new Option(
        "--signal <signal>",
        "what the bodies are, where their content does not tell",
      ).choices([...SIGNALS]),
    )
    .addHelpText(
      "after",
      `
Several files are taken in order, as if received one after another. With --json stdout has one line
{id, kind, namespace, tenant, body} for each record; without it a table.

Examples:
  spanseal map request.pb
  spanseal map --json 01-traces.json 02-logs.json | jq .body.action
  curl -s … | spanseal map --signal logs -
`,
    )
    .action(map);
}

async function map(files: readonly string[], options: MapOptions): Promise<void> {
  const policy = await locateAuditPolicy(options);
  const memory = new TraceMemory();
  const rows: string[][] = [];
  let items = 0;
  for (const file of files.length === 0 ? ["-"] : files) {
    const body = file === "-" ? await readInput() : await readFile(file);
    const batch = prepareBody(file, body, { policy, memory, signal: options.signal });
    items += batch.statistics.items;
    for (const record of mappedRecords(batch)) {
      if (options.json === true) printJson(record as unknown as JsonValue);
      else rows.push(rowOf(record));
    }
  }
  if (options.json === true) return;
  print(formatTable(["ID", "TENANT", "TYPE", "NAME", "OUTCOME"], rows));
  say(`${items} spans, log records or data points made ${rows.length} records\n`);
}

interface Preparing {
  readonly policy: AuditPolicy;
  readonly memory: TraceMemory;
  readonly signal: Signal | undefined;
}

function prepareBody(
  file: string,
  body: Buffer,
  { policy, memory, signal = guessSignal(body) }: Preparing,
): ReturnType<typeof prepare> {
  try {
    const request = {
      signal,
      bytes: isJson(body) ? transcodeJson(signal, body) : body,
      peer: { address: "", authenticated: false },
      receivedUnixNano: BigInt(Date.now()) * 1_000_000n,
    };
    return prepare(request, policy, memory);
  } catch (error) {
    const isBad =
      error instanceof JsonError || error instanceof WireError || error instanceof RequestError;
    if (!isBad) throw error;
    throw new CommandError(`${file} would be refused: ${error.message}`, {
      hint: `it was read as ${signal}: expected the body of one OTLP export request, not compressed`,
      exitCode: exitCodes.no,
      cause: error,
    });
  }
}

function rowOf({ id, tenant, body }: MappedRecord): string[] {
  const action = body["action"] as { type: string; name?: string };
  const outcome = body["outcome"] as { status?: string } | undefined;
  return [id, tenant, action.type, action.name ?? "", outcome?.status ?? ""];
}
