/** A redaction configuration that cannot be obeyed. Thrown when a policy is compiled, never later. */

export type RuleErrorCode =
  | "unknown_pack"
  | "pack_not_available"
  | "bad_rule"
  | "bad_pattern"
  | "bad_action"
  | "small_domain"
  | "bad_table"
  | "bad_pepper";

export class RuleError extends Error {
  override name = "RuleError";
  readonly code: RuleErrorCode;
  /** Where in the configuration, e.g. `redaction.rules[2].pattern`. */
  readonly path: string;
  /** What to change. */
  readonly remedy: string;

  constructor(code: RuleErrorCode, path: string, message: string, remedy: string) {
    super(`${path}: ${message}; ${remedy}`);
    this.code = code;
    this.path = path;
    this.remedy = remedy;
  }
}
