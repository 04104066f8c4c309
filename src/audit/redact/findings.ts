/** What was found, counted by place: never a value. */
import type { Change } from "./plain.ts";

export interface Finding {
  readonly rule: string;
  readonly class: string;
  readonly action: string;
  readonly count: number;
  /** E.g. `attributes["gen_ai.tool.call.arguments"]` or `events[0].name`. */
  readonly field: string;
}

export interface PhiAccount {
  /** Declared columns that were returned, as declared, sorted. */
  readonly columns: readonly string[];
  /** How many they are. */
  readonly columnsReturned: number;
  /** Rows that held one of them. */
  readonly rows: number;
  /** The treated value of the subject column, where all rows have one and the same. */
  readonly subject?: string;
  readonly violations?: readonly string[];
}

export interface ItemFindings {
  readonly findings: readonly Finding[];
  readonly phi?: PhiAccount;
}

/** Findings of one item, scope or resource while it is walked. */
export type Tally = Map<string, { finding: Omit<Finding, "count">; count: number }>;

export function note(tally: Tally, change: Change, field: string): void {
  const key = `${change.rule}\n${change.action}\n${field}`;
  const entry = tally.get(key);
  if (entry !== undefined) entry.count++;
  else {
    const { rule, class: what, action } = change;
    tally.set(key, { finding: { rule, class: what, action, field }, count: 1 });
  }
}

/** In the order in which they were found, which is that of the bytes. */
export function listed(tally: Tally): readonly Finding[] {
  return [...tally.values()].map(({ finding, count }) => {
    const { rule, class: what, action, field } = finding;
    return { rule, class: what, action, count, field };
  });
}
