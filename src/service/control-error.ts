/** What goes wrong between a command and the running sidecar. */
import { CodedError } from "../bytes/coded-error.ts";
import type { Failure } from "./failure.ts";

export type ControlErrorCode =
  /** No sidecar listens: the command may work on the ledger itself. */
  | "no_sidecar"
  | "path_too_long"
  | "unanswered"
  /** The sidecar answered with an error. */
  | "refused";

export class ControlError extends CodedError<ControlErrorCode> {
  override name = "ControlError";
}

/** The sidecar answered with an error: `failure` is what the command would have said by itself. */
export class SidecarRefusal extends ControlError {
  readonly failure: Failure;

  constructor(failure: Failure) {
    super("refused", failure.complaints.map(({ error }) => error).join("; "));
    this.failure = failure;
  }
}
