/** Fills the draft of one record: its attributes by plan, then the members that no attribute states. */
import { canonicalize } from "../bytes/canonical-json.ts";
import { encodeUtf8 } from "../bytes/utf8.ts";
import { heldBy } from "./actor.ts";
import { kindOf, THERE } from "./circumstances.ts";
import type { Action, Outcome } from "./conventions/convention.ts";
import { decisionWords } from "./conventions/decision.ts";
import { MESSAGE_LISTS } from "./conventions/genai.ts";
import { planFor, recipeFor } from "./conventions/index.ts";
import { jsonBytes } from "./context-bytes.ts";
import { takeDocuments } from "./documents.ts";
import { ABSENT, COMPOSED, Draft, EVENTS, JSON_BLANK, SPAN_NAME, STATUS_MESSAGE } from "./draft.ts";
import type { Filler } from "./filler.ts";
import type { Inheritance } from "./inheritance.ts";
import { MEMBER, type MemberPath } from "./members.ts";
import { type Clues, ERROR_TYPE, FINISH_REASONS, proves, RESULT } from "./outcome.ts";
import { isSentinel } from "./sentinels.ts";
import { attributesOf, type PendingRecord } from "./survey.ts";
import { STRING } from "./walk/columns.ts";
import type { EventItem } from "./walk/items.ts";
import type { View } from "./walk/view.ts";

const CONTENT: readonly number[] = (
  [
    "content.arguments",
    "content.input",
    "content.output",
    "content.result",
    "content.system",
  ] as const
).map((path) => MEMBER[path]);
const IDENTITY: readonly number[] = (
  ["actor.agent.id", "actor.agent.name", "actor.on_behalf_of", "actor.user.id"] as const
).map((path) => MEMBER[path]);

const ACTION_NAME = MEMBER["action.name"];
const USER = MEMBER["actor.user.id"];
const MESSAGE = MEMBER["outcome.error.message"];
const INPUT = MEMBER["content.input"];

/** States of members that are there where something of the item or around it is. */
const STATES_OF_BITS: readonly (readonly [bit: number, path: MemberPath, state: number])[] = [
  [THERE.start, "time.start", COMPOSED],
  [THERE.end, "time.end", COMPOSED],
  [THERE.trace, "trace.trace_id", COMPOSED],
  [THERE.span, "trace.span_id", COMPOSED],
  [THERE.parent, "trace.parent_span_id", COMPOSED],
  [THERE.links, "trace.links", COMPOSED],
  [THERE.name, "trace.name", SPAN_NAME],
  [THERE.eventName, "source.event_name", JSON_BLANK],
  [THERE.scope, "source.scope", COMPOSED],
  [THERE.schemaUrl, "source.schema_url", COMPOSED],
  [THERE.service, "actor.service", COMPOSED],
  [THERE.related, "related", JSON_BLANK],
  [THERE.duplicateOf, "duplicate_of", JSON_BLANK],
  [THERE.findings, "redaction", JSON_BLANK],
  [THERE.phi, "data.phi", JSON_BLANK],
];

export class Drafter {
  readonly draft: Draft = new Draft();
  readonly #view: View;
  readonly #inheritance: Inheritance;
  readonly #filler: Filler;

  constructor(view: View, inheritance: Inheritance, filler: Filler) {
    this.#view = view;
    this.#inheritance = inheritance;
    this.#filler = filler;
  }

  /**
   * First half: what attributes state, of the item and around it. The outcome follows from it.
   *
   * @returns what is to be said of what was inherited, as bits
   */
  take(record: PendingRecord): number {
    const { draft } = this;
    const { action, convention, event, item } = record;
    const view = this.#view.use(item, attributesOf(record));
    draft.begin(view.attributes.count);
    if (view.layout.coerced) draft.flags.add("coerced");
    const recipe = recipeFor(convention.sources, action.type);
    draft.take(planFor(recipe, view.layout), view, true);
    if (event !== undefined) {
      view.use(item);
      draft.take(planFor(recipe, view.layout), view, false);
    } else if (item.events.length > 0) this.#events(record);
    const inherited = this.#inherit(record);
    view.use(item, attributesOf(record));
    if (action.type === "decision") this.#markWords(view);
    if (draft.has("data.documents") && !this.#filler.cut) takeDocuments(draft, view);
    this.#constants(action);
    return inherited;
  }

  clues({ type }: Action): Clues {
    const { state } = this.draft;
    return {
      result: state[RESULT]! - 1,
      errorType: state[ERROR_TYPE]! - 1,
      finishReasons: state[FINISH_REASONS]! - 1,
      evidence: proves(type, (member) => state[member] !== ABSENT),
    };
  }

  /** Second half: everything else. */
  finish(record: PendingRecord, outcome: Outcome, bits: number): void {
    this.#name(record.action, bits);
    this.#outcome(outcome, bits);
    this.#content(record, bits);
    this.#surroundings(record, bits);
    this.#flags(bits);
  }

  #inherit(record: PendingRecord): number {
    const { draft } = this;
    const inheritance = this.#inheritance;
    const bits = inheritance.find(record, heldBy(draft));
    for (const [index, { member, from }] of inheritance.taken
      .slice(0, inheritance.count)
      .entries()) {
      draft.state[member] = inheritance.firstRow + index + 1;
      if (from !== undefined) draft.note(member, from);
    }
    return bits;
  }

