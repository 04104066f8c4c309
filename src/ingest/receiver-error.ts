/** Why a receiver could not start; the message names the remedy. */
export type ReceiverErrorCode =
  | "address_in_use"
  | "not_listening"
  | "bad_tls"
  | "bad_token_file"
  | "bad_bounds";

export class ReceiverError extends Error {
  override name = "ReceiverError";
  readonly code: ReceiverErrorCode;

  constructor(code: ReceiverErrorCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}
