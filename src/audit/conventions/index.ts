/** The conventions in the order in which they are asked, and the recipes they amount to. */
import type { ActionType } from "../members.ts";
import { compilePlan, compileRecipe, type Plan, type Recipe, type Sources } from "../plan.ts";
import type { EventFilter } from "../walk/item-fields.ts";
import { keyId } from "../walk/keys.ts";
import type { ScopeContext } from "../walk/items.ts";
import type { Layout } from "../walk/layout.ts";
import type { View } from "../walk/view.ts";
import { auditDraft } from "./audit-draft.ts";
import { type Action, type Convention, NONE } from "./convention.ts";
import { database } from "./database.ts";
import { decision, DECISION_OUTCOME, decisionEventName } from "./decision.ts";
import { genai, MESSAGE_LISTS } from "./genai.ts";
import { googleAdk } from "./google-adk.ts";
import { mcp } from "./mcp.ts";

/**
 * Special before general: the first that finds an action is the one whose span it is. Decisions are
 * asked apart, because they come on top of what a span is.
 */
export const CONVENTIONS: readonly Convention[] = [googleAdk, mcp, genai, database, auditDraft];

const KEYS: readonly (readonly number[])[] = CONVENTIONS.map((convention) =>
  convention.keys.map((name) => keyId(name)),
);

export interface Classified {
  readonly convention: Convention;
  readonly actions: readonly Action[];
}

/** What the item under the view is; undefined where it is no action of any convention. */
export function classify(view: View, signal: "span" | "log"): Classified | undefined {
  const numbers = (view.layout.conventions[signal] ??= applicable(view.layout, signal));
  if (numbers.length === 0) return undefined;
  for (const number of numbers) {
    const convention = CONVENTIONS[number]!;
    if (convention.scopes !== undefined && !followsIn(view.item.scope, number)) continue;
    const actions = convention.classify(view);
    if (actions !== NONE) return { convention, actions };
    // What a framework's own convention knows to be no action is none by the general ones either.
    if (convention.scopes !== undefined) return undefined;
  }
  return undefined;
}

const followed = new WeakMap<ScopeContext, readonly number[]>();

/** Whether the instrumentation scope is one of those that the convention is for. */
function followsIn(scope: ScopeContext, number: number): boolean {
  let numbers = followed.get(scope);
  if (numbers === undefined) {
    numbers = [...CONVENTIONS.keys()].filter((one) => CONVENTIONS[one]!.scopes?.test(scope.name));
    followed.set(scope, numbers);
  }
  return numbers.includes(number);
}

function applicable(layout: Layout, signal: "span" | "log"): readonly number[] {
  return CONVENTIONS.flatMap((convention, number) => {
    if (!convention.signals.includes(signal)) return [];
    return KEYS[number]!.some((key) => (layout.positions[key] ?? -1) >= 0) ? [number] : [];
  });
}

/** Span events that a convention reads, that are messages, or that carry a decision. */
export const eventFilter: EventFilter = {
  names: new Set([
    decisionEventName,
    ...Object.keys(MESSAGE_LISTS),
    ...[...CONVENTIONS, decision].flatMap(({ eventSources }) => Object.keys(eventSources ?? {})),
  ]),
  keys: [DECISION_OUTCOME],
};

const recipes = new Map<Sources, Map<ActionType, Recipe>>();

/** The recipe for an action of a type by a table of sources, made at first use. */
export function recipeFor(sources: Sources, type: ActionType): Recipe {
  let byType = recipes.get(sources);
  if (byType === undefined) recipes.set(sources, (byType = new Map()));
  let recipe = byType.get(type);
  if (recipe === undefined) byType.set(type, (recipe = compileRecipe(type, sources)));
  return recipe;
}

/** The plan for a recipe over a layout, made at first use. */
export function planFor(recipe: Recipe, layout: Layout): Plan {
  return (layout.plans[recipe.number] ??= compilePlan(recipe, layout.positions));
}

// Every key must have its number before the first layout is made.
for (const { sources, eventSources } of [...CONVENTIONS, decision]) {
  for (const table of [sources, ...Object.values(eventSources ?? {})]) {
    for (const name of Object.values(table).flat()) if (name !== "") keyId(name);
  }
}
