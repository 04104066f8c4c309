/** The command line: one file per command, registered here. */
import { Command, CommanderError } from "commander";
import { explainFailure, formatFailure } from "./errors.ts";
import { print, say } from "./output.ts";
import { version } from "../service/version.ts";
import { register as registerCheckProof } from "./check-proof.ts";
import { register as registerConfig } from "./config.ts";
import { register as registerKeys } from "./keys.ts";
import { register as registerMap } from "./map.ts";
import { register as registerProve } from "./prove.ts";
import { register as registerPublish } from "./publish.ts";
import { register as registerQuery } from "./query.ts";
import { register as registerRedact } from "./redact.ts";
import { register as registerServe } from "./serve.ts";
import { register as registerShow } from "./show.ts";
import { register as registerStatus } from "./status.ts";
import { register as registerTail } from "./tail.ts";
import { register as registerVerify } from "./verify.ts";

const examples = `
Examples:
  spanseal serve                              receive on 127.0.0.1:4317 and :4318, everything at its default
  spanseal serve --config spanseal.yaml       the same with a configuration file
  spanseal status                             what the sidecar is doing
  spanseal keys public                        the public key to give to an auditor
  spanseal query --outcome denied --since 24h what was refused since yesterday
  spanseal verify                             is the log what was signed?

Exit codes: 0 yes, 1 no (broken, not found, failed), 2 cannot tell (bad usage, a key is missing),
3 refused. Data goes to stdout, messages to stderr.
`;

/** In the order of `--help`: running, reading, proving, trying out. */
const COMMANDS: readonly ((program: Command) => void)[] = [
  registerServe,
  registerStatus,
  registerPublish,
  registerKeys,
  registerConfig,
  registerQuery,
  registerShow,
  registerTail,
  registerVerify,
  registerProve,
  registerCheckProof,
  registerRedact,
  registerMap,
];

function createProgram(): Command {
  const program = new Command("spanseal")
    .description("Audit sidecar for AI agents: OTLP in, a verifiable audit log on disk.")
    .addHelpText("after", examples)
    .version(version, "--version", "print the version")
    .showSuggestionAfterError(true)
    // Through our own writer, which a reader that has gone (`--help | head`) ends quietly.
    .configureOutput({ writeOut: print, writeErr: say, outputError: () => undefined })
    .exitOverride();
  for (const register of COMMANDS) register(program);
  return program;
}

/** Runs the command that the process was started with, and sets its exit code. */
export async function run(): Promise<void> {
  const program = createProgram();
  try {
    await program.parseAsync();
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return;
    const failure = explainFailure(error, helpFor(program, process.argv.slice(2)));
    process.exitCode = failure.exitCode;
    if (failure.complaints.length > 0) say(formatFailure(failure));
  }
}

/** The help of the command that these words begin with. */
function helpFor(program: Command, words: readonly string[]): string {
  const [word, ...rest] = words;
  const command = program.commands.find((known) => known.name() === word);
  if (command !== undefined) return helpFor(command, rest);
  const path: string[] = [];
  for (let at: Command | null = program; at !== null; at = at.parent) path.unshift(at.name());
  return `${path.join(" ")} --help`;
}
