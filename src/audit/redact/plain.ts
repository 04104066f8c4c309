/** Detection in one text: hits of all detectors, and what stands in their place. */
import { firstWhere } from "../../bytes/search.ts";
import { redactionHitsMax } from "../../limits.ts";
import type { PhiScene } from "../phi/account.ts";
import {
  applyActions,
  drops,
  maskText,
  tokenize,
  unexaminedClass,
  type Actions,
} from "./actions.ts";
import { RULE } from "./candidates.ts";
import { findHits, type Detector, type Place } from "./detector.ts";
import type { RedactionPolicy } from "./policy.ts";
import { scan } from "./scan.ts";
import { sightAfter, sightOf, type Sight } from "./sight.ts";
import { viewOf } from "./view.ts";

/** What a value's surroundings say about it. */
export interface Scene {
  readonly policy: RedactionPolicy;
  /** Asked for only where a keyed action needs it. */
  readonly tenant: () => string;
  readonly place: Place;
  /** Candidate bits of the value and of its key. */
  readonly bits: number;
  /** Those of its key alone, which hold for every element of a list under it. */
  readonly keyBits: number;
  /** Bits that every value has: set where some rule has no literal to look for. */
  readonly everyBits: number;
  /** Says who or where: tokenised, never masked or dropped. */
  readonly identity: boolean;
  /** Holds an address by definition. */
  readonly address: boolean;
  /** Levels of JSON in strings around the value. */
  readonly depth: number;
  /** Set in what a tool or a query returned, where the operator declared columns of it. */
  readonly phi?: PhiScene | undefined;
}

/** A tenant's own name is tokenised for no tenant: its token is what separates the others. */
export function tenantFor(
  policy: RedactionPolicy,
  rawKey: string,
  tenant: () => string,
): () => string {
  return policy.tenant.from.includes(rawKey) ? noTenant : tenant;
}

const noTenant = (): string => "";

/** Replaces `[start, end)` of a value by `text`, one character per byte. */
export interface Change {
  readonly start: number;
  readonly end: number;
  readonly text: string;
  readonly rule: string;
  readonly class: string;
  readonly action: string;
  /** The element or attribute that holds the value is still to be removed. */
  readonly drop: boolean;
}

interface RawHit {
  readonly start: number;
  readonly end: number;
  readonly value: string;
  readonly detector: Detector;
  readonly rank: number;
}

/** Where masks uncover more after this, the rest goes as well: each round looks at it all. */
const roundsMax = 4;

/**
 * Changes of a text (one character per byte), in order and apart from each other. A mask may leave a
 * neighbour to be seen that touched the value, so the result is looked at again.
 */
export function redactPlain(text: string, scene: Scene): Change[] {
  const sight = sightOf(text, scene.policy);
  let changes = changesOnce(sight, scene, scene.bits);
  for (let round = 1; changes.length > 0; round++) {
    const after = changesOnce(sightAfter(sight, changes, scene.policy), scene, undefined);
    const more = beyond(after, changes);
    if (more.length === 0) break;
    if (round === roundsMax) return [maskWhole(text, scene)];
    changes = combined(changes, more);
  }
  return changes;
}

/** Rule of a value that was masked because looking into it would cost too much. */
export const budgetRule = "budget";

/** All of a text (one character per byte) as one change. */
export function maskWhole(
  text: string,
  scene: Pick<Scene, "policy" | "tenant" | "identity">,
): Change {
  const what = unexaminedClass;
  return {
    start: 0,
    end: text.length,
    text: scene.identity ? treatText(tokenize, text, { class: what, scene }) : maskText(what),
    rule: budgetRule,
    class: what,
    action: scene.identity ? "tokenize" : "mask",
    drop: false,
  };
}

/** @param bits the candidate bits of the text where they are known */
function changesOnce(sight: Sight, scene: Scene, bits: number | undefined): Change[] {
  const { text } = sight;
  const hits = hitsIn(sight, scene, bits);
  const view = sight.mayHide ? viewOf(text) : undefined;
  if (view !== undefined) {
    for (const hit of hitsIn(sightOf(view.text, scene.policy), scene, undefined)) {
      const start = view.starts[hit.start]!;
      hits.push({ ...hit, start, end: view.ends[hit.end - 1]! });
    }
  }
  if (hits.length === 0) return [];
  if (hits.length > redactionHitsMax) return [maskWhole(text, scene)];
  const isAscii = !sight.mayHide || !NON_ASCII.test(text);
  const whole = isAscii ? hits : hits.map((hit) => onWholeCharacters(hit, text));
  const shielded = shield(whole, sight, scene.policy);
  return clusters(shielded).map((cluster) => changeFor(cluster, text, scene));
}