  #events(record: PendingRecord): void {
    const view = this.#view;
    const { convention, action, item } = record;
    const lists = new Map<MemberPath, EventItem[]>();
    for (const event of item.events) {
      const sources = convention.eventSources?.[event.name];
      if (sources !== undefined) {
        view.at(event.attributes);
        this.draft.take(planFor(recipeFor(sources, action.type), view.layout), view, false);
      }
      const path = MESSAGE_LISTS[event.name];
      if (path === undefined) continue;
      const list = lists.get(path);
      if (list === undefined) lists.set(path, [event]);
      else list.push(event);
    }
    for (const [path, list] of lists) {
      if (this.draft.has(path)) continue;
      this.draft.state[MEMBER[path]] = EVENTS;
      this.#filler.lists[MEMBER[path]] = list;
      this.draft.note(MEMBER[path], "span.events");
    }
  }

  /** What `decisionOf` read is no left-over attribute. */
  #markWords(view: View): void {
    for (const key of decisionWords) {
      const position = view.layout.positions[key] ?? -1;
      if (position >= 0) this.draft.used[position] = this.draft.turn;
    }
  }

  #constants(action: Action): void {
    const { draft } = this;
    draft.setConstant("action.type", jsonBytes(action.type));
    const constants = Object.entries(action.constants ?? {}) as [MemberPath, string | boolean][];
    for (const [path, value] of constants) {
      if (draft.has(path)) continue;
      draft.setConstant(path, encodeUtf8(canonicalize(value)));
      const from = action.provenance?.[path];
      if (from !== undefined) draft.note(MEMBER[path], from);
    }
  }

  #name(action: Action, bits: number): void {
    const { draft } = this;
    if (draft.state[ACTION_NAME] !== ABSENT) return;
    const named = action.named === undefined ? -1 : MEMBER[action.named];
    const state = named < 0 ? ABSENT : draft.state[named]!;
    if (state !== ABSENT) {
      draft.state[ACTION_NAME] = state;
      draft.constants[ACTION_NAME] = draft.constants[named]!;
    } else if ((bits & THERE.name) !== 0) draft.state[ACTION_NAME] = SPAN_NAME;
    else if ((bits & THERE.log) !== 0 && (bits & THERE.eventName) !== 0) {
      draft.state[ACTION_NAME] = JSON_BLANK;
    }
  }

  #outcome({ status, basis, executed }: Outcome, bits: number): void {
    const { draft } = this;
    draft.setConstant("outcome.status", jsonBytes(status));
    if (basis !== undefined) draft.setConstant("outcome.basis", jsonBytes(basis));
    if (executed !== undefined) draft.setConstant("outcome.executed", jsonBytes(executed));
    if ((bits & THERE.statusMessage) !== 0 && draft.state[MESSAGE] === ABSENT) {
      draft.state[MESSAGE] = STATUS_MESSAGE;
    }
  }

  #content({ action: { type } }: PendingRecord, bits: number): void {
    const { draft } = this;
    if ((bits & THERE.logBody) !== 0 && draft.state[INPUT] === ABSENT) {
      draft.state[INPUT] = COMPOSED;
    }
    let capture =
      type === "model_call" || type === "tool_call" || type === "agent_run" ? "absent" : "";
    for (const member of CONTENT) {
      const state = draft.state[member]!;
      if (state !== ABSENT) capture = this.#isPlaceholder(state - 1) ? "redacted" : "present";
      if (capture === "present") break;
    }
    if (capture !== "") draft.setConstant("content.capture", jsonBytes(capture));
    if (this.#filler.cut) draft.setConstant("content.truncated", jsonBytes(true));
  }

  /** Content that the emitter replaced by a word for "left out". */
  #isPlaceholder(row: number): boolean {
    const { columns, bytes } = this.#view;
    if (row < 0 || columns.kind[row] !== STRING) return false;
    if (!isSentinel(bytes, columns.valueStart[row]!, columns.valueStop[row]!)) return false;
    this.draft.particular = true;
    return true;
  }

  #surroundings(record: PendingRecord, bits: number): void {
    const { draft } = this;
    draft.state[MEMBER.nonce] = COMPOSED;
    draft.state[MEMBER["time.observed"]] = COMPOSED;
    for (const [bit, path, state] of STATES_OF_BITS) {
      if ((bits & bit) !== 0) draft.state[MEMBER[path]] = state;
    }
    const kind = kindOf(bits);
    if (kind !== "") draft.setConstant("trace.kind", jsonBytes(kind));
    draft.setConstant("schema", jsonBytes("spanseal.record/v1"));
    draft.setConstant("source.convention", jsonBytes(record.convention.name));
    const signal = (bits & THERE.log) !== 0 ? "log" : "span";
    draft.setConstant("source.signal", jsonBytes(signal));
  }

  #flags(bits: number): void {
    const { draft } = this;
    const { flags, state } = draft;
    if (IDENTITY.some((member) => state[member] !== ABSENT)) {
      const authenticated = (bits & THERE.authenticated) !== 0;
      draft.setConstant("actor.assurance", jsonBytes(authenticated ? "authenticated" : "claimed"));
      if (state[USER] !== ABSENT && !authenticated) flags.add("client_claimed_identity");
    }
    if ((bits & THERE.orphan) !== 0) flags.add("orphan");
    if ((bits & THERE.ambiguous) !== 0) flags.add("ambiguous_correlation");
    if ((bits & THERE.sentinel) !== 0) flags.add("sentinel");
    if ((bits & THERE.inferred) !== 0) flags.add("inferred");
    if ((bits & (THERE.coerced | THERE.scopeCoerced)) !== 0) flags.add("coerced");
  }
}
