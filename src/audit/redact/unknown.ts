/**
 * Fields that the schema does not know. Their structure is not ours to change, so a hit is
 * overwritten in place: same length, other characters.
 */
import { firstWhere } from "../../bytes/search.ts";
import { GROUP_START, LENGTH_DELIMITED, WireError, WireReader } from "../../bytes/wire.ts";
import { redactionValueBytesMax, unknownLevelsMax } from "../../limits.ts";
import type { Edit } from "../otlp/splice.ts";
import { EVERYTHING, type Candidates } from "./candidates.ts";
import type { Tally } from "./findings.ts";
import { maskWhole, redactPlain, type Change } from "./plain.ts";
import type { RedactionPolicy } from "./policy.ts";

const star = 0x2a;

interface Target {
  readonly bytes: Buffer;
  readonly policy: RedactionPolicy;
  readonly candidates: Candidates;
  readonly edits: Edit[];
  readonly tally: Tally;
  readonly tenant: () => string;
}

/**
 * Overwrites every hit in `bytes[start, stop)` with asterisks. What reads as a message is looked at
 * text by text as well, because a length before a text may look like a letter of it; tags and
 * lengths stay as they are then.
 */
export function starOut(target: Target, start: number, stop: number, path: string): void {
  const field = path === "" ? "unknown" : path;
  const { leaves, kept } = structureOf(target.bytes, start, stop);
  const hits = new Map<number, Change>();
  for (const leaf of [{ start, stop }, ...leaves]) {
    for (const change of changesIn(target, leaf)) {
      const at = leaf.start + change.start;
      const known = hits.get(at);
      const end = leaf.start + change.end;
      if (known === undefined || known.end < end) hits.set(at, { ...change, start: at, end });
    }
  }
  let done = start;
  for (const hit of [...hits.values()].toSorted((a, b) => a.start - b.start)) {
    // A hit that another reaches over was counted with it.
    if (hit.start >= done) target.tally.note({ ...hit, action: "mask" }, field);
    blot(target, Math.max(done, hit.start), hit.end, kept);
    done = Math.max(done, hit.end);
  }
}

interface Bounds {
  readonly start: number;
  readonly stop: number;
}

function changesIn(target: Target, { start, stop }: Bounds): readonly Change[] {
  const { policy, tenant } = target;
  const text = target.bytes.toString("latin1", start, stop);
  if (text.length > redactionValueBytesMax) {
    return [maskWhole(text, { policy, tenant, identity: false })];
  }
  return redactPlain(text, {
    policy,
    tenant,
    place: { key: "", rawKey: "", attribute: "" },
    bits: EVERYTHING,
    keyBits: 0,
    everyBits: 0,
    identity: false,
    address: false,
    depth: 0,
  });
}

/** What bytes would hold if they were a message. */
interface Structure {
  /** The innermost fields with a length, and groups. */
  readonly leaves: Bounds[];
  /** Tags and lengths of all such fields, in order. */
  readonly kept: Bounds[];
}

/** Nothing where the bytes are no message with such fields. */
function structureOf(bytes: Buffer, start: number, stop: number): Structure {
  const found: Structure = { leaves: [], kept: [] };
  if (stop - start > redactionValueBytesMax) return found;
  let open: readonly Bounds[] = [{ start, stop }];
  for (let level = 0; open.length > 0 && level < unknownLevelsMax; level++) {
    open = open.flatMap((one) => takeFields(bytes, one, found));
  }
  for (const one of open) found.leaves.push(one);
  found.kept.sort((a, b) => a.start - b.start);
  return found.kept.length === 0 ? { leaves: [], kept: [] } : found;
}

/** @returns the fields to go into, none where the bytes are no message: then they are a leaf. */
function takeFields(bytes: Buffer, one: Bounds, found: Structure): readonly Bounds[] {
  const fields: Bounds[] = [];
  const kept: Bounds[] = [];
  const reader = new WireReader(bytes, one.start, one.stop);
  try {
    while (reader.next()) {
      if (reader.wireType !== LENGTH_DELIMITED && reader.wireType !== GROUP_START) continue;
      fields.push({ start: reader.start, stop: reader.stop });
      kept.push({ start: reader.tagStart, stop: reader.start });
    }
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    fields.length = 0;
  }
  if (fields.length === 0) found.leaves.push(one);
  else for (const bounds of kept) found.kept.push(bounds);
  return fields;
}

/** Overwrites `[start, stop)` but for what is kept. */
function blot(target: Target, start: number, stop: number, kept: readonly Bounds[]): void {
  const overwrite = (from: number, to: number): void => {
    if (to <= from) return;
    const replacement = new Uint8Array(to - from).fill(star);
    // No enclosure: the length stays, so no length around it is written anew.
    target.edits.push({ start: from, stop: to, replacement, within: null });
  };
  let from = start;
  const first = firstWhere(kept.length, (place) => kept[place]!.stop > start);
  for (let at = first; at < kept.length; at++) {
    const one = kept[at]!;
    if (one.start >= stop) break;
    overwrite(from, one.start);
    from = one.stop;
  }
  overwrite(from, stop);
}
