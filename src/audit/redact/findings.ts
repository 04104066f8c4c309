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
export class Tally {
  /** In the order in which they were found, which is that of the bytes. */
  #findings: Counted[] = [];
  #byField = new Map<string, Counted[]>();
  /** The one that was counted last, which the next hit of a text mostly is as well. */
  #last: Counted | undefined;

  note(change: Change, field: string): void {
    const { rule, action } = change;
    let one = this.#last;
    if (one?.rule !== rule || one.action !== action || one.field !== field) {
      one = this.#last = this.#of(change, field);
    }
    one.count++;
  }

  #of({ rule, class: what, action }: Change, field: string): Counted {
    const others = this.#byField.get(field);
    const known = others?.find((one) => one.rule === rule && one.action === action);
    if (known !== undefined) return known;
    const one = { rule, class: what, action, count: 0, field };
    if (others === undefined) this.#byField.set(field, [one]);
    else others.push(one);
    this.#findings.push(one);
    return one;
  }

  /** The findings since the last call. */
  take(): readonly Finding[] {
    if (this.#last === undefined) return none;
    const findings = this.#findings;
    this.#findings = [];
    this.#byField = new Map();
    this.#last = undefined;
    return findings;
  }
}

type Counted = { -readonly [Member in keyof Finding]: Finding[Member] };

const none: readonly Finding[] = [];
