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
  RAW_BLANK,
  SPAN_NAME,
  STATUS_MESSAGE,
} from "./draft.ts";
import { type Blank, BLANK, type Form, FROM, type From, numbersPerBlank } from "./form.ts";
import { MEMBER, MEMBERS, type Member } from "./members.ts";
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

/** Members that are put in when the form is filled, and how. */
const COMPOSED_BLANKS: Readonly<Partial<Record<number, Blank>>> = {
  [MEMBER["content.input"]]: BLANK.logBody,
  [MEMBER.nonce]: BLANK.nonce,
  [MEMBER["time.end"]]: BLANK.endTime,
  [MEMBER["time.observed"]]: BLANK.observed,
  [MEMBER["time.start"]]: BLANK.start,
  [MEMBER["trace.links"]]: BLANK.links,
  [MEMBER["trace.parent_span_id"]]: BLANK.parentId,
  [MEMBER["trace.span_id"]]: BLANK.spanId,
  [MEMBER["trace.trace_id"]]: BLANK.traceId,
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
  #view = new DataView(this.#text.buffer);
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
    this.#blank(BLANK.end, 0, FROM.request, 0);
    const coerced = draft.flags.has("coerced");
    if (!subject.lasting) return { circumstances, coerced, text: this.#view, blanks: this.#blanks };
    const text = new Uint8Array(this.#at + 8);
    text.set(this.#text.subarray(0, this.#at));
    const blanks = this.#blanks.slice(0, this.#count * numbersPerBlank);
    return { circumstances, coerced, text: new DataView(text.buffer), blanks };
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
    else if (state === COMPOSED) this.#composed(index);
    else this.#blank(BLANK_OF_STATE[state]!, 0, FROM.request, index);
  }

  #row(member: Member, row: number): void {
    const { columns, lasting } = this.#subject;
    const plain = columns.kind[row] === STRING && (member.type === "text" || member.type === "any");
    const from = this.#originOf(row);
    // What was inherited has been looked at.
    const checked = lasting && from === FROM.item && columns.kind[row] === STRING;
    let blank: Blank = checked ? BLANK.checkedRow : BLANK.row;
    if (plain) blank = checked ? BLANK.checkedText : BLANK.text;
    this.#blank(blank, row - this.#firstOf(from), from, member.index);
  }

  #originOf(row: number): From {
    const { attributes, inheritedAt } = this.#subject;
    if (row >= inheritedAt) return FROM.inherited;
    const { base, count } = attributes;
    return row >= base && row < base + count ? FROM.item : FROM.request;
  }

  #firstOf(from: From): number {
    const { attributes, inheritedAt } = this.#subject;
    if (from === FROM.request) return 0;
    return from === FROM.item ? attributes.base : inheritedAt;
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
        this.#blank(COMPOSED_BLANKS[member]!, 0, FROM.request, member);
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
      this.#blank(BLANK.leftover, position, FROM.item, 0);
      before = COMMA;
    }
    if (before === OPEN_OBJECT) this.#run(OPEN_OBJECT);
    this.#run(CLOSE);
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
      this.#blank(BLANK.leftover, repeated[rank]!, FROM.item, 0);
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
    // Eight bytes more are copied than there are.
    if (this.#at + bytes.length + 8 > this.#text.length) {
      const text = new Uint8Array((this.#text.length + bytes.length) * 2);
      text.set(this.#text);
      this.#text = text;
      this.#view = new DataView(text.buffer);
    }
    this.#text.set(bytes, this.#at);
    this.#at += bytes.length;
  }

  #blank(blank: Blank, row: number, from: From, member: number): void {
    let at = this.#count++ * numbersPerBlank;
    if (at + numbersPerBlank > this.#blanks.length) {
      const blanks = new Int32Array(this.#blanks.length * 2);
      blanks.set(this.#blanks);
      this.#blanks = blanks;
    }
    const blanks = this.#blanks;
    blanks[at++] = this.#at - this.#runStart;
    blanks[at++] = blank;
    blanks[at++] = row;
    blanks[at++] = from;
    blanks[at] = member;
    this.#runStart = this.#at;
  }
}

const BLANK_OF_STATE: Readonly<Record<number, Blank>> = {
  [JSON_BLANK]: BLANK.json,
  [RAW_BLANK]: BLANK.raw,
  [SPAN_NAME]: BLANK.spanName,
  [STATUS_MESSAGE]: BLANK.statusMessage,
  [EVENTS]: BLANK.events,
};

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
