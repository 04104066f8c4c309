/** Spanseal's own log: JSON lines on stderr. It never holds payloads, credentials or keys. */
import { pino } from "pino";
import { senderMessagesPerSecondMax } from "../limits.ts";
import type { LogLevel } from "./config/model.ts";
import { LogDestination } from "./log-destination.ts";
import { describeError } from "./logged-error.ts";

type Write = (fields: object, message: string) => void;

export type Log = Readonly<Record<LogLevel, Write>>;

export interface ProcessLog {
  readonly log: Log;
  /** Writes what is queued; before the process ends. */
  readonly flush: () => void;
}

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
