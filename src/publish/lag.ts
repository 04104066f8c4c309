/**
 * How long records have waited for a published root. Sizes are looked at from time to time, so a
 * record counts as old as the look before it was seen: the lag is never understated.
 */

interface Span {
  /** Records below this index, from the span before it on. */
  end: number;
  /** None of them is older. */
  readonly sinceMs: number;
  /** A root covers it: later records begin a span of their own. */
  sealed: boolean;
}

export class RootLag {
  readonly #spans: Span[] = [];
  #seenSize: number;
  #seenMs: number;

  /** All records below `size` are covered at `nowMs`. */
  constructor(size: number, nowMs: number) {
    this.#seenSize = size;
    this.#seenMs = nowMs;
  }

  /** The size that was last observed. */
  get size(): number {
    return this.#seenSize;
  }

  /** The log has `size` records. `sinceMs`: when the first new one was made, where it is known. */
  observe(size: number, nowMs: number, sinceMs: number = this.#seenMs): void {
    if (size > this.#seenSize) {
      const last = this.#spans.at(-1);
      if (last !== undefined && !last.sealed) last.end = size;
      else this.#spans.push({ end: size, sinceMs, sealed: false });
      this.#seenSize = size;
    }
    this.#seenMs = nowMs;
  }

  /** A root of `size`, all of it observed, was signed: it waits to be published. */
  sealed(size: number): void {
    const last = this.#spans.at(-1);
    if (last !== undefined && last.end === size) last.sealed = true;
  }

  published(size: number): void {
    while (this.#spans.length > 0 && this.#spans[0]!.end <= size) this.#spans.shift();
  }

  /** Of the oldest record that no published root covers. */
  lagMs(nowMs: number): number {
    return ageOf(this.#spans[0], nowMs);
  }

  /** Of the oldest record that no signed root covers. */
  unsealedMs(nowMs: number): number {
    const last = this.#spans.at(-1);
    return ageOf(last?.sealed === true ? undefined : last, nowMs);
  }
}

function ageOf(span: Span | undefined, nowMs: number): number {
  return span === undefined ? 0 : Math.max(0, nowMs - span.sinceMs);
}
