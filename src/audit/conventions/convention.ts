/**
 * A convention is one way in which telemetry says what an agent did. Each lives in its own file and
 * consists of data (which keys, in which order) and of as little code as the data cannot say.
 *
 * To add one: write the file, add it to the list in `index.ts`. What only one framework does belongs
 * into that framework's file, which may build on `genai.ts`; nothing else has to change.
 */
import type { ActionType, MemberPath } from "../members.ts";
import type { Sources } from "../plan.ts";
import type { View } from "../walk/view.ts";

export const OUTCOME_STATUSES = [
  "success",
  "failure",
  "denied",
  "cancelled",
  "pending",
  "partial",
  "unknown",
] as const;
type OutcomeStatus = (typeof OUTCOME_STATUSES)[number];

/** Made by `outcome`, once for each combination, so that outcomes are compared by identity. */
export interface Outcome {
  readonly status: OutcomeStatus;
  /** Explicit: the sender said so. Inferred: concluded from what else it sent. */
  readonly basis: "explicit" | "inferred" | undefined;
  readonly executed: boolean | undefined;
}

const outcomes = new Map<string, Outcome>();

export function outcome(
  status: OutcomeStatus,
  basis?: Outcome["basis"],
  executed?: boolean,
): Outcome {
  const name = `${status} ${basis} ${executed}`;
  let known = outcomes.get(name);
  if (known === undefined) outcomes.set(name, (known = { status, basis, executed }));
  return known;
}

/** One action that an item proves; made by `action` or `lastingAction`. */
export interface Action extends Required<ActionParts> {
  /** Made once, not for one item: forms of its records can be kept. */
  readonly lasting: boolean;
}

export interface ActionParts {
  readonly type: ActionType;
  /**
   * Tells the actions of one item apart in their ids, so it must not change between releases:
   * `main` for what the span is about, else e.g. `decision`.
   */
  readonly phase: string;
  /** The member whose value also names the action; else the span's name does. */
  readonly named?: MemberPath | undefined;
  /** Members that the classification itself knows: enumerated words, names taken from the span. */
  readonly constants?: Readonly<Partial<Record<MemberPath, string | boolean>>> | undefined;
  /** What the outcome is where the convention knows better than the general rules. */
  readonly outcome?: Outcome | undefined;
  /** Where constants came from if not from the current key: goes to `provenance`. */
  readonly provenance?: Readonly<Partial<Record<MemberPath, string>>> | undefined;
  /** The type itself was concluded from keys that are present, not stated. */
  readonly inferred?: boolean;
}

/** An action with something that one item alone says. */
export function action(parts: ActionParts): Action {
  return make(parts, false);
}

export function lastingAction(parts: ActionParts): Action {
  return make(parts, true);
}

/** All of one shape, because actions are read for every span. */
function make(parts: ActionParts, lasting: boolean): Action {
  return {
    type: parts.type,
    phase: parts.phase,
    named: parts.named,
    constants: parts.constants,
    outcome: parts.outcome,
    provenance: parts.provenance,
    inferred: parts.inferred ?? false,
    lasting,
  };
}

export interface Convention {
  /** `source.convention` of its records. */
  readonly name: string;
  /** Signals it reads. */
  readonly signals: readonly ("span" | "log")[];
  /** A framework's convention is asked for spans of these instrumentation scopes only. */
  readonly scopes?: RegExp;
  /** It is asked only where one of these keys is present (or, for log records, `events` match). */
  readonly keys: readonly string[];
  /** Event names of log records, and of span events that are kept for `eventSources`. */
  readonly events?: readonly string[];
  readonly sources: Sources;
  /** Members taken from span events of a name where the span itself has none: name → sources. */
  readonly eventSources?: Readonly<Record<string, Sources>>;
  /** The actions that this item proves; none where it is no action of an agent. */
  classify(view: View): readonly Action[];
}

export const NONE: readonly Action[] = [];
