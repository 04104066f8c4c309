/** What goes wrong between a command and the running sidecar. */
export type ControlErrorCode =
  /** No sidecar listens: the command may work on the ledger itself. */
  | "no_sidecar"
  | "path_too_long"
  | "unanswered"
  /** The sidecar answered with an error. */
  | "refused";

export class ControlError extends Error {
  override name = "ControlError";
  readonly code: ControlErrorCode;

  constructor(code: ControlErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
