export interface CodedErrorOptions extends ErrorOptions {
  /** What to do, in words that go on after a colon. */
  readonly remedy?: string;
}

/**
 * An error that its catchers tell apart by a code; each layer has a closed list of its own. Its
 * message says what is wrong, then the remedy where there is one.
 */
export abstract class CodedError<Code extends string> extends Error {
  readonly code: Code;
  /** What is wrong, without the remedy. */
  readonly problem: string;
  readonly remedy: string | undefined;

  constructor(code: Code, problem: string, options: CodedErrorOptions = {}) {
    const { remedy } = options;
    super(remedy === undefined ? problem : `${problem}: ${remedy}`, options);
    this.code = code;
    this.problem = problem;
    this.remedy = remedy;
  }
}
