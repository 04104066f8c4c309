/** Draws the form of a record from its draft, member by member in canonical order. */
import { canonicalize } from "../bytes/canonical-json.ts";
import { encodeUtf8 } from "../bytes/utf8.ts";
import { cutAttributes } from "../limits.ts";
import {
  ABSENT,
  COMPOSED,
  CONSTANT,
  type Draft,
  EVENTS,
  JSON_BLANK,
  SPAN_NAME,
  STATUS_MESSAGE,
} from "./draft.ts";
import { type Blank, BLANK, type Form, numbersPerBlank, PLACE } from "./form.ts";
import { MEMBER, MEMBERS, type Member, type MemberType } from "./members.ts";
import type { Circumstances } from "./outline.ts";
import type { Attributes } from "./walk/attributes.ts";
import { ARRAY, BOOL, BYTES, type Columns, DOUBLE, INT, STRING } from "./walk/columns.ts";
import type { Layout } from "./walk/layout.ts";

const ATTRIBUTES = MEMBER.attributes;
const REPEATED = MEMBER.repeated_attributes;
const FLAGS = MEMBER.flags;
const PROVENANCE = MEMBER.provenance;

const OPEN = 0x7b;
const COLON = bytesOf(":");
const COMMA = bytesOf(",");
const CLOSE = bytesOf("}");
const OPEN_OBJECT = bytesOf("{");
const OPEN_LIST = bytesOf("[");
const CLOSE_LIST = bytesOf("]");

function bytesOf(text: string): Uint8Array {
  return encodeUtf8(text);
}

/** Members that do not come from attributes: what is put in, and where it lies. */
const BLANKS: Readonly<Partial<Record<number, readonly [blank: Blank, place: number]>>> = {
  [MEMBER["actor.service"]]: [BLANK.raw, PLACE.service],
  [MEMBER["content.input"]]: [BLANK.logBody, PLACE.message],
  [MEMBER.nonce]: [BLANK.traceId, PLACE.nonce],
  [MEMBER["source.schema_url"]]: [BLANK.raw, PLACE.schemaUrl],
  [MEMBER["source.scope"]]: [BLANK.raw, PLACE.scope],
  [MEMBER["time.end"]]: [BLANK.time, PLACE.end],
  [MEMBER["time.observed"]]: [BLANK.raw, PLACE.observed],
  [MEMBER["time.start"]]: [BLANK.time, PLACE.start],
  [MEMBER["trace.links"]]: [BLANK.links, PLACE.none],
  [MEMBER["trace.parent_span_id"]]: [BLANK.spanId, PLACE.parentId],
  [MEMBER["trace.span_id"]]: [BLANK.spanId, PLACE.spanId],
  [MEMBER["trace.trace_id"]]: [BLANK.traceId, PLACE.traceId],
};

/** What the drawing needs beside the draft. */
export interface Subject {
  readonly draft: Draft;
  readonly columns: Columns;
  /** The record's own attributes. */
  readonly attributes: Attributes;
  readonly layout: Layout;
  /** The first row of what was inherited. */
  readonly inheritedAt: number;
  /** Leave out attributes beyond a number: the item is too large to record. */
  readonly cut: boolean;
  /** The form is for other records too. */
  readonly lasting: boolean;
}

/** One for form after form: what it drew is good until the next, unless it is to last. */
export class FormDrawer {
  #text = new Uint8Array(4096);
  #blanks = new Int32Array(1024);
  #at = 0;
  #runStart = 0;
  #count = 0;
  #subject!: Subject;

