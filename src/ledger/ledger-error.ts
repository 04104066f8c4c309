/** What the ledger tells its callers; each message ends with what to do. */
import { CodedError } from "../bytes/coded-error.ts";

export type LedgerErrorCode =
  /** Nothing can be made durable now; the same request may succeed later. */
  | "unavailable"
  /** The durable state is unknown or broken: the writer has ended for good, until a restart. */
  | "stopped"
  | "closed"
  | "too_many_chains"
  | "too_large"
  /** Another process writes to this ledger. */
  | "locked"
  /** The directory holds something else than a ledger of this format. */
  | "foreign"
  | "damaged"
  /** The log is shorter than something else knows it to be. */
  | "truncated"
  | "missing_key";

export class LedgerError extends CodedError<LedgerErrorCode> {
  override name = "LedgerError";
}
