/** `spanseal verify` */
import { stat } from "node:fs/promises";
import { dirname, join } from "node:path";
import { Argument, Option } from "commander";
import type { Command } from "commander";
import { isCode } from "../bytes/thrown.ts";
import type { JsonValue } from "../bytes/canonical-json.ts";
import { directorySource } from "../ledger/directory-source.ts";
import { FormatError } from "../ledger/format-error.ts";
import type { KeyRing } from "../ledger/keys.ts";
import { publicVkeys } from "../ledger/keys.ts";
import { LedgerError } from "../ledger/ledger-error.ts";
import { parseVkey } from "../ledger/note.ts";
import type { Failure, VerifyReport } from "../ledger/verify/report.ts";
import { verifyLedger } from "../ledger/verify/verify.ts";
import { CommandError, exitCodes } from "./errors.ts";
import { parseCount } from "./input.ts";
import { locate, locateLedger, readDescriptor, readKeysIfThere, withLocation } from "./locate.ts";
import type { LocationOptions } from "./locate.ts";
import { printFields, printJson, printLine } from "./output.ts";
import { withProgress } from "./progress.ts";
import { readVkeys } from "./public-key.ts";

interface VerifyOptions extends LocationOptions {
  readonly bucket?: string | false;
  readonly publicKey?: readonly string[];
  readonly chainKey: boolean;
  readonly level: "full" | "available";
  readonly maxFailures?: string;
}

export function register(program: Command): void {
  withLocation(program.command("verify"))
    .description("check the whole log offline: every record, chain, root and tile")
    .addArgument(new Argument("[directory]", "a ledger, or a folder that holds one"))
    .addOption(new Option("--bucket <dir>", "compare with this bucket"))
    .addOption(new Option("--no-bucket", "leave the bucket out"))
    .addOption(
      new Option("-p, --public-key <key...>", "trust this verifier key (C2SP vkey, or a file)"),
    )
    .addOption(new Option("--no-chain-key", "check as one who has no chain key"))
    .addOption(
      new Option("--level <level>", "full: cannot tell unless every MAC could be checked")
        .choices(["available", "full"])
        .default("available"),
    )
    .addOption(new Option("--max-failures <n>", "list at most so many failures"))
    .addHelpText(
      "after",
      `
Trusted are the public keys given by --public-key, else those of the key folder; never the one that
the ledger itself names. Without one the answer is "self-consistent, identity unproven" (exit 2).
Without the chain keys what follows the last signed root is not checked, and the answer says so.

Exit codes: 0 the log is what was signed, 1 it is not, 2 cannot tell.

Examples:
  spanseal verify
  spanseal verify ./copy --public-key auditor.vkey --no-chain-key
  spanseal verify --json | jq .failures
`,
    )
    .action(verify);
}

async function verify(argument: string | undefined, options: VerifyOptions): Promise<void> {
  const directory = await locateLedger(options, argument);
  const ring = await readKeysIfThere(locate(options).config.keys.directory);
  const origin = await originOf(directory);
  const bucket = origin && (await bucketPrefix(directory, origin, { argument, ...options }));
  const given = {
    ...(ring === undefined || !options.chainKey
      ? {}
      : { chainKey: (epoch: number) => ring.chainKey(epoch) }),
    trusted: (await trustedKeys(origin, ring, options)).map((vkey) => parseVkey(vkey)),
    level: options.level,
    ...(options.maxFailures === undefined ? {} : { failuresMax: parseMax(options.maxFailures) }),
  };
  const verified = await withProgress((show) =>
    verifyLedger(directorySource(directory, bucket), {
      ...given,
      onProgress: ({ records, segments }) =>
        show(() => `verifying: ${records} records, ${segments} segments`),
    }),
  );
  const report = bucket === undefined ? withoutBucket(verified) : verified;
  process.exitCode = report.exitCode;
  if (options.json === true) printJson(report as unknown as JsonValue);
  else printReport(report, directory, bucket);
}