  draw(subject: Subject, circumstances: Circumstances): Form {
    this.#subject = subject;
    this.#at = this.#runStart = this.#count = 0;
    const { draft } = subject;
    if (coerces(subject)) draft.flags.add("coerced");
    draft.state[FLAGS] = draft.flags.size > 0 ? COMPOSED : ABSENT;
    draft.state[PROVENANCE] = draft.foreignCount > 0 ? COMPOSED : ABSENT;
    draft.state[ATTRIBUTES] = hasLeftovers(subject) ? COMPOSED : ABSENT;
    draft.state[REPEATED] = subject.layout.repeated.length > 0 ? COMPOSED : ABSENT;
    this.#members(draft);
    this.#blank(BLANK.end, PLACE.none, 0);
    const coerced = draft.flags.has("coerced");
    const { lasting } = subject;
    const drawn = this.#text.subarray(0, this.#at);
    const text = lasting ? drawn.slice() : drawn;
    const all = this.#blanks.subarray(0, this.#count * numbersPerBlank);
    const blanks = lasting ? all.slice() : all;
    return { circumstances, coerced, lasting, text, blanks, turn: -1, stepsAt: 0 };
  }

  #members(draft: Draft): void {
    let outer = -1;
    let inner = -1;
    for (const member of MEMBERS) {
      const state = draft.state[member.index]!;
      if (state === ABSENT) continue;
      let opened = 0;
      if (member.inner !== inner) {
        if (inner >= 0) this.#run(CLOSE);
        if (member.inner >= 0) opened++;
        inner = member.inner;
      }
      if (member.outer !== outer) {
        if (outer >= 0) this.#run(CLOSE);
        if (member.outer >= 0) opened++;
        outer = member.outer;
      }
      this.#run(member.labels[opened]!);
      this.#member(member, state);
    }
    if (inner >= 0) this.#run(CLOSE);
    if (outer >= 0) this.#run(CLOSE);
    this.#run(CLOSE);
    // The comma before the first member: every record has some.
    this.#text[0] = OPEN;
  }

  #member(member: Member, state: number): void {
    const { index } = member;
    if (state > 0) this.#row(member, state - 1);
    else if (state === CONSTANT) this.#run(this.#subject.draft.constants[index]!);
    else if (state === SPAN_NAME) this.#blank(BLANK.text, PLACE.spanName, index);
    else if (state === STATUS_MESSAGE) this.#blank(BLANK.text, PLACE.message, index);
    else if (state === JSON_BLANK) this.#blank(BLANK.json, PLACE.none, index);
    else if (state === EVENTS) this.#blank(BLANK.events, PLACE.none, index);
    else this.#composed(index);
  }

  #row({ type, index }: Member, row: number): void {
    const { columns, lasting, cut } = this.#subject;
    const kind = columns.kind[row]!;
    const place = this.#placeOf(row);
    // What was inherited has been looked at.
    const checked = lasting && place < PLACE.inherited && kind === STRING;
    if (kind === STRING && (type === "text" || type === "any")) {
      this.#blank(checked ? BLANK.checkedText : BLANK.text, place, index);
    } else if (checked) this.#blank(BLANK.checkedRow, place, index);
    else if (cut || !keeps(type, kind)) this.#blank(BLANK.row, place, index);
    else this.#blank(blankOf(kind), place, index);
  }

  #placeOf(row: number): number {
    const { attributes, inheritedAt, lasting } = this.#subject;
    if (!lasting) return PLACE.rows + row;
    return row >= inheritedAt
      ? PLACE.inherited + row - inheritedAt
      : PLACE.item + row - attributes.base;
  }

  #composed(member: number): void {
    switch (member) {
      case ATTRIBUTES:
        this.#leftovers();
        return;
      case REPEATED:
        this.#repeated();
        return;
      case FLAGS:
        this.#run(encodeUtf8(canonicalize([...this.#subject.draft.flags].toSorted())));
        return;
      case PROVENANCE:
        this.#provenance();
        return;
      default:
        this.#blank(...BLANKS[member]!, member);
    }
  }

  #leftovers(): void {
    const { layout, draft, cut } = this.#subject;
    const { order } = layout;
    const most = cut ? Math.min(order.length, cutAttributes) : order.length;
    let before = OPEN_OBJECT;
    for (let rank = 0; rank < most; rank++) {
      const position = order[rank]!;
      if (draft.used[position] === draft.turn) continue;
      this.#run(before);
      this.#run(layout.names[position]!);
      this.#run(COLON);
      this.#leftover(position);
      before = COMMA;
    }
    if (before === OPEN_OBJECT) this.#run(OPEN_OBJECT);
    this.#run(CLOSE);
  }

  #leftover(position: number): void {
    const { attributes, columns } = this.#subject;
    const row = attributes.base + position;
    this.#blank(blankOf(columns.kind[row]!), this.#placeOf(row), ATTRIBUTES);
  }

  #repeated(): void {
    const { layout, cut } = this.#subject;
    const { repeated } = layout;
    const most = cut ? Math.min(repeated.length, cutAttributes) : repeated.length;
    this.#run(OPEN_LIST);
    for (let rank = 0; rank < most; rank++) {
      if (rank > 0) this.#run(COMMA);
      this.#run(OPEN_LIST);
      this.#run(layout.names[repeated[rank]!]!);
      this.#run(COMMA);
      this.#leftover(repeated[rank]!);
      this.#run(CLOSE_LIST);
    }
    this.#run(CLOSE_LIST);
  }

  #provenance(): void {
    const { draft } = this.#subject;
    const sources: Record<string, string> = {};
    for (const { index, path } of MEMBERS) {
      const from = draft.provenance[index];
      if (from !== undefined && draft.state[index] !== ABSENT) sources[path] = from;
    }
    this.#run(encodeUtf8(canonicalize(sources)));
  }

  #run(bytes: Uint8Array): void {
    if (this.#at + bytes.length > this.#text.length) {
      const text = new Uint8Array((this.#text.length + bytes.length) * 2);
      text.set(this.#text);
      this.#text = text;
    }
    this.#text.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  #blank(blank: Blank, place: number, member: number): void {
    let at = this.#count++ * numbersPerBlank;
    if (at + numbersPerBlank > this.#blanks.length) {
      const blanks = new Int32Array(this.#blanks.length * 2);
      blanks.set(this.#blanks);
      this.#blanks = blanks;
    }
    const blanks = this.#blanks;
    blanks[at++] = this.#at - this.#runStart;
    blanks[at++] = blank;
    blanks[at++] = place;
    blanks[at] = member;
    this.#runStart = this.#at;
  }
}

/** How a value is written as it came. */
function blankOf(kind: number): Blank {
  switch (kind) {
    case STRING:
      return BLANK.text;
    case INT:
      return BLANK.integer;
    case BOOL:
      return BLANK.boolean;
    case ARRAY:
      return BLANK.list;
    default:
      return BLANK.value;
  }
}

/** Whether a member of a type has a value of a kind as it came. */
function keeps(type: MemberType, kind: number): boolean {
  switch (type) {
    case "any":
      return true;
    case "integer":
      return kind === INT;
    case "boolean":
      return kind === BOOL;
    case "texts":
      return kind === ARRAY;
    default:
      return false;
  }
}

function hasLeftovers({ draft, layout }: Subject): boolean {
  const { used, turn } = draft;
  for (const position of layout.order) if (used[position] !== turn) return true;
  return false;
}

/** Whether a value changes its type for certain, which a flag in front of it has to say. */
function coerces({ draft, columns, layout, attributes }: Subject): boolean {
  for (const { index, type } of MEMBERS) {
    const state = draft.state[index]!;
    if (state <= 0) continue;
    const kind = columns.kind[state - 1]!;
    if (kind === BYTES) return true;
    if (type === "text" && (kind === INT || kind === BOOL || kind === DOUBLE)) return true;
    if (kind === STRING && type !== "text" && type !== "any") return true;
    if (type === "texts" && kind !== ARRAY) return true;
  }
  const { used, turn } = draft;
  const left = [...layout.order, ...layout.repeated].filter((position) => used[position] !== turn);
  return left.some((position) => columns.kind[attributes.base + position] === BYTES);
}
