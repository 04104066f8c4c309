/** What the verifier says: failures by class and place, what was checked, and what could not be. */
import { FormatError } from "../format-error.ts";
import { LedgerError } from "../ledger-error.ts";

export type FailureClass =
  | "altered"
  | "gap"
  | "duplicate"
  | "reordered"
  | "truncated"
  | "rolled_back"
  | "spliced"
  | "wrong_key"
  | "root_mismatch"
  | "malformed";

export interface Place {
  /** A file other than a segment: `checkpoint`, `bucket/tile/0/000`. */
  readonly file?: string;
  readonly segment?: string;
  /** From 1, in the segment. */
  readonly line?: number;
  readonly index?: number;
  readonly namespace?: string;
  readonly tenant?: string;
  readonly sequence?: number;
}

export interface Failure {
  readonly class: FailureClass;
  readonly place: Place;
  readonly detail: string;
  /** Records concerned, where it is not one. */
  readonly count?: number;
}

/** A failure whose place is known from where it was found. */
export interface Problem {
  readonly class: FailureClass;
  readonly detail: string;
}

/** Something that is outside what could be checked, and the range of indexes it concerns. */
export interface Unchecked {
  readonly what: "identity" | "macs" | "tail" | "tips" | "incomplete_line" | "bucket" | "rotation";
  readonly detail: string;
  readonly first?: number;
  readonly end?: number;
}

export interface Recovery {
  readonly index: number;
  readonly reason: string;
  readonly discardedBytes: number;
  readonly unprovenFirst: number | null;
  readonly unprovenEnd: number | null;
}

export interface Counts {
  segments: number;
  lines: number;
  /** The log's size: one more than the newest index. */
  records: number;
  actions: number;
  chains: number;
  boots: number;
  seals: number;
  macs: number;
  checkpoints: number;
  tips: number;
  tiles: number;
  bytes: number;
}

export interface VerifyReport {
  /** `ok` only where everything checked out and a trusted key vouches for it. */
  readonly verdict: "ok" | "broken" | "undetermined";
  readonly exitCode: 0 | 1 | 2;
  readonly summary: string;
  readonly origin: string | undefined;
  /** Indexes below this are under a checkpoint of a trusted key. */
  readonly provenSize: number;
  readonly identity: "proven" | "unproven";
  readonly macs: "all" | "some" | "none";
  readonly counts: Counts;
  readonly failureCount: number;
  readonly failureCounts: Readonly<Partial<Record<FailureClass, number>>>;
  /** In the order of the log; at most as many as were asked for. */
  readonly failures: readonly Failure[];
  readonly unchecked: readonly Unchecked[];
  readonly recoveries: readonly Recovery[];
}

/** Failures in order of place, with a bound on how many are kept. */
export class Findings {
  readonly #max: number;
  readonly #kept: { readonly order: number; readonly failure: Failure }[] = [];
  readonly counts: Partial<Record<FailureClass, number>> = {};
  total = 0;
  /** Failures of lines, as opposed to checkpoints and tiles. */
  lineTotal = 0;

  constructor(max: number) {
    this.#max = max;
  }

  /** `order`: number of the line in the whole log; infinite for what is no line. */
  add(failure: Failure, order: number = Infinity): void {
    this.total++;
    if (order !== Infinity) this.lineTotal++;
    this.counts[failure.class] = (this.counts[failure.class] ?? 0) + 1;
    if (this.#kept.length < this.#max) this.#kept.push({ order, failure });
  }

  /** True where a failure of a record with this index is known. */
  knows(index: number): boolean {
    return this.#kept.some(({ failure }) => failure.place.index === index);
  }

  list(): Failure[] {
    return this.#kept
      .toSorted((left, right) => (left.order === right.order ? 0 : left.order - right.order))
      .map(({ failure }) => failure);
  }
}

/** The message of an error that tells of damage; any other is none of the verifier's and goes on. */
export function messageOf(error: unknown): string {
  const isDamage = error instanceof LedgerError && error.code === "damaged";
  if (isDamage || error instanceof FormatError) return error.message;
  throw error;
}
