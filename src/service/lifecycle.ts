/**
 * The life of the process: until a signal, an orderly end; a second signal, or an error that
 * nobody expected, ends it at once. The next start recovers what an end at once leaves.
 */
import { shutdownMsMax, signalEchoMs } from "../limits.ts";
import type { ProcessLog } from "./log.ts";

export interface Closing {
  /** Ends within `shutdownMsMax`. */
  close(): Promise<void>;
}

const signals = ["SIGTERM", "SIGINT"] as const;

/**
 * Runs what `start` opens until SIGTERM or SIGINT, and resolves when it is closed. A signal during
 * the start is obeyed once the start is over.
 *
 * @throws what `start` or the closing throws
 */
export async function serveUntilSignal(
  { log, flush }: ProcessLog,
  start: () => Promise<Closing>,
): Promise<void> {
  /** An exit would wait for calls of the file system that never return. */
  const kill = (): void => {
    flush();
    process.kill(process.pid, "SIGKILL");
  };
  const unexpected = (error: unknown): void => {
    // What the process still knows is in doubt: it must neither acknowledge nor append any more.
    log.error({ error }, "unexpected error: ending at once");
    kill();
  };
  const killLater = (): NodeJS.Timeout =>
    setTimeout(() => {
      log.error({}, `not ended after ${shutdownMsMax} ms: ending at once`);
      kill();
    }, shutdownMsMax);
  const stopping = Promise.withResolvers<string>();
  let firstAt: number | undefined;
  const onSignal = (signal: string): void => {
    firstAt ??= performance.now();
    // Under npm one Ctrl-C comes twice: from the terminal, and passed on by npm.
    if (performance.now() - firstAt < signalEchoMs) return stopping.resolve(signal);
    log.warn({ signal }, "second signal: ending at once");
    kill();
  };
  process.on("uncaughtException", unexpected).on("unhandledRejection", unexpected);
  for (const signal of signals) process.on(signal, onSignal);
  try {
    const opened = await start().catch((error: unknown) => {
      killLater().unref();
      throw error;
    });
    const signal = await stopping.promise;
    log.info({ signal }, "shutting down");
    const late = killLater();
    // A process that has nothing left to wait for ends before.
    await opened.close().finally(() => late.unref());
    log.info({}, "closed");
  } finally {
    for (const signal of signals) process.off(signal, onSignal);
    process.off("uncaughtException", unexpected).off("unhandledRejection", unexpected);
    flush();
  }
}
