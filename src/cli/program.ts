/** The command line: one file per command, registered here. */
import { Command, CommanderError } from "commander";
import { explainFailure, formatFailure } from "./errors.ts";
import { say } from "./output.ts";
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
    .showSuggestionAfterError(true)
    .configureOutput({ outputError: () => undefined })
    .exitOverride();
  for (const register of COMMANDS) register(program);
  return program;
}

/** Runs the command that the process was started with, and sets its exit code. */
export async function run(): Promise<void> {
  try {
    await createProgram().parseAsync();
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return;
    const failure = explainFailure(error);
    if (failure.complaints.length > 0) say(formatFailure(failure));
    process.exitCode = failure.exitCode;
  }
}
