/**
 * Who did it, where a span does not say so itself: its enclosing spans in the same request do.
 *
 * The chain of parents is followed by span id within one trace of one request, whatever the order
 * of the spans. Agent, user, session, conversation and turn each come as a whole from the nearest
 * ancestor that states them in its own attributes: an agent's name is never joined to the id of
 * another. What the span states itself is never replaced; what its resource states comes after
 * ancestors of that resource and before ancestors of others. A record says which key of an ancestor
 * a member came from (`parent.gen_ai.agent.name`) and is flagged `inferred`.
 *
 * Nothing is taken where it would be a guess:
 * - two spans with one id that state different things: nothing, flagged `ambiguous_correlation`;
 * - below an agent's run that names no agent: no agent of a run further up;
 * - the agent that a `create_agent` span is about did nothing yet.
 *
 * The name of a service is never the name of an agent.
 */
import { ancestorsMax } from "../limits.ts";
import { actorPlan, AGENT, ALL, type Statement, statementsUnder } from "./actor.ts";
import type { Names } from "./chains.ts";
import { baseSources } from "./conventions/base.ts";
import { DISPUTED, SpanIndex } from "./span-index.ts";
import type { PendingRecord, Place } from "./survey.ts";
import type { Item, ResourceContext } from "./walk/items.ts";
import type { RequestWalk } from "./walk/request-walk.ts";
import type { View } from "./walk/view.ts";

/** An ancestor that says something about who acted, and the next one above it that does. */
export interface Ancestor {
  readonly resource: ResourceContext | undefined;
  readonly statements: readonly Statement[];
  /** Groups that spans with this id state differently. */
  readonly disputed: number;
  /** Groups that are settled here, by what is stated or because nobody further up is meant. */
  readonly settled: number;
  readonly above: Ancestor | undefined;
}

/** Below spans with one id that have different parents, nobody is known to be meant. */
const DISPUTED_PARENTS: Ancestor = {
  resource: undefined,
  statements: [],
  disputed: ALL,
  settled: ALL,
  above: undefined,
};

interface Reading {
  readonly walk: RequestWalk;
  readonly view: View;
}

export class Ancestry {
  readonly #index: SpanIndex;
  /** By ordinal of the span: the span itself where its attributes are held. */
  readonly #items: (Item | undefined)[] = [];
  readonly #firsts: (PendingRecord | undefined)[] = [];
  readonly #names: Names[] = [];
  /** By ordinal, once `#asked`: the nearest from this span upwards that says something. */
  readonly #found: (Ancestor | undefined)[] = [];
  readonly #asked: boolean[] = [];

  constructor(bytes: Uint8Array) {
    this.#index = new SpanIndex(bytes);
  }

  /**
   * Called for every span of a request, in its order.
   *
   * @param first the span's first record, if it makes any
   * @returns whether the span's attributes may be asked for later
   */
  note(item: Item, place: Place, first: PendingRecord | undefined, view: View): boolean {
    const { names, trace } = place;
    this.#index.add(item, trace === undefined ? -1 : trace.number);
    const held = first !== undefined || actorPlan(baseSources, view.use(item).layout) !== undefined;
    this.#items.push(held ? item : undefined);
    this.#firsts.push(first);
    this.#names.push(names);
    return held;
  }

  /** The names of a span's chain, what is missing from the nearest ancestor that has it. */
  namesOf(item: Item): Names {
    const index = this.#index;
    let { namespace, tenant } = this.#names[item.ordinal]!;
    let span = index.parent(item.ordinal);
    for (let depth = 0; span >= 0 && depth < ancestorsMax; depth++) {
      const names = this.#names[span]!;
      for (let other = index.nextAlike(span); other >= 0; other = index.nextAlike(other)) {
        if (!sameNames(names, this.#names[other]!)) return { namespace, tenant };
      }
      namespace ??= names.namespace;
      tenant ??= names.tenant;
      if (namespace !== undefined && tenant !== undefined) break;
      span = index.parentOfAlike(span);
    }
    return { namespace, tenant };
  }

  /** The nearest ancestor that says something. This may walk spans again: never while one is lent. */
  above(item: Item, reading: Reading): Ancestor | undefined {
    let span = this.#index.parent(item.ordinal);
    if (span >= 0 && this.#asked[span] === true) return this.#found[span];
    const path: number[] = [];
    while (span >= 0 && this.#asked[span] !== true) {
      // Whoever comes here again has followed a cycle, which ends here.
      this.#asked[span] = true;
      path.push(span);
      span = this.#index.parentOfAlike(span);
    }
    let found = span >= 0 ? this.#found[span] : span === DISPUTED ? DISPUTED_PARENTS : undefined;
    for (let at = path.length - 1; at >= 0; at--) {
      found = this.#read(path[at]!, found, reading);
      this.#found[path[at]!] = found;
    }
    return found;
  }

  /** What the spans with one id say together. */
  #read(first: number, above: Ancestor | undefined, reading: Reading): Ancestor | undefined {
    const statements = [...this.#statements(first, reading)];
    let item = this.#items[first];
    let runs = this.#firsts[first]?.action.type === "agent_run";
    let disputed = 0;
    const index = this.#index;
    for (let other = index.nextAlike(first); other >= 0; other = index.nextAlike(other)) {
      const more = this.#statements(other, reading);
      disputed |= differences(statements, more, reading.view);
      const stated = groupsOf(statements);
      statements.push(...more.filter(({ group }) => (stated & group) === 0));
      item ??= this.#items[other];
      runs ||= this.#firsts[other]?.action.type === "agent_run";
    }
    const settled = groupsOf(statements) | (runs ? AGENT : 0);
    if (settled === 0) return above;
    const agreed = statements.filter(({ group }) => (disputed & group) === 0);
    return { resource: item?.scope.resource, statements: agreed, disputed, settled, above };
  }

  #statements(span: number, { walk, view }: Reading): readonly Statement[] {
    const item = this.#items[span];
    if (item === undefined) return NOTHING;
    const first = this.#firsts[span];
    const sources = first?.convention.sources ?? baseSources;
    walk.lend(item);
    const statements = statementsUnder(view.use(item), sources, "parent");
    // The agent that is being created does nothing yet.
    const created = first?.action.type === "config_change";
    return created ? statements.filter(({ group }) => group !== AGENT) : statements;
  }
}

const NOTHING: readonly Statement[] = [];

function groupsOf(statements: readonly Statement[]): number {
  return statements.reduce((groups, { group }) => groups | group, 0);
}

/** The groups that both state, in different words. */
function differences(left: readonly Statement[], right: readonly Statement[], view: View): number {
  const both = groupsOf(left) & groupsOf(right);
  const text = (statements: readonly Statement[], group: number): string =>
    statements
      .filter((one) => one.group === group)
      .map(({ member, start, stop }) => `${member} ${stop - start} ${view.latin1(start, stop)}`)
      .join();
  let differ = 0;
  for (const { group } of left) {
    if ((both & group) !== 0 && text(left, group) !== text(right, group)) differ |= group;
  }
  return differ;
}

function sameNames(left: Names, right: Names): boolean {
  return left.namespace === right.namespace && left.tenant === right.tenant;
}
