/** What the form of a record is drawn from: for every member where its value lies. */
import { MEMBERS, type MemberPath, MEMBER, type MemberType } from "./members.ts";
import type { Plan } from "./plan.ts";
import { isSentinel } from "./sentinels.ts";
import { ARRAY, BOOL, type Columns, DOUBLE, EMPTY, INT, STRING } from "./walk/columns.ts";
import type { View } from "./walk/view.ts";

/** States of a member; a positive state is the row of an attribute plus one. */
export const ABSENT = 0;
/** JSON in UTF-8 in `constants`. */
export const CONSTANT = -1;
/** JSON that differs from record to record. */
export const JSON_BLANK = -2;
export const SPAN_NAME = -3;
export const STATUS_MESSAGE = -4;
/** A list of span events. */
export const EVENTS = -5;
/** Put together from what the draft, the item or its surroundings have. */
export const COMPOSED = -6;

export type Flag =
  | "ambiguous_correlation"
  | "client_claimed_identity"
  | "coerced"
  | "inferred"
  | "orphan"
  | "sentinel";

const NUMERIC = /^-?\d{1,15}$/;

export class Draft {
  readonly state: Int32Array = new Int32Array(MEMBERS.length);
  readonly constants: Uint8Array[] = [];
  /** By member: the key a value came from where that must be stated. */
  readonly provenance: (string | undefined)[] = [];
  foreignCount = 0;
  readonly flags: Set<Flag> = new Set();
  /** What was taken or passed over depends on more than the kinds of values. */
  particular = false;
  /** By position among the record's attributes: equals `turn` where the mapping used it. */
  used: Uint32Array = new Uint32Array(256);
  turn = 0;

  begin(attributes: number): void {
    this.state.fill(ABSENT);
    if (this.foreignCount > 0) this.provenance.fill(undefined);
    this.foreignCount = 0;
    if (this.flags.size > 0) this.flags.clear();
    this.particular = false;
    if (attributes > this.used.length) this.used = new Uint32Array(attributes * 2);
    this.turn++;
  }

  /**
   * Takes what the plan finds for members that have nothing yet.
   *
   * @param own whether these are the record's own attributes, whose use is noted
   */
  take(plan: Plan, view: View, own: boolean): void {
    const { columns, bytes } = view;
    const { base } = view.attributes;
    let candidate = 0;
    for (let entry = 0; entry < plan.members.length; entry++) {
      const member = plan.members[entry]!;
      const end = plan.ends[entry]!;
      for (; candidate < end && this.state[member] === ABSENT; candidate++) {
        const position = plan.positions[candidate]!;
        if (!this.#accepts(MEMBERS[member]!.type, columns, bytes, base + position)) continue;
        this.state[member] = base + position + 1;
        if (own) this.used[position] = this.turn;
        const foreign = plan.foreign[candidate];
        if (foreign !== undefined) this.note(member, foreign);
      }
      candidate = end;
    }
  }

  note(member: number, source: string): void {
    this.provenance[member] = source;
    this.foreignCount++;
  }

  has(path: MemberPath): boolean {
    return this.state[MEMBER[path]] !== ABSENT;
  }

  /** The same value in every record of the form. */
  setConstant(path: MemberPath, json: Uint8Array): void {
    const member = MEMBER[path];
    this.state[member] = CONSTANT;
    this.constants[member] = json;
  }

  #accepts(type: MemberType, columns: Columns, bytes: Uint8Array, row: number): boolean {
    const kind = columns.kind[row]!;
    const taken = takes(type, kind);
    if (taken === NO || kind !== STRING || type === "any") return taken !== NO;
    const start = columns.valueStart[row]!;
    const stop = columns.valueStop[row]!;
    if (isSentinel(bytes, start, stop)) {
      this.flags.add("sentinel");
      this.particular = true;
      return false;
    }
    if (taken === YES) return true;
    this.particular = true;
    const text = Buffer.from(bytes.buffer, bytes.byteOffset + start, stop - start).toString(
      "latin1",
    );
    return type === "integer" ? NUMERIC.test(text) : text === "true" || text === "false";
  }
}

export const NO = 0;
/** Unless it is a text that stands for nothing. */
export const YES = 1;
/** Only some texts are meant. */
export const SOME = 2;

/** Whether a member of a type takes a value of a kind. */
export function takes(type: MemberType, kind: number): typeof NO | typeof YES | typeof SOME {
  if (kind === EMPTY) return NO;
  switch (type) {
    case "text":
      return kind === STRING || kind === INT || kind === BOOL || kind === DOUBLE ? YES : NO;
    case "texts":
      return kind === STRING || kind === ARRAY ? YES : NO;
    case "integer":
      return kind === STRING ? SOME : kind === INT ? YES : NO;
    case "boolean":
      return kind === STRING ? SOME : kind === BOOL ? YES : NO;
    case "any":
      return YES;
    default:
      return NO;
  }
}
