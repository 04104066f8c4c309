/**
 * What recent requests showed about their traces: whether an agent takes part, and which chain the
 * trace belongs to. A span often comes without them, because its agent's span ends later or comes
 * from another service. Bounded; the trace that was quiet longest is forgotten first.
 */
import { traceMemoryTraces } from "../limits.ts";

export interface TraceFacts {
  /** An agent's action was seen in this trace. */
  readonly agent: boolean;
  /** Named by a span, its scope or its resource; absent where none did or where they disagreed. */
  readonly namespace?: string;
  readonly tenant?: string;
}

export class TraceMemory {
  readonly #tracesMax: number;
  readonly #traces = new Map<string, TraceFacts>();

  constructor(tracesMax: number = traceMemoryTraces) {
    this.#tracesMax = tracesMax;
  }

  get size(): number {
    return this.#traces.size;
  }

  /** @param trace the 16 bytes of the trace id as 32 hex digits, or any other one-to-one text */
  recall(trace: string): TraceFacts | undefined {
    return this.#traces.get(trace);
  }

  /** Adds facts to what is known. The names that came first stay. */
  remember(trace: string, facts: TraceFacts): void {
    const known = this.#traces.get(trace);
    this.#traces.delete(trace);
    this.#traces.set(
      trace,
      known === undefined ? facts : { ...facts, ...known, agent: known.agent || facts.agent },
    );
    if (this.#traces.size > this.#tracesMax) {
      const oldest = this.#traces.keys().next();
      if (oldest.done !== true) this.#traces.delete(oldest.value);
    }
  }
}
