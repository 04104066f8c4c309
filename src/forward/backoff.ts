/** How long to wait between attempts. */
import type { RetryOptions } from "./options.ts";

export interface Backoff {
  /** The next wait in milliseconds; each call lengthens the one after it. */
  nextMs(): number;
}

/** Exponential with jitter, as the Collector does it. `random` is uniform in [0, 1). */
export function startBackoff(options: RetryOptions, random: () => number): Backoff {
  let intervalMs = Math.min(options.initialIntervalMs, options.maxIntervalMs);
  return {
    nextMs() {
      const waitMs = jitter(intervalMs, options.randomizationFactor, random);
      intervalMs = Math.min(intervalMs * options.multiplier, options.maxIntervalMs);
      return waitMs;
    },
  };
}

/** Uniform around `intervalMs`, off by at most `factor` of it. */
export function jitter(intervalMs: number, factor: number, random: () => number): number {
  return intervalMs * (1 - factor + 2 * factor * random());
}

/** Resolves after `ms`, or as soon as `stop` is aborted. */
export function waitMs(ms: number, stop: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (stop.aborted) return resolve();
    const done = (): void => {
      clearTimeout(timer);
      stop.removeEventListener("abort", done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    stop.addEventListener("abort", done);
  });
}
