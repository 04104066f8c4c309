/** Fills a draft for one record, and writes the members that no attribute states. */
import { canonicalize } from "../bytes/canonical-json.ts";
import { encodeUtf8 } from "../bytes/utf8.ts";
import { ancestorsMax, itemBytesMax } from "../limits.ts";
import { groupsMissing } from "./ancestry.ts";
import { resourceSources } from "./conventions/base.ts";
import type { Action } from "./conventions/convention.ts";
import { decisionWords } from "./conventions/decision.ts";
import { MESSAGE_LISTS } from "./conventions/genai.ts";
import { planFor, recipeFor } from "./conventions/index.ts";
import { takeDocuments } from "./documents.ts";
import { ABSENT, COMPOSED, Draft, EVENTS } from "./draft.ts";
import { contextBytes, jsonBytes, nameJson } from "./context-bytes.ts";
import { linksJson, writeLogBody } from "./json-value.ts";
import type { JsonWriter } from "./json-writer.ts";
import { MEMBER, type MemberPath } from "./members.ts";
import { outcomeOf } from "./outcome.ts";
import { type RecordSource, writeBody } from "./record.ts";
import type { RedactedRequest } from "./redact/request.ts";
import { isSentinel } from "./sentinels.ts";
import { attributesOf, type PendingRecord } from "./survey.ts";
import { findingsJson, phiJson, relationsJson } from "./trail.ts";
import type { Attributes } from "./walk/attributes.ts";
import { type Columns, STRING } from "./walk/columns.ts";
import type { EventItem, Item } from "./walk/items.ts";
import type { Layout } from "./walk/layout.ts";
import type { View } from "./walk/view.ts";

const KINDS: readonly string[] = ["", "internal", "server", "client", "producer", "consumer"];
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
const ALWAYS: readonly number[] = (["nonce", "time.observed"] as const).map((path) => MEMBER[path]);

const ACTION_NAME = MEMBER["action.name"];
const USER = MEMBER["actor.user.id"];
const MESSAGE = MEMBER["outcome.error.message"];
const NONCE = MEMBER.nonce;
const OBSERVED = MEMBER["time.observed"];
const START = MEMBER["time.start"];
const END = MEMBER["time.end"];
const TRACE = MEMBER["trace.trace_id"];
const SPAN = MEMBER["trace.span_id"];
const PARENT = MEMBER["trace.parent_span_id"];
const INPUT = MEMBER["content.input"];

export class Composer implements RecordSource {
  readonly bytes: Uint8Array;
  readonly columns: Columns;
  attributes!: Attributes;
  layout!: Layout;
  cut = false;
  readonly draft: Draft = new Draft();
  /** Where the zeros stand that nonce and time of observation replace. */
  nonceAt = 0;
  observedAt = 0;
  readonly #view: View;
  readonly #redacted: RedactedRequest;
  readonly #authenticated: boolean;
  readonly #unobserved: Uint8Array;
  #record!: PendingRecord;
  /** The item whose account of returned columns was written last. */
  #accounted = -1;

  constructor(
    view: View,
    redacted: RedactedRequest,
    origin: { authenticated: boolean; observed: string },
  ) {
    this.bytes = view.bytes;
    this.columns = view.columns;
    this.#view = view;
    this.#redacted = redacted;
    this.#authenticated = origin.authenticated;
    this.#unobserved = encodeUtf8(`"${"0".repeat(origin.observed.length)}"`);
  }

  /** Appends the record's body, with zeros for nonce and time of observation. */
  write(writer: JsonWriter, record: PendingRecord): void {
    const { item } = record;
    this.#record = record;
    this.attributes = attributesOf(record);
    this.cut = item.stop - item.start > itemBytesMax;
    const view = this.#view.use(item, this.attributes);
    this.layout = view.layout;
    const { draft } = this;
    draft.begin(this.attributes.count);
    if (this.layout.coerced || item.scope.coerced) draft.flags.add("coerced");
    const rows = this.columns.size;
    this.#attributes(record, view);
    if (draft.has("data.documents") && !this.cut) takeDocuments(draft, this);
    this.#constants(record);
    this.#outcome(record, view);
    this.#content(record);
    this.#surroundings(record);
    this.#findings(record);
    this.#flags(record);
    writeBody(writer, this);
    this.columns.size = rows;
  }

