/** What a detector is: data, a matcher that is linear by construction, and a check where one exists. */
import type { Actions } from "./actions.ts";

/** A hit in a text, as offsets of that text. */
export interface Hit {
  readonly start: number;
  readonly end: number;
}

/** Where the text stands: what a person would see beside it. */
export interface Place {
  /** The attribute key or JSON member that the text is the value of, lower case, `_` as separator. */
  readonly key: string;
  /** The key as it was written. */
  readonly rawKey: string;
  /** The attribute key around it all. */
  readonly attribute: string;
}

/**
 * Finds every hit of one detector in a text of one character per byte. Looks at each character a
 * bounded number of times.
 */
export type Matcher = (text: string, place: Place) => readonly Hit[];

export interface Detector {
  readonly id: string;
  readonly class: string;
  /** Candidate bits of which one must be there. */
  readonly trigger: number;
  /**
   * A pattern with the flag `g` and bounded repetition, whose group 1 (where it has one) is the
   * value and ends the match; or a function.
   */
  readonly matcher: RegExp | Matcher;
  /** Words of which one must stand in the key or shortly before the value. */
  readonly context?: RegExp;
  /** The checksum or rule that tells a value from its look-alikes. */
  readonly valid?: (value: string, text: string, start: number) => boolean;
  /** The one spelling that tokens are computed over. */
  readonly normalize?: (value: string) => string;
  /** Set where the value is an address, which stays under keys that hold addresses by definition. */
  readonly isAddress?: boolean;
  readonly actions: Actions;
}

/**
 * Stands for each character of a mask or token that is in the text already: a character that no
 * text of one character per byte has.
 */
export const blank = "\u0100";

/** Context words count when they end at most this many characters before the value. */
export const contextChars = 40;

/** Whether the key or the text shortly before `start` holds a word of `context`. */
export function hasContext(context: RegExp, text: string, start: number, place: Place): boolean {
  if (place.key !== "" && context.test(place.key)) return true;
  if (NON_ASCII_TEXT.test(place.rawKey) && context.test(place.rawKey.toLowerCase())) return true;
  const before = text.slice(Math.max(0, start - contextChars), start);
  const isAscii = !NON_ASCII_BYTE.test(before);
  return context.test((isAscii ? before : Buffer.from(before, "latin1").toString()).toLowerCase());
}

const NON_ASCII_TEXT = /[\x80-\uffff]/;
const NON_ASCII_BYTE = /[\x80-\xff]/;

/** All hits of `detector` in `text`, in order. */
export function findHits(detector: Detector, text: string, place: Place): readonly Hit[] {
  const { matcher } = detector;
  const found = typeof matcher === "function" ? matcher(text, place) : matchAll(matcher, text);
  const { context, valid } = detector;
  if (found.length === 0 || (context === undefined && valid === undefined)) return found;
  return found.filter(({ start, end }) => {
    if (context !== undefined && !hasContext(context, text, start, place)) return false;
    return valid === undefined || valid(text.slice(start, end), text, start);
  });
}

/** All matches, or the groups 1 of a pattern that has one. */
export function matchAll(pattern: RegExp, text: string): Hit[] {
  const hits: Hit[] = [];
  forEachMatch(pattern, text, (match) => {
    const end = match.index + match[0].length;
    hits.push({ start: end - (match[1] ?? match[0]).length, end });
  });
  return hits;
}

/**
 * Takes every match of a pattern with the flag `g`, whose `lastIndex` `take` may set to go on further
 * on. `String.matchAll` makes a pattern of its own each time, which takes longer than most texts do.
 */
export function forEachMatch(
  pattern: RegExp,
  text: string,
  take: (match: RegExpExecArray) => void,
): void {
  pattern.lastIndex = 0;
  for (let match = pattern.exec(text); match !== null; match = pattern.exec(text)) {
    take(match);
    if (match[0].length === 0) pattern.lastIndex++;
  }
}
