/**
 * A text as detectors see it: masks and tokens in it say nothing to them, because
 * `[REDACTED:date_of_birth]` is no context word.
 */
import { maskText } from "./actions.ts";
import { blank } from "./detector.ts";
import type { Change } from "./plain.ts";
import type { RedactionPolicy } from "./policy.ts";
import { mayHide } from "./view.ts";

export interface Sight {
  /** One character per byte. */
  readonly text: string;
  /** The text with blanks for masks and tokens. */
  readonly shown: string;
  readonly mayHoldMasks: boolean;
  /** Whether a view of the text may show more. */
  readonly mayHide: boolean;
}

export function sightOf(text: string, policy: RedactionPolicy): Sight {
  const hasMasks = mayHoldMasks(text);
  return {
    text,
    shown: hasMasks ? text.replace(policy.shield, (one) => blank.repeat(one.length)) : text,
    mayHoldMasks: hasMasks,
    mayHide: mayHide(text),
  };
}

/** An underscore is rare where a `t` or an `h` is not. */
function mayHoldMasks(text: string): boolean {
  if (text.includes("[REDACTED")) return true;
  return text.includes("_") && (text.includes("tok_") || text.includes("hash_"));
}

/** What is seen once the changes are made. */
export function sightAfter(
  before: Sight,
  changes: readonly Change[],
  policy: RedactionPolicy,
): Sight {
  const text = replaced(before.text, changes);
  if (before.mayHoldMasks || !changes.every(isMask)) return sightOf(text, policy);
  // The masks that were put in are all there are, and nothing hides in them.
  const shown = replaced(before.text, changes, blanksOf);
  return { text, shown, mayHoldMasks: true, mayHide: before.mayHide };
}

const isMask = (change: Change): boolean => change.text === maskText(change.class);
const textOf = (change: Change): string => change.text;
/** To be cut, which takes less than to repeat a blank. */
const blanks = blank.repeat(128);
const blanksOf = ({ text: { length } }: Change): string =>
  length <= blanks.length ? blanks.slice(0, length) : blank.repeat(length);

/** `text` with the changes made. */
export function replaced(
  text: string,
  changes: readonly Change[],
  by: (change: Change) => string = textOf,
): string {
  let result = "";
  let from = 0;
  for (const change of changes) {
    result += text.slice(from, change.start) + by(change);
    from = change.end;
  }
  return result + text.slice(from);
}
