/** Spanseal's own log: JSON lines on stderr. It never holds payloads, credentials or keys. */
import { pino } from "pino";
import { senderMessagesPerSecondMax } from "../limits.ts";
import type { LogLevel } from "./config/model.ts";
import { LogDestination } from "./log-destination.ts";

type Write = (fields: object, message: string) => void;

export type Log = Readonly<Record<LogLevel, Write>>;

export interface ProcessLog {
  readonly log: Log;
  /** Writes what is queued; before the process ends. */
  readonly flush: () => void;
}

/** An error as it may be logged. */
export interface LoggedError {
  readonly type: string;
  readonly code?: string;
  readonly message?: string;
  readonly at?: readonly string[];
  readonly cause?: LoggedError;
}

const causesMax = 4;
const framesMax = 6;

/** Logs to the file descriptor, by default stderr. */
export function openLog(level: LogLevel, descriptor = 2): ProcessLog {
  const destination = new LogDestination(descriptor, (lost) =>
    log.warn({ lost }, "log messages could not be written"),
  );
  const log: Log = pino(
    {
      level,
      base: null,
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: describeError },
    },
    destination,
  );
  return { log, flush: () => destination.flush() };
}

/**
 * The same log for what senders can cause: at most so many messages a second, the others counted.
 */
export function limitedLog(log: Log, now: () => number = () => performance.now()): Log {
  let second = -1;
  let written = 0;
  let dropped = 0;
  const limited =
    (level: LogLevel) =>
    (fields: object, message: string): void => {
      const current = Math.floor(now() / 1000);
      if (current !== second) {
        if (dropped > 0) log.warn({ dropped }, "more messages than are logged in a second");
        second = current;
        written = 0;
        dropped = 0;
      }
      written += 1;
      if (written > senderMessagesPerSecondMax) dropped += 1;
      else log[level](fields, message);
    };
  return {
    debug: limited("debug"),
    info: limited("info"),
    warn: limited("warn"),
    error: limited("error"),
  };
}

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
