/** What a sender put into a request that no chain can hold. */
export type RequestErrorCode = "bad_name" | "too_large";

/** The sender's fault, never retryable; nothing of the request was recorded. */
export class RequestError extends Error {
  override name = "RequestError";
  readonly code: RequestErrorCode;

  constructor(code: RequestErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}
