/** What goes wrong between a command and the running sidecar. */
import { CodedError } from "../bytes/coded-error.ts";

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
