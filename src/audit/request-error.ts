/** What a sender put into a request that no chain can hold. */
import { CodedError } from "../bytes/coded-error.ts";

export type RequestErrorCode = "bad_name" | "too_large";

/** The sender's fault, never retryable; nothing of the request was recorded. */
export class RequestError extends CodedError<RequestErrorCode> {
  override name = "RequestError";
}
