/** Bytes that are not what a format of the ledger says: never a crash, always named. */

export type FormatErrorCode =
  | "bad_file"
  | "bad_line"
  | "bad_head"
  | "bad_body"
  | "bad_descriptor"
  | "bad_control"
  | "bad_note"
  | "bad_key"
  | "bad_checkpoint"
  | "bad_tile"
  | "bad_proof";

export class FormatError extends Error {
  override name = "FormatError";
  readonly code: FormatErrorCode;

  constructor(code: FormatErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}
