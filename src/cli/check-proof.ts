/** `spanseal check-proof` */
import { readFile } from "node:fs/promises";
import { Argument, Option } from "commander";
import type { Command } from "commander";
import { toHex } from "../bytes/hex.ts";
import { FormatError } from "../ledger/format-error.ts";
import { checkpointVerifiers } from "../ledger/keys.ts";
import { parseLine } from "../ledger/line.ts";
import { parseVkey } from "../ledger/note.ts";
import type { NoteVerifier } from "../ledger/note.ts";
import { isProvenLine, judgeProof } from "../ledger/record-proof.ts";
import type { ProofJudgement } from "../ledger/record-proof.ts";
import { CommandError, exitCodes } from "./errors.ts";
import type { ExitCode } from "./errors.ts";
import { readInput } from "./input.ts";
import { locate, readKeysIfThere, withLocation } from "./locate.ts";
import type { LocationOptions } from "./locate.ts";
import { printFields, printJson, printLine } from "./output.ts";
import { readVkeys } from "./public-key.ts";
import { formatTime } from "./records.ts";

interface CheckOptions extends LocationOptions {
  readonly publicKey?: readonly string[];
  readonly record?: string;
}

export function register(program: Command): void {
  withLocation(program.command("check-proof"))
    .description("check a proof offline: is the record in the log that this key signs?")
    .addArgument(new Argument("<file>", "the proof; - for stdin"))
    .addOption(
      new Option("-p, --public-key <key...>", "trust this verifier key (C2SP vkey, or a file)"),
    )
    .addOption(new Option("--record <file>", "hold this record against the proof (show --line)"))
    .addHelpText(
      "after",
      `
Needs neither ledger nor secret keys. Without --public-key the key folder is asked; where there is
none the answer is "cannot tell".

Exit codes: 0 the proof holds, 1 it does not, 2 cannot tell.

Examples:
  spanseal check-proof record-42.tlog-proof --public-key auditor.vkey
  spanseal check-proof record-42.tlog-proof --record record-42.jsonl
`,
    )
    .action(checkProof);
}

async function checkProof(file: string, options: CheckOptions): Promise<void> {
  const bytes = file === "-" ? await readInput() : await readFile(file);
  const trusted = await trustedKeys(options);
  const judgement = parseOrRefuse(() => judgeProof(bytes, trusted ?? (() => [])), file);
  const matches =
    options.record === undefined ? undefined : await matchesRecord(options.record, judgement);
  const { verdict, exitCode } = conclude(judgement, matches, trusted !== undefined);
  const { head } = judgement.record;
  process.exitCode = exitCode;
  if (options.json === true) {
    printJson({
      verdict,
      origin: judgement.origin,
      size: judgement.size,
      index: head.index,
      id: toHex(head.id),
      included: judgement.isIncluded,
      signed_by_trusted_key: judgement.isTrusted,
      record_matches: matches,
    });
  } else {
    printLine(verdict);
    printFields([
      ["record", `${toHex(head.id)}, ${head.index} of the log`],
      ["chain", `${head.namespace}/${head.tenant} #${head.sequence}`],
      ["time", formatTime(head.time)],
      ["log", `${judgement.origin}, ${judgement.size} records`],
    ]);
  }
}

function conclude(
  { isIncluded, isTrusted }: ProofJudgement,
  matches: boolean | undefined,
  hasKeys: boolean,
): { verdict: string; exitCode: ExitCode } {
  if (!isIncluded) {
    return { verdict: "broken: the record is not under the root", exitCode: exitCodes.no };
  }
  if (matches === false) {
    return { verdict: "broken: the given record is another one", exitCode: exitCodes.no };
  }
  if (isTrusted) return { verdict: "ok: the record is in the log", exitCode: exitCodes.yes };
  if (hasKeys) {
    return { verdict: "broken: the root is not signed by a trusted key", exitCode: exitCodes.no };
  }
  const verdict = "undetermined: the record is under the root, but whose root it is is unproven";
  return { verdict, exitCode: exitCodes.cannotTell };
}

async function matchesRecord(file: string, { record }: ProofJudgement): Promise<boolean> {
  const text = await readFile(file);
  const end = text.at(-1) === 0x0a ? -1 : undefined;
  return isProvenLine(
    parseOrRefuse(() => parseLine(text.subarray(0, end)), file),
    record,
  );
}

function parseOrRefuse<T>(parse: () => T, file: string): T {
  try {
    return parse();
  } catch (error) {
    if (!(error instanceof FormatError)) throw error;
    throw new CommandError(`${file}: ${error.message}`, {
      hint: "expected what spanseal prove (or show --line) wrote, unchanged",
      exitCode: exitCodes.no,
      cause: error,
    });
  }
}

/** Keys given on the command line, else those of the key folder; undefined where there are none. */
async function trustedKeys(
  options: CheckOptions,
): Promise<((origin: string) => readonly NoteVerifier[]) | undefined> {
  if (options.publicKey !== undefined) {
    const given = (await readVkeys(options.publicKey)).map(parseVkey);
    return () => given;
  }
  const ring = await readKeysIfThere(locate(options).config.keys.directory);
  return ring && ((origin) => checkpointVerifiers(origin, ring));
}
