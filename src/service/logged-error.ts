/** Errors as they may be logged: nothing of what they tried to read. */

export interface LoggedError {
  readonly type: string;
  readonly code?: string;
  readonly message?: string;
  readonly at?: readonly string[];
  readonly cause?: LoggedError;
}

const causesMax = 4;
const framesMax = 6;

/**
 * Type, code, message and place of an error and its causes. A SyntaxError stands without its
 * message, because JSON.parse quotes the text that it could not read.
 */
export function describeError(error: unknown, depth = 0): LoggedError {
  if (!(error instanceof Error)) return { type: typeof error };
  const code = "code" in error && typeof error.code === "string" ? error.code : undefined;
  const frames = (error.stack ?? "").split("\n").filter((line) => /^\s+at /.test(line));
  return {
    type: error.name,
    ...(code === undefined ? {} : { code }),
    ...(error instanceof SyntaxError ? {} : { message: error.message }),
    at: frames.slice(0, framesMax).map((frame) => frame.trim().slice("at ".length)),
    ...(error.cause === undefined || depth >= causesMax
      ? {}
      : { cause: describeError(error.cause, depth + 1) }),
  };
}
