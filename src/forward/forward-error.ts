/** Why forwarding, or a commit that waits for its forward copy, cannot go on. */
import { CodedError } from "../bytes/coded-error.ts";

export type ForwardErrorCode =
  /** The configuration cannot work. */
  | "bad_option"
  /** The forwarder was closed. */
  | "closed"
  /** The spool knows records that the log no longer has. */
  | "log_truncated"
  /** Used before `recover`: a programming error. */
  | "not_recovered"
  /** Bytes of the spool that were once durable are not what was written. */
  | "spool_damaged"
  /** The file system refused; may pass later. */
  | "spool_failed"
  /** The queue is at its bound; passes when the sink has taken some of it. */
  | "spool_full";

export class ForwardError extends CodedError<ForwardErrorCode> {
  override name = "ForwardError";
}

/** An option of the exporter that cannot work. */
export class SinkOptionError extends ForwardError {
  /** Its place below the exporter. */
  readonly option: readonly string[];
  /** What is wrong with it, without its place. */
  readonly fault: string;
  declare readonly remedy: string;

  constructor(
    option: readonly string[],
    fault: string,
    options: ErrorOptions & { readonly remedy: string },
  ) {
    super("bad_option", `exporter option ${option.join(".")} ${fault}`, options);
    this.option = option;
    this.fault = fault;
  }
}
