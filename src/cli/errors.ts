/** How a command ends: what it prints when it fails, and its exit code. */
import { CommanderError } from "commander";
import { ControlError, SidecarRefusal } from "../service/control-error.ts";
import { exitCodes, explainError, failure } from "../service/failure.ts";
import type { ExitCode, Failure } from "../service/failure.ts";

export { exitCodes } from "../service/failure.ts";
export type { ExitCode } from "../service/failure.ts";

/** A failure with its remedy. */
export class CommandError extends Error {
  override name = "CommandError";
  readonly hint: string;
  readonly exitCode: ExitCode;

  constructor(message: string, options: { hint: string; exitCode: ExitCode; cause?: unknown }) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.hint = options.hint;
    this.exitCode = options.exitCode;
  }
}

/** The lines of a failure for stderr, `error:` then `hint:`. */
export function formatFailure(failure: Failure): string {
  return failure.complaints.map(({ error, hint }) => `error: ${error}\nhint: ${hint}\n`).join("");
}

/**
 * What an error means to the person at the terminal.
 *
 * @param help the command line that explains what was asked for
 */
export function explainFailure(error: unknown, help = "spanseal --help"): Failure {
  if (error instanceof CommandError) return failure(error.exitCode, error.message, error.hint);
  if (error instanceof CommanderError) return usageFailure(error, help);
  if (error instanceof SidecarRefusal) return error.failure;
  if (error instanceof ControlError) {
    return failure(exitCodes.no, error.problem, error.remedy ?? controlHint);
  }
  return explainError(error);
}

const controlHint = "ask the sidecar with spanseal status, and read its log";

function usageFailure(error: CommanderError, help: string): Failure {
  // A command without its subcommand: the help that was printed says it all.
  if (error.code === "commander.help") return { exitCode: exitCodes.cannotTell, complaints: [] };
  const [message = "", suggestion] = error.message.replace(/^error: /, "").split("\n");
  const hint = suggestion?.replace(/^\((.*)\)$/, "$1") ?? `run ${help}`;
  return failure(exitCodes.cannotTell, message, hint);
}
