/**
 * What recent requests showed about their traces: whether an agent takes part, and which chain the
 * trace belongs to. A span often comes without them, because its agent's span ends later or comes
 * from another service.
 */
import { traceMemoryTraces } from "../limits.ts";

export interface TraceFacts {
  /** An agent's action was seen in this trace. */
  readonly agent: boolean;
  /** Named by spans, their scopes or resources; null where these disagree. */
  readonly namespace?: TraceName;
  readonly tenant?: TraceName;
}

export type TraceName = string | null | undefined;

/** What two statements about one trace say together. */
export function agree(known: TraceName, name: TraceName): TraceName {
  if (name === undefined || known === name) return known;
  return known === undefined ? name : null;
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

  /** Adds facts to what is known. */
  remember(trace: string, facts: TraceFacts): void {
    const known = this.recall(trace);
    this.#newer.set(trace, known === undefined ? facts : together(known, facts));
    if (this.#newer.size < this.#generationMax) return;
    this.#older = this.#newer;
    this.#newer = new Map();
  }
}

function together(known: TraceFacts, facts: TraceFacts): TraceFacts {
  return {
    agent: known.agent || facts.agent,
    namespace: agree(known.namespace, facts.namespace),
    tenant: agree(known.tenant, facts.tenant),
  };
}
