/** Why a request was not acknowledged. The codes are metric labels, so the union is closed. */
export type RefusalCode =
  // May pass later: the sender keeps its data and tries again.
  | "overloaded"
  | "unavailable"
  | "draining"
  | "answer_timeout"
  | "body_timeout"
  | "deadline_exceeded"
  | "aborted"
  // Will never pass: the sender drops the data.
  | "malformed"
  | "too_deep"
  | "bad_name"
  | "bad_compression"
  | "too_large"
  | "unauthenticated"
  | "forbidden"
  | "not_found"
  | "method_not_allowed"
  | "unsupported_media_type"
  | "unsupported_encoding";

/**
 * A request that is answered with an error. The message goes to the sender, so it holds nothing of
 * other senders, of this host or of the cause; `cause` goes to the log only.
 */
export class Refusal extends Error {
  override name = "Refusal";
  readonly code: RefusalCode;

  constructor(code: RefusalCode, message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}
