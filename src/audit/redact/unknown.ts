/**
 * Fields that the schema does not know. Their structure is not ours to change, so a hit is
 * overwritten in place: same length, other characters.
 */
import type { Edit } from "../otlp/splice.ts";
import { EVERYTHING, type Candidates } from "./candidates.ts";
import { note, type Tally } from "./findings.ts";
import { redactPlain } from "./plain.ts";
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

/** Overwrites every hit in `bytes[start, stop)` with asterisks. */
export function starOut(target: Target, start: number, stop: number, path: string): void {
  const text = target.bytes.toString("latin1", start, stop);
  const { policy, tenant } = target;
  const changes = redactPlain(text, {
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
  for (const change of changes) {
    note(target.tally, { ...change, action: "mask" }, path === "" ? "unknown" : path);
    // No enclosure: the length stays, so no length around it is written anew.
    target.edits.push({
      start: start + change.start,
      stop: start + change.end,
      replacement: new Uint8Array(change.end - change.start).fill(star),
      within: null,
    });
  }
}