/** A bounded look around may end within a character, of which no part must be left alone. */
function onWholeCharacters(hit: RawHit, text: string): RawHit {
  let { start, end } = hit;
  const first = Math.max(0, start - continuationsMax);
  while (start > first && isContinuation(text, start)) start--;
  const last =
    text.charCodeAt(end - 1) < 0x80 ? end : Math.min(text.length, end + continuationsMax);
  while (end < last && isContinuation(text, end)) end++;
  return start === hit.start && end === hit.end
    ? hit
    : { ...hit, start, end, value: text.slice(start, end) };
}

const continuationsMax = 3;

/** Whether the byte is one of UTF-8 that continues a character. */
const isContinuation = (text: string, at: number): boolean => (text.charCodeAt(at) & 0xc0) === 0x80;

/** Those of `more` that reach out of what was put in: `47` for `47123` is meant to stay. */
function beyond(more: readonly Change[], changes: readonly Change[]): readonly Change[] {
  if (more.length === 0) return more;
  let ahead = 0;
  const put = changes.map(({ start, end, text }) => {
    const bounds = { start: start + ahead, end: start + ahead + text.length };
    ahead += text.length - (end - start);
    return bounds;
  });
  let at = 0;
  return more.filter(({ start, end }) => {
    while (at < put.length && put[at]!.end < end) at++;
    const last = put[at];
    return last === undefined || start < last.start || end > last.end;
  });
}

/** Changes of a text and those of its result as one list of changes of the text. */
function combined(changes: readonly Change[], more: readonly Change[]): Change[] {
  const result: Change[] = [];
  // How far the result is ahead of the text after the changes so far.
  let ahead = 0;
  let at = 0;
  for (const change of more) {
    while (
      at < changes.length &&
      changes[at]!.start + ahead + changes[at]!.text.length <= change.start
    ) {
      const before = changes[at++]!;
      ahead += before.text.length - (before.end - before.start);
      result.push(before);
    }
    let start = change.start - ahead;
    let end = change.end - ahead;
    while (at < changes.length && changes[at]!.start + ahead < change.end) {
      const inside = changes[at++]!;
      start = Math.min(start, inside.start);
      ahead += inside.text.length - (inside.end - inside.start);
      end = Math.max(inside.end, change.end - ahead);
    }
    // What is left of a replacement, of which the change before took a part, goes with that one.
    const last = result.at(-1);
    const meets = last !== undefined && start < last.end;
    if (meets) result[result.length - 1] = joined(last, change, end);
    else result.push({ ...change, start, end });
  }
  return [...result, ...changes.slice(at)];
}

function joined(first: Change, second: Change, end: number): Change {
  return {
    ...second,
    start: first.start,
    end: Math.max(first.end, end),
    text: first.text + second.text,
    drop: first.drop || second.drop,
  };
}

/** One more than are looked at, where there are so many. */
function hitsIn({ text, shown }: Sight, scene: Scene, known: number | undefined): RawHit[] {
  const hits: RawHit[] = [];
  const bits = known ?? bitsIn(shown) | scene.keyBits | scene.everyBits | RULE;
  const { detectors } = scene.policy;
  for (let rank = 0; rank < detectors.length; rank++) {
    const detector = detectors[rank]!;
    if ((detector.trigger & bits) === 0) continue;
    if (scene.address && detector.isAddress === true) continue;
    for (const { start, end } of findHits(detector, shown, scene.place)) {
      hits.push({ start, end, value: text.slice(start, end), detector, rank });
      if (hits.length > redactionHitsMax) return hits;
    }
  }
  return hits;
}

/** What the scan says about a text that was not part of the request. */
function bitsIn(text: string): number {
  let bits = 0;
  scan(Buffer.from(text, "latin1"), { add: (_, more) => (bits |= more) });
  return bits;
}

