/**
 * What the mapping finds for one action in one layout of attributes, as far as that follows from
 * keys and kinds of values alone; and the forms of the records that came of it.
 */
import { formsPerOutlineMax } from "../limits.ts";
import { actorBit } from "./actor.ts";
import type { Action, Convention, Outcome } from "./conventions/convention.ts";
import { planFor, recipeFor } from "./conventions/index.ts";
import { NO, takes, YES } from "./draft.ts";
import type { Form } from "./form.ts";
import { MEMBER, MEMBERS } from "./members.ts";
import { ERROR_TYPE, FINISH_REASONS, proves, RESULT } from "./outcome.ts";
import type { Layout } from "./walk/layout.ts";

export interface Outline {
  readonly action: Action;
  readonly convention: Convention;
  /** Records of it can have forms. */
  readonly usual: boolean;
  /** The members about who acted, see `actor.ts`. */
  readonly held: number;
  /** Positions of the attributes that an outcome is judged by, or -1. */
  readonly result: number;
  readonly errorType: number;
  readonly finishReasons: number;
  /** Some member proves that an answer came. */
  readonly evidence: boolean;
  readonly forms: Form[];
  /** Where the next form is put. */
  next: number;
}

/** The outline of an action that is lasting. */
export function outlineOf(action: Action, convention: Convention, layout: Layout): Outline {
  for (const outline of layout.outlines) {
    if (outline.action === action && outline.convention === convention) return outline;
  }
  const outline = sketch(action, convention, layout);
  layout.outlines.push(outline);
  return outline;
}

function sketch(action: Action, convention: Convention, layout: Layout): Outline {
  const { kinds } = layout;
  const plan = planFor(recipeFor(convention.sources, action.type), layout);
  const taken = new Map<number, number>();
  let usual = kinds !== undefined && action.lasting;
  let held = 0;
  let candidate = 0;
  for (const [entry, member] of plan.members.entries()) {
    for (; candidate < plan.ends[entry]!; candidate++) {
      const position = plan.positions[candidate]!;
      const verdict = takes(MEMBERS[member]!.type, kinds?.[position] ?? 0);
      if (verdict === NO || taken.has(member)) continue;
      taken.set(member, position);
      held |= actorBit(member);
      if (verdict !== YES) usual = false;
    }
  }
  // Which documents there are stands in the value.
  if (taken.has(MEMBER["data.documents"])) usual = false;
  return {
    action,
    convention,
    usual,
    held,
    result: taken.get(RESULT) ?? -1,
    errorType: taken.get(ERROR_TYPE) ?? -1,
    finishReasons: taken.get(FINISH_REASONS) ?? -1,
    evidence: proves(action.type, (member) => taken.has(member)),
    forms: [],
    next: 0,
  };
}

/** What a form is for, beside action and layout. */
export interface Circumstances {
  readonly outcome: Outcome;
  /** What of the item, its surroundings and its relations is there, a bit each. */
  readonly bits: number;
  /** Numbers of the statements that are taken from around the item. */
  readonly statements: readonly number[];
}

/** The form for these circumstances, if it was drawn: of the statements the first `count` are. */
export function formFor(
  outline: Outline,
  outcome: Outcome,
  bits: number,
  taken: { readonly numbers: readonly number[]; readonly count: number },
): Form | undefined {
  for (const form of outline.forms) {
    const { circumstances } = form;
    if (bits !== circumstances.bits || outcome !== circumstances.outcome) continue;
    if (same(circumstances.statements, taken.numbers, taken.count)) return form;
  }
  return undefined;
}

function same(left: readonly number[], right: readonly number[], count: number): boolean {
  if (left.length !== count) return false;
  for (let at = 0; at < count; at++) if (left[at] !== right[at]) return false;
  return true;
}

/** Keeps a form in the place of the oldest where there are many. */
export function keepForm(outline: Outline, form: Form): void {
  outline.forms[outline.next] = form;
  outline.next = (outline.next + 1) % formsPerOutlineMax;
}
