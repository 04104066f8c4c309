/** `spanseal status` */
import { join } from "node:path";
import type { Command } from "commander";
import { isCode } from "../bytes/thrown.ts";
import type { JsonValue } from "../bytes/canonical-json.ts";
import { parseCheckpoint } from "../ledger/checkpoint.ts";
import { nodeFiles } from "../ledger/files.ts";
import { formatDuration } from "../service/config/values.ts";
import { ControlError } from "../service/control-error.ts";
import { askSidecar } from "../service/control-socket.ts";
import { unreadyReasons, warnings } from "../service/state.ts";
import type { ForwardState, SidecarState } from "../service/state.ts";
import { exitCodes } from "./errors.ts";
import { locateLedger, readDescriptor, withLocation } from "./locate.ts";
import type { LocationOptions } from "./locate.ts";
import { printFields, printJson } from "./output.ts";

type Fields = (readonly [string, string | undefined])[];

export function register(program: Command): void {
  withLocation(program.command("status"))
    .description("say what the sidecar is doing; exit code 1 where it is not ready or not running")
    .addHelpText(
      "after",
      `
Examples:
  spanseal status
  spanseal status --data /var/lib/spanseal --json | jq .publish
`,
    )
    .action(status);
}

async function status(options: LocationOptions): Promise<void> {
  const directory = await locateLedger(options);
  const state = await askState(directory);
  if (state === undefined) return statusOfFiles(directory, options);
  const reasons = unreadyReasons(state);
  if (reasons.length > 0) process.exitCode = exitCodes.no;
  if (options.json === true) {
    const answer = { running: true, ready: reasons.length === 0, reasons, ...state };
    printJson(JSON.parse(JSON.stringify({ ...answer, warnings: warnings(state) })) as JsonValue);
  } else {
    printFields(fieldsOf(state, reasons));
  }
}

async function askState(directory: string): Promise<SidecarState | undefined> {
  try {
    return (await askSidecar(directory, "status")) as unknown as SidecarState;
  } catch (error) {
    if (error instanceof ControlError && error.code === "no_sidecar") return undefined;
    throw error;
  }
}

function fieldsOf(state: SidecarState, reasons: readonly string[]): Fields {
  const { ledger, publish, forward, endpoints } = state;
  const published = publish.publishedSize ?? 0;
  const lag =
    publish.lagRecords === 0 ? "" : `, ${formatDuration(wholeSeconds(publish.lagMs))} behind`;
  return [
    ["sidecar", `process ${state.pid}, since ${state.startedAt}`],
    ["ready", reasons.length === 0 ? "yes" : "no"],
    ...reasons.map((reason) => ["because", reason] as const),
    ...warnings(state).map((warning) => ["warning", warning] as const),
    ["receives on", [endpoints["grpc"], endpoints["http"]].filter(Boolean).join(", ")],
    ["ledger", ledger.directory],
    ["records", `${ledger.size} in ${ledger.chainCount} chains`],
    ["bucket", publish.bucket],
    ["published", `${published} records${lag}`],
    ...forwardFields(forward),
    ["public key", state.publicKey],
  ];
}

function wholeSeconds(milliseconds: number): number {
  return Math.round(milliseconds / 1000) * 1000;
}

function forwardFields(forward: ForwardState | undefined): Fields {
  if (forward === undefined) return [["forwards to", "nobody: no sink is configured"]];
  const signals = Object.entries(forward.signals).map(([signal, at]): Fields[number] => [
    signal,
    `${at.state}, ${at.sent} sent, ${at.queueEntries} waiting (${at.queueBytes} bytes)`,
  ]);
  return [["forwards to", forward.sink], ...signals];
}

/** No sidecar: what the files say. Only `verify` says whether it is true. */
async function statusOfFiles(directory: string, options: LocationOptions): Promise<void> {
  const { origin } = await readDescriptor(directory);
  const checkpointSize = await sizeOfCheckpoint(directory);
  process.exitCode = exitCodes.no;
  if (options.json === true) {
    printJson({ running: false, ready: false, ledger: { directory, origin, checkpointSize } });
    return;
  }
  printFields([
    ["sidecar", "not running"],
    ["ledger", directory],
    ["origin", origin],
    ["records", `${checkpointSize} to the last signed root`],
  ]);
}

async function sizeOfCheckpoint(directory: string): Promise<number> {
  try {
    return parseCheckpoint(await nodeFiles.read(join(directory, "checkpoint"))).size;
  } catch (error) {
    if (isCode(error, "ENOENT")) return 0;
    throw error;
  }
}