/** Hits within masks and tokens are none; those that reach into one end where it begins. */
function shield(
  hits: readonly RawHit[],
  { text, mayHoldMasks }: Sight,
  policy: RedactionPolicy,
): readonly RawHit[] {
  if (!mayHoldMasks) return hits;
  const shields = [...text.matchAll(policy.shield)].map((match) => ({
    start: match.index,
    end: match.index + match[0].length,
  }));
  if (shields.length === 0) return hits;
  return hits.flatMap((hit) => {
    let { start, end } = hit;
    // A text may have as many masks as hits.
    const first = firstWhere(shields.length, (place) => shields[place]!.end > hit.start);
    for (let at = first; at < shields.length; at++) {
      const one = shields[at]!;
      if (one.start >= hit.end) break;
      if (start >= one.start && start < one.end) start = one.end;
      if (end > one.start && end <= one.end) end = one.start;
    }
    if (end <= start) return [];
    return start === hit.start && end === hit.end
      ? [hit]
      : [{ ...hit, start, end, value: text.slice(start, end) }];
  });
}

/** Hits that overlap become one, so that no part of any of them is left. */
function clusters(hits: readonly RawHit[]): readonly (readonly RawHit[])[] {
  if (hits.length < 2) return hits.length === 0 ? [] : [hits];
  const sorted = hits.toSorted((a, b) => a.start - b.start || b.end - a.end || a.rank - b.rank);
  const result: RawHit[][] = [];
  let end = -1;
  for (const hit of sorted) {
    if (hit.start < end) result.at(-1)!.push(hit);
    else result.push([hit]);
    end = Math.max(end, hit.end);
  }
  return result;
}

/** The longest hit decides; among equals the detector of higher precedence. */
function changeFor(cluster: readonly RawHit[], text: string, scene: Scene): Change {
  const winner = cluster.reduce((best, hit) => {
    const longer = hit.end - hit.start - (best.end - best.start);
    return longer > 0 || (longer === 0 && hit.rank < best.rank) ? hit : best;
  });
  const start = cluster[0]!.start;
  const end = cluster.reduce((last, hit) => Math.max(last, hit.end), start);
  const alone = start === winner.start && end === winner.end;
  const { detector } = winner;
  const actions = scene.identity ? keyedActions(detector.actions) : detector.actions;
  const value = alone ? winner.value : text.slice(start, end);
  return {
    start,
    end,
    text: treated(actions, value, { detector, alone, scene }),
    rule: detector.id,
    class: detector.class,
    action: alone || scene.identity ? actions.name : "mask",
    drop: !scene.identity && cluster.some((hit) => drops(hit.detector.actions)),
  };
}

function keyedActions(actions: Actions): Actions {
  const kind = actions.steps[0]?.kind;
  return kind === "hash" || kind === "tokenize" ? actions : tokenize;
}

/** A region larger than the deciding hit is masked: its action was not made for the rest. */
function treated(
  actions: Actions,
  value: string,
  hit: { readonly detector: Detector; readonly alone: boolean; readonly scene: Scene },
): string {
  const { detector, alone, scene } = hit;
  if (!alone && !scene.identity) return maskText(detector.class);
  return treatText(actions, value, {
    class: detector.class,
    normalize: detector.normalize,
    scene,
  });
}

/** Applies actions to a text of one character per byte; so is the result. */
export function treatText(
  actions: Actions,
  value: string,
  options: {
    readonly class: string;
    readonly normalize?: ((value: string) => string) | undefined;
    readonly scene: Pick<Scene, "policy" | "tenant">;
  },
): string {
  const kind = actions.steps[0]?.kind;
  if (kind === "mask" || kind === "drop") return maskText(options.class);
  const { policy, tenant } = options.scene;
  const text = NON_ASCII.test(value) ? Buffer.from(value, "latin1").toString("utf8") : value;
  const keyed = kind === "hash" || kind === "tokenize";
  const result = applyActions(actions, text, {
    class: options.class,
    pepper: policy.pepper,
    tenant: keyed ? tenant() : "",
    normalized: options.normalize?.(text) ?? text,
  });
  return NON_ASCII_TEXT.test(result) ? Buffer.from(result, "utf8").toString("latin1") : result;
}

const NON_ASCII = /[\x80-\xff]/;
const NON_ASCII_TEXT = /[\u0080-\uffff]/;
