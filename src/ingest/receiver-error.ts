/** Why a receiver could not start. */
export type ReceiverErrorCode =
  | "address_in_use"
  | "not_listening"
  | "bad_tls"
  | "bad_token_file"
  | "bad_bounds";

export class ReceiverError extends Error {
  override name = "ReceiverError";
  readonly code: ReceiverErrorCode;
  /** What to do, naming the option or the file. */
  readonly remedy: string;

  constructor(
    code: ReceiverErrorCode,
    message: string,
    options: ErrorOptions & { readonly remedy: string },
  ) {
    super(message, options);
    this.code = code;
    this.remedy = options.remedy;
  }
}
