/**
 * The first pass over a request: which items are actions, and what the request shows about their
 * traces. Children come before their parents, so nothing is concluded until all was seen.
 */
import { firstWhere } from "../bytes/search.ts";
import type { Ancestor, Ancestry } from "./ancestry.ts";
import {
  agentSeen,
  type ChainResolver,
  isAmbiguous,
  isMixed,
  type Names,
  type TraceNotes,
} from "./chains.ts";
import { action, type Action, type Convention, type Outcome } from "./conventions/convention.ts";
import {
  decision,
  DECISION_OUTCOME,
  decisionEventName,
  decisionOf,
} from "./conventions/decision.ts";
import { classify } from "./conventions/index.ts";
import { decisionEventsMax } from "../limits.ts";
import type { ActionType } from "./members.ts";
import type { AuditPolicy, DataAccessRule } from "./policy.ts";
import type { Attributes } from "./walk/attributes.ts";
import { RequestError } from "./request-error.ts";
import type { EventItem, Item } from "./walk/items.ts";
import { keyId } from "./walk/keys.ts";
import type { RequestWalk } from "./walk/request-walk.ts";
import type { View } from "./walk/view.ts";

/** A pointer from one record to another about the same action. */
export interface Relation {
  readonly to: PendingRecord;
  readonly reason: string;
}

/** A record that will be written. A class for the reason that `Item` is one. */
export class PendingRecord {
  readonly item: Item;
  /** The span event that is the action, where it is not the item itself. */
  readonly event: EventItem | undefined;
  readonly action: Action;
  readonly convention: Convention;
  /** Counts the records of one item and phase: the event's place in its span, after the span's own. */
  readonly ordinal: number;
  readonly names: Names;
  readonly trace: TraceNotes | undefined;
  chain = 0;
  orphan = false;
  ambiguous = false;
  /** Number of the record in its batch, once it is known that it stays. */
  position = -1;
  related: Relation[] | undefined = undefined;
  duplicateOf: Relation[] | undefined = undefined;
  /** What a decision on the same call in this request means for it. */
  decided: Outcome | undefined = undefined;
  /** Whether such a decision was an answer, after which the call waits no more. */
  answered = false;
  /** The nearest enclosing span that says who acted. */
  above: Ancestor | undefined = undefined;

  constructor(place: Place, convention: Convention, proved: Action) {
    this.item = place.item;
    this.event = place.event;
    this.action = proved;
    this.convention = convention;
    this.ordinal = place.event === undefined ? 0 : place.event.ordinal + 1;
    this.names = place.names;
    this.trace = place.trace;
  }
}

/** The attributes that state the action: the event's, or the item's own. */
export function attributesOf(record: PendingRecord): Attributes {
  const { item, event, ordinal } = record;
  if (event === undefined) return item.attributes;
  if (item.loaded) return event.attributes;
  // An item that was walked again has new event objects, in the order of their ordinals.
  const { events } = item;
  return events[firstWhere(events.length, (at) => events[at]!.ordinal >= ordinal - 1)]!.attributes;
}

const AGENT_NAME = keyId("gen_ai.agent.name");
const AGENT_ID = keyId("gen_ai.agent.id");

/** Types whose records do not show an agent by themselves. */
const DATA_TYPES: ReadonlySet<ActionType> = new Set(["data_access", "retrieval"]);

export class Survey {
  readonly records: PendingRecord[] = [];
  readonly #view: View;
  readonly #chains: ChainResolver;
  readonly #walk: RequestWalk;
  readonly #ancestry: Ancestry;

  constructor(walk: RequestWalk, view: View, chains: ChainResolver, ancestry: Ancestry) {
    this.#walk = walk;
    this.#view = view;
    this.#chains = chains;
    this.#ancestry = ancestry;
  }

  run(policy: AuditPolicy): PendingRecord[] {
    this.#walk.forEach((item) => this.#visit(item));
    return this.#settle(policy.dataAccess);
  }

  /** @returns whether the item makes a record, or may say for others who acted. */
  #visit(item: Item): boolean {
    const view = this.#view.use(item);
    const trace = this.#chains.trace(item);
    const names = this.#chains.namesOf(item, trace);
    if (trace !== undefined && !trace.agent) {
      trace.agent = view.has(AGENT_NAME) || view.has(AGENT_ID);
    }
    const before = this.records.length;
    const signal = item.signal === "traces" ? "span" : "log";
    const found = classify(view, signal);
    const place = { item, names, trace };
    for (const one of found?.actions ?? []) {
      // A decision names the tool it is about: that is no call.
      if (one.inferred && view.has(DECISION_OUTCOME)) continue;
      this.#add(place, found!.convention, one);
    }
    this.#decisions(place, view, this.records[before]?.action);
    if (item.signal === "logs") return this.records.length > before;
    return this.#ancestry.note(item, place, this.records[before], view);
  }

  /** @param call what the item itself is, if it is an action */
  #decisions(place: Place, view: View, call: Action | undefined): void {
    const { item } = place;
    const ownName = item.signal === "logs" && item.eventName === decisionEventName;
    if (ownName || view.has(DECISION_OUTCOME)) {
      this.#add(place, decision, withTool(decisionOf(view), call));
    }
    let decisions = 0;
    for (const event of item.events) {
      view.use(item, event.attributes);
      if (event.name !== decisionEventName && !view.has(DECISION_OUTCOME)) continue;
      if (++decisions > decisionEventsMax) {
        throw new RequestError("too_large", `more than ${decisionEventsMax} decisions on one span`);
      }
      this.#add({ ...place, event }, decision, withTool(decisionOf(view), call));
    }
  }

  #add(place: Place, convention: Convention, one: Action): void {
    const { trace } = place;
    const provesAgent =
      !DATA_TYPES.has(one.type) && convention.name !== "otel.mcp" && one.type !== "other";
    if (trace !== undefined && provesAgent) trace.agent = true;
    this.records.push(new PendingRecord(place, convention, one));
  }

  /** What could only be said after the last item. */
  #settle(dataAccess: DataAccessRule): PendingRecord[] {
    const kept: PendingRecord[] = [];
    for (const record of this.records) {
      const { item, trace } = record;
      const isData = DATA_TYPES.has(record.action.type);
      if (isData || record.convention.name === "otel.mcp") {
        record.orphan = !agentSeen(trace);
        if (isData && (dataAccess === "none" || (dataAccess === "agent" && record.orphan)))
          continue;
      }
      const mixed = item.signal === "traces" && isMixed(trace);
      const names = mixed ? this.#ancestry.namesOf(item) : record.names;
      record.chain = this.#chains.chainOf(names, trace);
      record.ambiguous = isAmbiguous(names, trace);
      record.position = kept.push(record) - 1;
    }
    return kept;
  }
}

/** A decision about a call whose tool no attribute names, but the call's own classification. */
function withTool(decided: Action, call: Action | undefined): Action {
  const name = call?.constants?.["tool.name"];
  if (name === undefined) return decided;
  const from = call?.provenance?.["tool.name"];
  return action({
    ...decided,
    constants: { ...decided.constants, "tool.name": name },
    provenance: from === undefined ? undefined : { "tool.name": from },
  });
}

/** Where an action was found, and what is known of that place. */
export interface Place {
  readonly item: Item;
  readonly event?: EventItem;
  readonly names: Names;
  readonly trace: TraceNotes | undefined;
}
