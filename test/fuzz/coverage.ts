/** Which blocks of the source an input runs, and how often, by V8's own counters. */
import { Session } from "node:inspector";

interface Range {
  readonly startOffset: number;
  readonly endOffset: number;
  readonly count: number;
}

interface Script {
  readonly url: string;
  readonly functions: readonly { readonly ranges: readonly Range[] }[];
}

export interface Run {
  /** True where a block ran that no input before had run, or ten times as often as any before. */
  readonly isNew: boolean;
  /** Blocks that ran, each as often as it did: a measure of work that no clock disturbs. */
  readonly steps: number;
}

export class Coverage {
  readonly #session = new Session();
  readonly #seen = new Map<string, number>();

  constructor() {
    this.#session.connect();
    this.#post("Profiler.enable");
    this.#post("Profiler.startPreciseCoverage", { callCount: true, detailed: true });
  }

  /** What ran since the last call. */
  take(): Run {
    const { result } = this.#post("Profiler.takePreciseCoverage") as { result: Script[] };
    let isNew = false;
    let steps = 0;
    for (const { url, functions } of result) {
      if (!url.includes("/src/")) continue;
      for (const { startOffset, endOffset, count } of functions.flatMap(({ ranges }) => ranges)) {
        if (count === 0) continue;
        steps += count;
        const key = `${url}:${startOffset}-${endOffset}`;
        const level = Math.floor(Math.log10(count));
        if ((this.#seen.get(key) ?? -1) >= level) continue;
        this.#seen.set(key, level);
        isNew = true;
      }
    }
    return { isNew, steps };
  }

  close(): void {
    this.#session.disconnect();
  }

  /** A session on this thread answers before it returns. */
  #post(method: string, parameters: object = {}): unknown {
    let answer: unknown;
    this.#session.post(method, parameters, (error: Error | null, result: unknown) => {
      if (error !== null) throw error;
      answer = result;
    });
    return answer;
  }
}
