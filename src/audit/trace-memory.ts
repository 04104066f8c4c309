/**
 * What recent requests showed about their traces: whether an agent takes part, and which chain the
 * trace belongs to. A span often comes without them, because its agent's span ends later or comes
 * from another service.
 */
import { traceMemoryTraces } from "../limits.ts";

export interface TraceFacts {
  /** An agent's action was seen in this trace. */
  readonly agent: boolean;
  /** Named by a span, its scope or its resource; absent where none did or where they disagreed. */
  readonly namespace?: string;
  readonly tenant?: string;
}

/**
 * Holds at most `tracesMax` traces, and always the newest half of them: two generations, of which
 * the older is forgotten as a whole. Unlike a list in order of use that costs the same however long
 * it runs.
 */
export class TraceMemory {
  readonly #generationMax: number;
  #newer = new Map<string, TraceFacts>();
  #older = new Map<string, TraceFacts>();

  constructor(tracesMax: number = traceMemoryTraces) {
    this.#generationMax = Math.max(1, Math.floor(tracesMax / 2));
  }

  get size(): number {
    let count = this.#newer.size;
    for (const trace of this.#older.keys()) if (!this.#newer.has(trace)) count++;
    return count;
  }

  /** @param trace the trace id as any one-to-one text */
  recall(trace: string): TraceFacts | undefined {
    return this.#newer.get(trace) ?? this.#older.get(trace);
  }

  /** Adds facts to what is known. The names that came first stay. */
  remember(trace: string, facts: TraceFacts): void {
    const known = this.recall(trace);
    const all =
      known === undefined ? facts : { ...facts, ...known, agent: known.agent || facts.agent };
    this.#newer.set(trace, all);
    if (this.#newer.size < this.#generationMax) return;
    this.#older = this.#newer;
    this.#newer = new Map();
  }
}
