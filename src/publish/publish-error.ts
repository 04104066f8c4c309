/** Why publishing cannot go on. Each message ends with what to do. */
import { CodedError } from "../bytes/coded-error.ts";

export type PublishErrorCode =
  /** The log is shorter than the bucket knows it to have been. */
  | "truncated"
  /** The bucket holds a root that this log never had. */
  | "forked"
  /** The bucket lacks a root that was published to it. */
  | "rolled_back"
  /** The log's place in the bucket is taken by something that this ledger did not write. */
  | "foreign"
  /** Somebody else replaced the bucket's checkpoint while this process ran. */
  | "lost_swap"
  /** A local tile or checkpoint that must be there is not, or is not what it must be. */
  | "damaged"
  /** The bucket did not answer as it should; tried again. */
  | "unreachable";

export class PublishError extends CodedError<PublishErrorCode> {
  override name = "PublishError";
}

/** True for what another attempt may cure. Everything else halts publishing. */
export function isPassing(error: unknown): boolean {
  return !(error instanceof PublishError) || error.code === "unreachable";
}

/**
 * True for what somebody may set right in the bucket: it is looked at again and again, and nothing
 * is written to it before. What else halts publishing does so until a restart.
 */
export function isRestorable(error: unknown): boolean {
  return error instanceof PublishError && ["rolled_back", "foreign"].includes(error.code);
}
