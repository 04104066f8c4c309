/** Reads what a sender streams, for a bounded time, and takes no chunk that is one too many. */
import type { Readable } from "node:stream";
import type { Admission } from "./budget.ts";
import { Refusal, type RefusalCode } from "./refusal.ts";

/** A bound of time, and what it means when it is over. */
export interface TimeLimit {
  readonly ms: number;
  readonly code: Extract<RefusalCode, "body_timeout" | "answer_timeout" | "deadline_exceeded">;
}

interface CollectBounds {
  readonly limit: TimeLimit;
  /** Whose place may be given to another while the stream is not at its end. */
  readonly admission: Pick<Admission, "receive">;
  /** Told how to end the reading where what comes can no longer be read. */
  readonly onBegin?: (fail: (refusal: Refusal) => void) => void;
}

/**
 * Hands every chunk of `stream` to `onChunk` and resolves at its end. After a rejection the stream
 * is paused, and what becomes of it is the caller's decision.
 *
 * @throws what `onChunk` throws; Refusal `aborted` where the sender went away, `overloaded` where
 * its place was given to another, or the limit's code
 */
export function collect(
  stream: Readable,
  { limit, admission, onBegin }: CollectBounds,
  onChunk: (chunk: Buffer) => void,
): Promise<void> {
  return new Promise((resolve, reject) => {
    const settle = (failure: unknown): void => {
      clearTimeout(timer);
      received();
      stream.off("data", onData).off("end", onEnd).off("close", onClose);
      if (failure === undefined) {
        resolve();
        return;
      }
      stream.pause();
      reject(failure);
    };
    const onData = (chunk: Buffer): void => {
      try {
        onChunk(chunk);
      } catch (error) {
        settle(error);
      }
    };
    const onEnd = (): void => settle(undefined);
    const onClose = (): void => settle(new Refusal("aborted", "the sender went away"));
    const timer = setTimeout(() => settle(timeOver(limit)), limit.ms);
    const received = admission.receive(settle);
    onBegin?.(settle);
    stream.on("data", onData).on("end", onEnd).on("close", onClose);
    // A stream that ended before this call says nothing any more.
    if (stream.destroyed) onClose();
  });
}

/** The refusal of a limit that is over. */
export function timeOver(limit: TimeLimit): Refusal {
  return new Refusal(limit.code, TIME_OVER[limit.code]);
}

const TIME_OVER: Readonly<Record<TimeLimit["code"], string>> = {
  body_timeout: "the request did not arrive in time: send it again",
  answer_timeout: "the request could not be recorded in time: send it again",
  deadline_exceeded: "the sender's deadline is over",
};
