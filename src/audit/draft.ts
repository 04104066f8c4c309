/**
 * One record between mapping and encoding: for every member where its value lies. Used for record
 * after record, so that a span costs no objects.
 */
import { MEMBERS, type MemberPath, MEMBER, type MemberType } from "./members.ts";
import type { Plan } from "./plan.ts";
import { isSentinel } from "./sentinels.ts";
import { ARRAY, BOOL, type Columns, DOUBLE, EMPTY, INT, STRING } from "./walk/columns.ts";
import type { EventItem } from "./walk/items.ts";
import type { View } from "./walk/view.ts";

/** States of a member; a positive state is the row of an attribute plus one. */
export const ABSENT = 0;
/** JSON text in `json`. */
export const JSON_TEXT = -1;
/** JSON in UTF-8 in `raw`. */
export const JSON_BYTES = -2;
/** The UTF-8 text between `from` and `to` of the request's bytes. */
export const RANGE = -3;
/** The span events in `lists`. */
export const EVENTS = -4;
/** Composed while it is written. */
export const COMPOSED = -5;

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
  readonly json: string[] = [];
  readonly raw: Uint8Array[] = [];
  readonly from: Int32Array = new Int32Array(MEMBERS.length);
  readonly to: Int32Array = new Int32Array(MEMBERS.length);
  readonly lists: (readonly EventItem[])[] = [];
  /** By member: the key a value came from where that must be stated. */
  readonly provenance: (string | undefined)[] = [];
  foreignCount = 0;
  readonly flags: Set<Flag> = new Set();
  /** By position among the record's attributes: equals `turn` where the mapping used it. */
  used: Uint32Array = new Uint32Array(256);
  turn = 0;

  begin(attributes: number): void {
    this.state.fill(ABSENT);
    if (this.foreignCount > 0) this.provenance.fill(undefined);
    this.foreignCount = 0;
    if (this.flags.size > 0) this.flags.clear();
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

  /** Takes a value that lies outside the record's own attributes, as a row added for it. */
  takeValue(
    member: number,
    value: { kind: number; start: number; stop: number },
    columns: Columns,
  ): void {
    const row = columns.add();
    columns.kind[row] = value.kind;
    columns.valueStart[row] = value.start;
    columns.valueStop[row] = value.stop;
    this.state[member] = row + 1;
  }

  note(member: number, source: string): void {
    this.provenance[member] = source;
    this.foreignCount++;
  }

  has(path: MemberPath): boolean {
    return this.state[MEMBER[path]] !== ABSENT;
  }

  setJson(path: MemberPath, text: string): void {
    const member = MEMBER[path];
    this.state[member] = JSON_TEXT;
    this.json[member] = text;
  }

  setBytes(member: number, bytes: Uint8Array): void {
    this.state[member] = JSON_BYTES;
    this.raw[member] = bytes;
  }

  setRange(member: number, from: number, to: number): void {
    this.state[member] = RANGE;
    this.from[member] = from;
    this.to[member] = to;
  }

  #accepts(type: MemberType, columns: Columns, bytes: Uint8Array, row: number): boolean {
    const kind = columns.kind[row]!;
    if (kind === EMPTY) return false;
    if (kind === STRING) {
      const start = columns.valueStart[row]!;
      const stop = columns.valueStop[row]!;
      if (type === "any") return true;
      if (isSentinel(bytes, start, stop)) {
        this.flags.add("sentinel");
        return false;
      }
      if (type === "text" || type === "texts") return true;
      const text = Buffer.from(bytes.buffer, bytes.byteOffset + start, stop - start).toString(
        "latin1",
      );
      return type === "integer" ? NUMERIC.test(text) : text === "true" || text === "false";
    }
    switch (type) {
      case "text":
        return kind === INT || kind === BOOL || kind === DOUBLE;
      case "texts":
        return kind === ARRAY;
      case "integer":
        return kind === INT;
      case "boolean":
        return kind === BOOL;
      case "any":
        return true;
      default:
        return false;
    }
  }
}
