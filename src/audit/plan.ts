/**
 * From tables to work: a recipe is what one convention looks for in an action of one type, a plan
 * is what of it one sequence of attribute keys can have, member by member in canonical order.
 */
import { belongs, MEMBER, type ActionType, type MemberPath } from "./members.ts";
import { keyId } from "./walk/keys.ts";

/**
 * Ordered keys per member, the preferred one first. The first is the current OpenTelemetry name (or
 * our own); where there is none the list begins with "". A record's `provenance` names any other.
 */
export type Sources = Readonly<Partial<Record<MemberPath, readonly string[]>>>;

export interface Recipe {
  readonly number: number;
  readonly members: readonly {
    readonly index: number;
    readonly keys: readonly number[];
    /** Per key: its name where provenance must state it. */
    readonly foreign: readonly (string | undefined)[];
    /** Per key: what provenance says where a parent has it. */
    readonly ofParent: readonly string[];
  }[];
}

export interface Plan {
  readonly members: Int32Array;
  /** Where the candidates of each member end in `positions`. */
  readonly ends: Int32Array;
  readonly positions: Int32Array;
  readonly foreign: readonly (string | undefined)[];
  /** By candidate: the number of its key, and what provenance says where a parent has it. */
  readonly keys: Int32Array;
  readonly ofParent: readonly string[];
}

let recipes = 0;

export function compileRecipe(type: ActionType, sources: Sources): Recipe {
  const members = (Object.entries(sources) as [MemberPath, readonly string[]][])
    .filter(([path]) => belongs(type, path))
    .map(([path, names]) => {
      const [current] = names;
      const keys = names.filter((name) => name !== "");
      return {
        index: MEMBER[path],
        keys: keys.map((name) => keyId(name)),
        foreign: keys.map((name) => (name === current ? undefined : name)),
        ofParent: keys.map((name) => `parent.${name}`),
      };
    })
    .toSorted((a, b) => a.index - b.index);
  return { number: recipes++, members };
}

/** @param positionOf by key number: the attribute's position, or -1 or undefined */
export function compilePlan(recipe: Recipe, positionOf: Int32Array): Plan {
  const members: number[] = [];
  const ends: number[] = [];
  const positions: number[] = [];
  const foreign: (string | undefined)[] = [];
  const keys: number[] = [];
  const ofParent: string[] = [];
  for (const member of recipe.members) {
    const before = positions.length;
    for (const [rank, key] of member.keys.entries()) {
      const position = positionOf[key] ?? -1;
      if (position < 0) continue;
      positions.push(position);
      foreign.push(member.foreign[rank]);
      keys.push(key);
      ofParent.push(member.ofParent[rank]!);
    }
    if (positions.length === before) continue;
    members.push(member.index);
    ends.push(positions.length);
  }
  return {
    members: Int32Array.from(members),
    ends: Int32Array.from(ends),
    positions: Int32Array.from(positions),
    foreign,
    keys: Int32Array.from(keys),
    ofParent,
  };
}
