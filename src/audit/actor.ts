/** Who acted: which members say so, in groups that stand together, and what one place states of them. */
import { planFor } from "./conventions/index.ts";
import { type Draft, NO, takes } from "./draft.ts";
import { ABSENT } from "./draft.ts";
import { type ActionType, MEMBER, MEMBERS, type MemberPath } from "./members.ts";
import { compileRecipe, type Plan, type Recipe, type Sources } from "./plan.ts";
import { isSentinel } from "./sentinels.ts";
import { STRING } from "./walk/columns.ts";
import type { Layout } from "./walk/layout.ts";
import type { View } from "./walk/view.ts";

/** What an ancestor passes on as a whole: the members of one group stand together. */
const GROUPS = [
  ["actor.agent.id", "actor.agent.name", "actor.agent.version"],
  ["actor.conversation"],
  ["actor.session"],
  ["actor.turn"],
  ["actor.user.id", "actor.user.roles"],
] as const satisfies readonly (readonly MemberPath[])[];

const PATHS: readonly MemberPath[] = GROUPS.flat();
const NUMBERS: readonly number[] = PATHS.map((path) => MEMBER[path]);

/** Sets of members as bits, in the order of `PATHS`; a group is the set of its members. */
const BIT_OF_MEMBER: readonly number[] = MEMBERS.map(({ path }) =>
  PATHS.includes(path) ? 1 << PATHS.indexOf(path) : 0,
);
const GROUP_BITS: readonly number[] = GROUPS.map((paths: readonly MemberPath[]) =>
  paths.reduce((bits, path) => bits | BIT_OF_MEMBER[MEMBER[path]]!, 0),
);
export const AGENT: number = GROUP_BITS[0]!;
export const ALL: number = (1 << PATHS.length) - 1;

/** The bit of a member; 0 for a member that says nothing about who acted. */
export function actorBit(member: number): number {
  return BIT_OF_MEMBER[member]!;
}

function groupOf(bit: number): number {
  return GROUP_BITS.find((group) => (group & bit) !== 0)!;
}

/** The members that the draft has. */
export function heldBy(draft: Draft): number {
  let held = 0;
  for (const member of NUMBERS) if (draft.state[member] !== ABSENT) held |= actorBit(member);
  return held;
}

/** The groups of which nothing is held yet and the record's action can have something. */
export function groupsMissing(held: number, type: ActionType): number {
  let missing = 0;
  for (const group of GROUP_BITS) if ((held & group) === 0) missing |= group;
  // The agent of a run is the one that runs, not the one that started it.
  return type === "agent_run" || type === "config_change" ? missing & ~AGENT : missing;
}

/** One member as one place states it. */
export interface Statement {
  readonly member: number;
  readonly bit: number;
  readonly group: number;
  /** True where a text that stands for nothing was found: the member stays open. */
  readonly sentinel: boolean;
  readonly kind: number;
  readonly start: number;
  readonly stop: number;
  /** What the provenance says; undefined where it says nothing. */
  readonly from: string | undefined;
  /** The same for statements that differ in their value only. */
  readonly number: number;
}

/** What the attributes under the view state, the preferred key of each member. */
export function statementsUnder(
  view: View,
  sources: Sources,
  origin: "parent" | "resource",
): readonly Statement[] {
  const plan = actorPlan(sources, view.layout);
  if (plan === undefined) return NOTHING;
  const statements: Statement[] = [];
  let candidate = 0;
  for (let entry = 0; entry < plan.members.length; entry++) {
    const member = plan.members[entry]!;
    const end = plan.ends[entry]!;
    for (let stated = false; candidate < end && !stated; candidate++) {
      const statement = statementIn(view, plan, { candidate, member, origin });
      if (statement === undefined) continue;
      stated = !statement.sentinel;
      if (stated || origin === "resource") statements.push(statement);
    }
    candidate = end;
  }
  return statements;
}

const NOTHING: readonly Statement[] = [];

const recipes = new Map<Sources, Recipe>();

/** Where the attributes of a layout can say who acted; undefined where none of them does. */
export function actorPlan(sources: Sources, layout: Layout): Plan | undefined {
  let recipe = recipes.get(sources);
  if (recipe === undefined) {
    const some = Object.fromEntries(PATHS.map((path) => [path, sources[path] ?? []]));
    recipes.set(sources, (recipe = compileRecipe("other", some)));
  }
  const plan = planFor(recipe, layout);
  return plan.members.length === 0 ? undefined : plan;
}

function statementIn(
  view: View,
  plan: Plan,
  of: { candidate: number; member: number; origin: "parent" | "resource" },
): Statement | undefined {
  const { columns, bytes } = view;
  const { candidate, member, origin } = of;
  const row = view.attributes.base + plan.positions[candidate]!;
  const kind = columns.kind[row]!;
  if (takes(MEMBERS[member]!.type, kind) === NO) return undefined;
  const start = columns.valueStart[row]!;
  const stop = columns.valueStop[row]!;
  const isParent = origin === "parent";
  const from = isParent ? plan.ofParent[candidate] : plan.foreign[candidate];
  const sentinel = kind === STRING && isSentinel(bytes, start, stop);
  const bit = actorBit(member);
  const place = (plan.keys[candidate]! * 2 + (isParent ? 1 : 0)) * MEMBERS.length + member;
  const number = place * kinds + kind;
  return { member, bit, group: groupOf(bit), sentinel, kind, start, stop, from, number };
}

/** Of AnyValue. */
const kinds = 8;