/** What only a bucket could tell is told as unknown, also where it is left out by choice. */
function withoutBucket(report: VerifyReport): VerifyReport {
  const detail = "no bucket was compared: a ledger taken back as a whole would not be noticed";
  return { ...report, unchecked: [...report.unchecked, { what: "bucket", detail }] };
}

function parseMax(text: string): number {
  const hint = "give a number from 0; the count of all failures is in the answer anyway";
  return parseCount(text, "--max-failures", { of: "failures", hint });
}

/** Keys given on the command line replace those of the folder: an auditor trusts his own copy. */
async function trustedKeys(
  origin: string | undefined,
  ring: KeyRing | undefined,
  options: VerifyOptions,
): Promise<string[]> {
  if (options.publicKey !== undefined) return readVkeys(options.publicKey);
  if (ring === undefined || origin === undefined) return [];
  return publicVkeys(origin, ring);
}

/** Undefined where `ledger.json` is none: the verifier says what it is. */
async function originOf(directory: string): Promise<string | undefined> {
  try {
    return (await readDescriptor(directory)).origin;
  } catch (error) {
    if (error instanceof FormatError || error instanceof LedgerError) return undefined;
    throw error;
  }
}

/** The log's prefix in the bucket; undefined where there is none to compare with. */
async function bucketPrefix(
  directory: string,
  origin: string,
  options: VerifyOptions & { readonly argument: string | undefined },
): Promise<string | undefined> {
  if (options.bucket === false) return undefined;
  const beside = join(dirname(directory), "bucket");
  const isConfigured = options.argument === undefined;
  const implied = isConfigured ? locate(options).config.publish.bucket : beside;
  const prefix = join(options.bucket ?? implied, origin);
  if (await isFolder(prefix)) return prefix;
  if (options.bucket === undefined) return undefined;
  throw new CommandError(`${options.bucket} has nothing of this log: expected ${prefix}`, {
    hint: "name the folder that publish.bucket names, or leave the bucket out with --no-bucket",
    exitCode: exitCodes.cannotTell,
  });
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (error) {
    if (isCode(error, "ENOENT")) return false;
    throw error;
  }
}

function printReport(report: VerifyReport, directory: string, bucket: string | undefined): void {
  const { counts } = report;
  printLine(report.summary);
  printFields([
    ["ledger", directory],
    ["bucket", bucket ?? "not compared"],
    ["origin", report.origin],
    ["identity", report.identity],
    ["records", `${counts.records} in ${counts.chains} chains, ${counts.segments} segments`],
    ["proven", `${report.provenSize} records are under a signed root of a trusted key`],
    ["macs", `${report.macs} (${counts.macs} checked)`],
    ["roots", `${counts.checkpoints} checkpoints, ${counts.seals} seals, ${counts.tiles} tiles`],
  ]);
  for (const failure of report.failures) printLine(`FAILED ${formatFailureLine(failure)}`);
  const hidden = report.failureCount - report.failures.length;
  if (hidden > 0) printLine(`FAILED ${hidden} more, see --max-failures`);
  for (const { reason, index, discardedBytes } of report.recoveries) {
    printLine(`recovered at record ${index}: ${reason}, ${discardedBytes} bytes set aside`);
  }
  for (const { what, detail } of report.unchecked) printLine(`not checked (${what}): ${detail}`);
}

function formatFailureLine({ class: what, place, detail, count }: Failure): string {
  const where = [
    place.file,
    place.segment && `${place.segment} line ${place.line}`,
    place.index === undefined ? undefined : `record ${place.index}`,
    place.namespace && `chain ${place.namespace}/${place.tenant} #${place.sequence}`,
  ];
  const many = count === undefined ? "" : ` (${count} records)`;
  return `${what} at ${where.filter(Boolean).join(", ")}: ${detail}${many}`;
}
