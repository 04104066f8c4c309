/** When the bucket is tried again: after a wait that doubles with each failure in a row. */
import { publishRetryMsMax, publishRetryMsMin } from "../limits.ts";

export class Backoff {
  #waitMs = 0;
  #untilMs = 0;

  fail(nowMs: number): void {
    const doubled = Math.max(publishRetryMsMin, this.#waitMs * 2);
    this.#waitMs = Math.min(publishRetryMsMax, doubled);
    this.#untilMs = nowMs + this.#waitMs;
  }

  reset(): void {
    this.#waitMs = 0;
    this.#untilMs = 0;
  }

  isOver(nowMs: number): boolean {
    return nowMs >= this.#untilMs;
  }
}