  #attributes(record: PendingRecord, view: View): void {
    const { draft } = this;
    const { item, convention, action } = record;
    const recipe = recipeFor(convention.sources, action.type);
    draft.take(planFor(recipe, view.layout), view, true);
    if (record.event !== undefined) {
      view.use(item);
      draft.take(planFor(recipe, view.layout), view, false);
    } else if (item.events.length > 0) this.#events(record, item.events, view);
    this.#inherit(record, view);
    view.use(item, this.attributes);
    if (action.type === "decision") this.#markWords(view);
  }

  /** What is left open about who acted: from ancestors, and from the resource between them. */
  #inherit(record: PendingRecord, view: View): void {
    const { draft, columns } = this;
    const { resource } = record.item.scope;
    const { type } = record.action;
    let missing = record.above === undefined ? 0 : groupsMissing(draft, type);
    let resourceAsked = false;
    let one = record.above;
    for (let count = 0; one !== undefined && missing !== 0 && count < ancestorsMax; count++) {
      if (!resourceAsked && one.resource !== resource) {
        this.#resource(record, view);
        resourceAsked = true;
        missing &= groupsMissing(draft, type);
      }
      for (const statement of one.statements) {
        if ((missing & statement.group) === 0) continue;
        draft.takeValue(statement.member, statement, columns);
        draft.note(statement.member, statement.from);
        draft.flags.add("inferred");
      }
      if ((missing & one.disputed) !== 0) draft.flags.add("ambiguous_correlation");
      missing &= ~one.settled;
      one = one.above;
    }
    if (!resourceAsked) this.#resource(record, view);
  }

  #resource(record: PendingRecord, view: View): void {
    const { attributes } = record.item.scope.resource;
    if (attributes.count === 0) return;
    view.at(attributes);
    const recipe = recipeFor(resourceSources, record.action.type);
    this.draft.take(planFor(recipe, view.layout), view, false);
  }

  #events(record: PendingRecord, events: readonly EventItem[], view: View): void {
    const { eventSources } = record.convention;
    const lists = new Map<MemberPath, EventItem[]>();
    for (const event of events) {
      const sources = eventSources?.[event.name];
      if (sources !== undefined) {
        view.at(event.attributes);
        this.draft.take(planFor(recipeFor(sources, record.action.type), view.layout), view, false);
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
      this.draft.lists[MEMBER[path]] = list;
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

  #constants(record: PendingRecord): void {
    const { draft } = this;
    const { action } = record;
    draft.setBytes(MEMBER["action.type"], jsonBytes(action.type));
    if (action.constants !== undefined) this.#takeConstants(action, action.constants);
    this.#name(record);
  }

  #takeConstants(action: Action, constants: NonNullable<Action["constants"]>): void {
    const { draft } = this;
    for (const [path, value] of Object.entries(constants) as [MemberPath, string | boolean][]) {
      if (draft.has(path)) continue;
      draft.setJson(path, canonicalize(value));
      const from = action.provenance?.[path];
      if (from !== undefined) draft.note(MEMBER[path], from);
    }
  }

  #name(record: PendingRecord): void {
    const { draft } = this;
    const { item, action } = record;
    if (draft.state[ACTION_NAME] !== ABSENT) return;
    const named = action.named === undefined ? -1 : MEMBER[action.named];
    const state = named < 0 ? ABSENT : draft.state[named]!;
    if (state !== ABSENT) {
      draft.state[ACTION_NAME] = state;
      draft.json[ACTION_NAME] = draft.json[named]!;
    } else if (item.nameStop > item.nameStart) {
      draft.setRange(ACTION_NAME, item.nameStart, item.nameStop);
    } else if (item.eventName !== "") draft.setJson("action.name", nameJson(item.eventName));
  }

  #outcome(record: PendingRecord, view: View): void {
    const { draft } = this;
    const { item, action, decided } = record;
    const outcome = outcomeOf(view, action, draft, decided);
    draft.setBytes(MEMBER["outcome.status"], jsonBytes(outcome.status));
    if (outcome.basis !== undefined) {
      draft.setBytes(MEMBER["outcome.basis"], jsonBytes(outcome.basis));
    }
    if (outcome.executed !== undefined) {
      draft.setBytes(MEMBER["outcome.executed"], jsonBytes(outcome.executed));
    }
    const said = item.statusCode === 2 && item.messageStop > item.messageStart;
    if (said && item.signal === "traces" && draft.state[MESSAGE] === ABSENT) {
      draft.setRange(MESSAGE, item.messageStart, item.messageStop);
    }
  }

  #content(record: PendingRecord): void {
    const { draft } = this;
    const { item } = record;
    const { type } = record.action;
    if (item.signal === "logs" && item.messageStop > item.messageStart) {
      if (draft.state[INPUT] === ABSENT) draft.state[INPUT] = COMPOSED;
    }
    let capture =
      type === "model_call" || type === "tool_call" || type === "agent_run" ? "absent" : "";
    for (const member of CONTENT) {
      const state = draft.state[member]!;
      if (state !== ABSENT) capture = this.#isPlaceholder(state - 1) ? "redacted" : "present";
      if (capture === "present") break;
    }
    if (capture !== "") draft.setBytes(MEMBER["content.capture"], jsonBytes(capture));
    if (this.cut) draft.setBytes(MEMBER["content.truncated"], jsonBytes(true));
  }

  /** Content that the emitter replaced by a word for "left out". */
  #isPlaceholder(row: number): boolean {
    const { columns, bytes } = this;
    if (row < 0 || columns.kind[row] !== STRING) return false;
    return isSentinel(bytes, columns.valueStart[row]!, columns.valueStop[row]!);
  }

  #surroundings(record: PendingRecord): void {
    const { draft } = this;
    const { item, event } = record;
    for (const member of ALWAYS) draft.state[member] = COMPOSED;
    if (item.startAt >= 0 || item.observedAt >= 0 || event !== undefined)
      draft.state[START] = COMPOSED;
    if (item.endAt >= 0 && event === undefined) draft.state[END] = COMPOSED;
    if (item.traceAt >= 0) draft.state[TRACE] = COMPOSED;
    if (item.spanAt >= 0) draft.state[SPAN] = COMPOSED;
    if (item.parentAt >= 0) draft.state[PARENT] = COMPOSED;
    if (item.links.length > 0) draft.state[MEMBER["trace.links"]] = COMPOSED;
    if (item.nameStop > item.nameStart) {
      draft.setRange(MEMBER["trace.name"], item.nameStart, item.nameStop);
    }
    const kind = KINDS[item.kind] ?? "";
    if (kind !== "") draft.setBytes(MEMBER["trace.kind"], jsonBytes(kind));
    draft.setBytes(MEMBER.schema, SCHEMA);
    draft.setBytes(MEMBER["source.convention"], jsonBytes(record.convention.name));
    draft.setBytes(MEMBER["source.signal"], item.signal === "traces" ? SPAN_SIGNAL : LOG_SIGNAL);
    const eventName = event?.name ?? item.eventName;
    if (eventName !== "") draft.setJson("source.event_name", nameJson(eventName));
    const { scope, schemaUrl, service } = contextBytes(item.scope, this.#view);
    if (scope !== undefined) draft.setBytes(MEMBER["source.scope"], scope);
    if (schemaUrl !== undefined) draft.setBytes(MEMBER["source.schema_url"], schemaUrl);
    if (service !== undefined) draft.setBytes(MEMBER["actor.service"], service);
    if (record.related !== undefined) draft.setJson("related", relationsJson(record.related));
    if (record.duplicateOf !== undefined) {
      draft.setJson("duplicate_of", relationsJson(record.duplicateOf));
    }
  }

  #findings(record: PendingRecord): void {
    const { draft } = this;
    const { item } = record;
    const { items, scopes, resources } = this.#redacted;
    if (items.size + scopes.size + resources.size === 0) return;
    const own = items.get(item.ordinal);
    const list = [
      ...(own?.findings ?? []),
      ...(scopes.get(item.scope.ordinal) ?? []),
      ...(resources.get(item.scope.resource.ordinal) ?? []),
    ];
    if (list.length > 0) draft.setJson("redaction", findingsJson(list));
    // What was returned is counted once: for what the item is about, not for decisions on it too.
    if (own?.phi === undefined || this.#accounted === item.ordinal) return;
    this.#accounted = item.ordinal;
    draft.setJson("data.phi", phiJson(own.phi));
  }

  #flags(record: PendingRecord): void {
    const { draft } = this;
    const { flags, state } = draft;
    if (IDENTITY.some((member) => state[member] !== ABSENT)) {
      draft.setBytes(MEMBER["actor.assurance"], this.#authenticated ? AUTHENTICATED : CLAIMED);
      if (state[USER] !== ABSENT && !this.#authenticated) flags.add("client_claimed_identity");
    }
    if (record.orphan) flags.add("orphan");
    if (record.ambiguous) flags.add("ambiguous_correlation");
    if (record.action.inferred === true) flags.add("inferred");
  }

  compose(writer: JsonWriter, member: number): void {
    const { item, event } = this.#record;
    switch (member) {
      case NONCE:
        this.nonceAt = writer.at + 1;
        writer.raw(NO_NONCE);
        return;
      case OBSERVED:
        this.observedAt = writer.at + 1;
        writer.raw(this.#unobserved);
        return;
      case START: {
        const at = event?.timeAt ?? (item.startAt >= 0 ? item.startAt : item.observedAt);
        this.#time(writer, at);
        return;
      }
      case END:
        this.#time(writer, item.endAt);
        return;
      case TRACE:
        this.#hex(writer, item.traceAt, 16);
        return;
      case SPAN:
        this.#hex(writer, item.spanAt, 8);
        return;
      case PARENT:
        this.#hex(writer, item.parentAt, 8);
        return;
      case INPUT:
        this.#logBody(writer, item);
        return;
      default:
        writer.json(linksJson(this.bytes, item.links));
    }
  }

  #logBody(writer: JsonWriter, item: Item): void {
    // A body that is cut is not shown: half of a value is none.
    if (this.cut) writer.ascii("null");
    else writeLogBody(writer, this.bytes, item.messageStart, item.messageStop);
  }

  #time(writer: JsonWriter, at: number): void {
    writer.byte(0x22);
    if (at < 0) writer.byte(0x30);
    else writer.fixed64(this.bytes, at);
    writer.byte(0x22);
  }

  #hex(writer: JsonWriter, at: number, count: number): void {
    writer.byte(0x22);
    writer.hex(this.bytes, at, at + count);
    writer.byte(0x22);
  }
}

const NO_NONCE = encodeUtf8(`"${"0".repeat(32)}"`);
const SCHEMA = jsonBytes("spanseal.record/v1");
const SPAN_SIGNAL = jsonBytes("span");
const LOG_SIGNAL = jsonBytes("log");
const AUTHENTICATED = jsonBytes("authenticated");
const CLAIMED = jsonBytes("claimed");
