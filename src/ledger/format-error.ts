/** Bytes that are not what a format of the ledger says: never a crash, always named. */
import { CodedError } from "../bytes/coded-error.ts";

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

export class FormatError extends CodedError<FormatErrorCode> {
  override name = "FormatError";
}
