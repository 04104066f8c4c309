/** The state of a walk through a request, and the edits that it makes. */
import { WireError, writeVarint, varintSize, type WireReader } from "../../bytes/wire.ts";
import { nestingDepthMax } from "../../limits.ts";
import type { Account } from "../phi/account.ts";
import type { PhiTable } from "../phi/tables.ts";
import type { Edit, Enclosure } from "../otlp/splice.ts";
import type { Candidates } from "./candidates.ts";
import type { Tally } from "./findings.ts";
import type { Change, Scene } from "./plain.ts";
import type { RedactionPolicy } from "./policy.ts";
import type { Places } from "./table.ts";

/** The state of one request's walk. */
export interface Walk {
  readonly bytes: Buffer;
  readonly policy: RedactionPolicy;
  readonly candidates: Candidates;
  readonly edits: Edit[];
  /** Bits of every value: set where some rule has no literal to look for. */
  readonly everyBits: number;
  /** Where findings go: those of the item, scope or resource that is being walked. */
  tally: Tally;
  tenant: () => string;
  /** Declared tables that the item is about, and those that it mentions. */
  tables: readonly PhiTable[];
  mentioned: readonly PhiTable[];
  /** What the item returned of them. */
  account: Account;
}

/** A message on the way down: its bounds and how it is called in findings. */
export interface Here {
  readonly enclosure: Enclosure;
  readonly path: string;
  readonly depth: number;
}

/** What the key of a value says about it. */
export interface KeyScene extends Pick<
  Scene,
  "place" | "keyBits" | "identity" | "address" | "phi"
> {
  /** Set for a list of rows beside a list of column names, and then for each of the rows. */
  readonly rows?: Places | undefined;
  readonly row?: Places | undefined;
}

export const noKey: KeyScene = {
  place: { key: "", rawKey: "", attribute: "" },
  keyBits: 0,
  identity: false,
  address: false,
};

/** The current field of `reader` as the enclosure of what is in it. */
export function enclosureOf(reader: WireReader, parent: Enclosure | null): Enclosure {
  let lengthStart = reader.tagStart;
  while (reader.bytes[lengthStart]! >= 0x80) lengthStart++;
  return { lengthStart: lengthStart + 1, start: reader.start, stop: reader.stop, parent };
}

/** Whether anything in `[start, stop)` is to be looked at. */
export function visits(walk: Walk, start: number, stop: number): boolean {
  return walk.everyBits !== 0 || walk.mentioned.length > 0 || walk.candidates.any(start, stop);
}

export function below(here: Here, reader: WireReader, path: string): Here {
  if (here.depth >= nestingDepthMax) {
    throw new WireError("too_deep", `messages nested deeper than ${nestingDepthMax}`, reader.start);
  }
  return { enclosure: enclosureOf(reader, here.enclosure), path, depth: here.depth + 1 };
}

/** Takes the current field of `reader` out of the message `here`. */
export function remove(walk: Walk, reader: WireReader, here: Here): void {
  walk.edits.push({
    start: reader.tagStart,
    stop: reader.stop,
    replacement: new Uint8Array(0),
    within: here.enclosure,
  });
}

/** Puts a string where the current field of an AnyValue is. */
export function replaceValue(
  walk: Walk,
  reader: WireReader,
  here: Here,
  value: { readonly text: Buffer; readonly changes: readonly Change[] },
): void {
  for (const change of value.changes) walk.tally.note(change, here.path);
  walk.edits.push({
    start: reader.tagStart,
    stop: reader.stop,
    replacement: stringField(value.text),
    within: here.enclosure,
  });
}

/** `AnyValue.string_value` on the wire. */
function stringField(text: Buffer): Uint8Array {
  const field = new Uint8Array(1 + varintSize(text.length) + text.length);
  field[0] = 0x0a;
  field.set(text, writeVarint(field, 1, text.length));
  return field;
}
