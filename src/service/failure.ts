/** What an error of any layer means to the person who asked: exit code, what is wrong, what to do. */
import type { CodedError } from "../bytes/coded-error.ts";
import { reasonOf } from "../bytes/thrown.ts";
import { ForwardError } from "../forward/forward-error.ts";
import { ReceiverError } from "../ingest/receiver-error.ts";
import { FormatError } from "../ledger/format-error.ts";
import { KeyError } from "../ledger/keys.ts";
import { LedgerError } from "../ledger/ledger-error.ts";
import { PublishError } from "../publish/publish-error.ts";
import { ConfigError } from "./config.ts";
import { formatProblem } from "./config/problems.ts";

/** What the caller learns from the exit code. */
export const exitCodes = {
  yes: 0,
  /** Broken, not found, failed. */
  no: 1,
  /** Bad usage, no trusted public key, a key is missing. */
  cannotTell: 2,
  refused: 3,
} as const;

export type ExitCode = (typeof exitCodes)[keyof typeof exitCodes];

export interface Failure {
  readonly exitCode: ExitCode;
  /** Pairs of what is wrong and what to do. */
  readonly complaints: readonly Complaint[];
}

interface Complaint {
  readonly error: string;
  readonly hint: string;
}

export function explainError(error: unknown): Failure {
  if (error instanceof ConfigError) return configFailure(error);
  if (error instanceof KeyError) return withRemedy(error, exitCodes.cannotTell, keyHint);
  if (error instanceof LedgerError) return withRemedy(error, exitCodes.refused, ledgerHint);
  if (error instanceof FormatError) return withRemedy(error, exitCodes.refused, ledgerHint);
  if (error instanceof PublishError) return withRemedy(error, publishExit(error), bucketHint);
  if (error instanceof ForwardError) return withRemedy(error, forwardExit(error), sinkHint);
  if (error instanceof ReceiverError) {
    return failure(exitCodes.cannotTell, error.message, error.remedy);
  }
  const isSystem = error instanceof Error && "syscall" in error;
  // A file that cannot be read proves nothing about what is in it.
  if (isSystem) return failure(exitCodes.cannotTell, reasonOf(error), systemHint);
  return failure(exitCodes.no, reasonOf(error), unexpectedHint);
}

const keyHint = "check the folder given by --keys or keys.directory, and who may read it";
const ledgerHint = "check the folder given by --data or ledger.directory";
const bucketHint = "check the folder given by publish.bucket";
const sinkHint = "check exporters in the configuration, and the ledger's folder spool";
const systemHint = "check that the path is right, that there is space, and who may write there";
const unexpectedHint = "run the command again with --help, and read the log of the sidecar";

/** With one complaint. */
export function failure(exitCode: ExitCode, error: string, hint: string): Failure {
  return { exitCode, complaints: [{ error, hint }] };
}

function configFailure(error: ConfigError): Failure {
  const complaints = error.problems.map((problem) => ({
    error: formatProblem(error.file, problem),
    hint: problem.hint,
  }));
  return { exitCode: exitCodes.cannotTell, complaints };
}

function forwardExit(error: ForwardError): ExitCode {
  return error.code === "bad_option" ? exitCodes.cannotTell : exitCodes.refused;
}

/** A bucket that is away is a failure, one that does not fit the ledger a refusal. */
function publishExit(error: PublishError): ExitCode {
  return error.code === "unreachable" ? exitCodes.no : exitCodes.refused;
}

function withRemedy(error: CodedError<string>, exitCode: ExitCode, fallback: string): Failure {
  return failure(exitCode, error.problem, error.remedy ?? fallback);
}
