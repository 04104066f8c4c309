/** A redaction configuration that cannot be obeyed. Thrown when a policy is compiled, never later. */
import { CodedError } from "../../bytes/coded-error.ts";

export type RuleErrorCode =
  | "unknown_pack"
  | "pack_not_available"
  | "bad_rule"
  | "bad_pattern"
  | "bad_action"
  | "small_domain"
  | "bad_table"
  | "bad_pepper";

export class RuleError extends CodedError<RuleErrorCode> {
  override name = "RuleError";
  /** Where in the configuration, e.g. `redaction.rules[2].pattern`. */
  readonly path: string;
  /** What is wrong there. */
  readonly fault: string;
  declare readonly remedy: string;

  constructor(code: RuleErrorCode, path: string, fault: string, remedy: string) {
    super(code, `${path}: ${fault}`, { remedy });
    this.path = path;
    this.fault = fault;
  }
}
