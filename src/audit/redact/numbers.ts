/** Numbers in the bytes of a request: which of the digits may belong to a person, and which to an id. */
import * as bit from "./candidates.ts";
import type { Finder } from "./candidates.ts";
import { isDigit, isHex, isLetter } from "./ascii.ts";
import { isKeyEnd } from "./look.ts";

/**
 * What may stand in a number as one character per byte: digits, ` ().-+`, and the UTF-8 bytes of
 * Unicode spaces, hyphens and invisible characters. All that is a candidate here has seven of them.
 */
export const numericBytes: string = Buffer.from(
  "0123456789 ().-+\xc2\xa0\xad\xe2\xaf\x88\x9f\x80\x81\x82\x83\x84\x85\x86\x87\x89" +
    "\x8a\x8b\x8c\x8d\x8e\x8f\x90\x91\x92\x93\x94\x95",
  "latin1",
).toString("latin1");

const NUMERIC = new Uint8Array(256);
for (const byte of Buffer.from(numericBytes, "latin1")) NUMERIC[byte] = 1;
const isNumeric = (byte: number): boolean => NUMERIC[byte] === 1;

const PLUS = 0x2b;
/** ITU-T E.164 has no less for what the detector takes. */
const internationalDigitsMin = 8;
const gapBytesMax = 6;
const numberDigitsMin = 9;
/** No value of `numberDigitsMin` digits fits between two candidates this far apart. */
const strideBytes = 8;

interface Stretch {
  /** Nothing before it is looked at. */
  readonly start: number;
  /** A byte in it. */
  readonly at: number;
}

/**
 * Adds all numbers in the stretch of digits and separators around `at` to `found`. What is text and
 * what are tags and lengths is not known here. @returns its end.
 */
export function scanNumbers(bytes: Uint8Array, { start, at }: Stretch, found: Finder): number {
  let from = at;
  while (from > start && isNumeric(bytes[from - 1]!)) from--;
  let to = at;
  while (to < bytes.length && isNumeric(bytes[to]!)) to++;
  for (let one = from; one < to; one++) {
    if (!isDigit(bytes[one]!)) continue;
    measure(bytes, one, to);
    // The name of a span often ends in a date.
    if (run.last > one && isSpanKind(bytes, run.last)) measure(bytes, one, run.last);
    const bits = bitsAmong(bytes, one);
    // A length or a tag before the value may look like its first digit, and lies outside of it.
    if (bits !== 0) {
      for (let digit = one; digit < run.last; digit += strideBytes) found.add(digit, bits);
      found.add(run.last, bits);
    }
    one = run.last;
  }
  return to;
}

/** The bits of the numbers in the text `bytes[start, stop)`, of which the bounds are known. */
export function numberBits(bytes: Uint8Array, start: number, stop: number): number {
  let bits = 0;
  for (let at = start; at < stop; at++) {
    if (!isDigit(bytes[at]!)) continue;
    measure(bytes, at, stop);
    const { first, groups, last } = run;
    const whole =
      (at === start || !isLetter(bytes[at - 1]!) || endsEscape(bytes, at)) &&
      (groups > 0 || last + 1 === stop || !isLetter(bytes[last + 1]!));
    bits |= bitsOfRun(whole);
    if (bits === 0 && first === 8 && groups === 0 && followsKey(bytes, at)) bits = bit.NUMBERS;
    at = last;
  }
  return bits;
}

/** A run of digits with short gaps, measured last. */
const run = {
  /** Digits of the first group, which counts apart: it belongs to an id where a letter precedes it. */
  first: 0,
  /** Digits of all others. */
  count: 0,
  groups: 0,
  /** Digits of the longest group but the first. */
  longest: 0,
  /** Digits behind the first plus sign that stands before a group. */
  behindPlus: 0,
  dots: 0,
  /** Offset of the last digit. */
  last: 0,
};

/** Measures the run that begins at `start` and ends before `end`. */
function measure(bytes: Uint8Array, start: number, end: number): void {
  let at = start + 1;
  while (at < end && isDigit(bytes[at]!)) at++;
  run.first = at - start;
  let count = 0;
  let plus = start > 0 && bytes[start - 1] === PLUS;
  let behindPlus = plus ? run.first : 0;
  let groups = 0;
  let longest = 0;
  let dots = 0;
  let last = at - 1;
  for (let gap = 0, group = 0; at < end && gap <= gapBytesMax; at++) {
    const byte = bytes[at]!;
    if (!isDigit(byte)) {
      if (!isNumeric(byte)) break;
      gap++;
      if (byte === 0x2e) dots++;
      continue;
    }
    if (gap > 0) {
      groups++;
      group = 0;
      gap = 0;
      if (bytes[at - 1] === PLUS) plus = true;
    }
    if (plus) behindPlus++;
    last = at;
    count++;
    group++;
    if (group > longest) longest = group;
  }
  run.count = count;
  run.behindPlus = behindPlus;
  run.groups = groups;
  run.longest = longest;
  run.dots = dots;
  run.last = last;
}

/** The bits of the run, measured last, that begins at `start` somewhere in a request. */
function bitsAmong(bytes: Uint8Array, start: number): number {
  const { first, groups, last } = run;
  const apart = bitsOfRun(false);
  if ((apart & bit.NUMBERS) !== 0) return apart;
  const whole = bitsOfRun(true);
  if ((whole & bit.NUMBERS) !== 0) {
    const id = insideWord(bytes, start) || (groups === 0 && runsOn(bytes, last));
    return id ? apart : whole;
  }
  return first === 8 && groups === 0 && followsKey(bytes, start) ? whole | bit.NUMBERS : whole;
}

/** @param whole whether the first group belongs to it */
function bitsOfRun(whole: boolean): number {
  const { first, count, groups, longest, dots, behindPlus } = run;
  const dotted = dots >= 3 && groups >= 3 ? bit.DOTTED : 0;
  if (behindPlus >= internationalDigitsMin) return dotted | bit.NUMBERS;
  const isOne = whole
    ? isNumber(count + first, groups + 1, Math.max(longest, first))
    : isNumber(count, groups, longest);
  return isOne ? dotted | bit.NUMBERS : dotted;
}

/** Span.kind, 1 to 5, and the tags of the two times that come after it. */
function isSpanKind(bytes: Uint8Array, at: number): boolean {
  if (bytes[at] !== 0x30 || at + 11 >= bytes.length) return false;
  const kind = bytes[at + 1]!;
  return kind >= 1 && kind <= 5 && bytes[at + 2] === 0x39 && bytes[at + 11] === 0x41;
}

/**
 * True where the digits are the beginning of an id in hexadecimal. The last digit and the letter
 * after it may be tags; where neither can be one, the letter is enough, else six more of the same
 * must follow, which times and lengths hardly spell.
 */
function runsOn(bytes: Uint8Array, last: number): boolean {
  const next = bytes[last + 1] ?? 0;
  if (next < 0x61 || next > 0x66) return false;
  if (isWireTag(next) && !holdsStructure(bytes, last + 3, bytes[last + 2] ?? 0)) return false;
  if (isNoTag(bytes[last]!) && isNoTag(next)) return true;
  for (let at = last + 2; at < last + 8; at++) {
    if (!isHex(bytes[at] ?? 0)) return false;
  }
  return true;
}

/** Wire types 3 and 4 (groups, which no message here has), 6 and 7 (which there are not). */
const isNoTag = (byte: number): boolean => (byte & 7) === 3 || (byte & 7) === 4 || (byte & 6) === 6;

/** Nine or ten digits in two groups are a number unless one has eight, as in `4-20250514`. */
function isNumber(count: number, groups: number, longest: number): boolean {
  if (count < numberDigitsMin) return false;
  return count >= 11 || longest >= numberDigitsMin || groups > 2 || longest < 8;
}

/** An SSN as a JSON number has lost its leading zero; its key ends like `ssn` or `number`. */
function followsKey(bytes: Uint8Array, start: number): boolean {
  let at = start - 1;
  let colon = false;
  for (; at >= 0 && start - at < 12; at--) {
    const byte = bytes[at]!;
    if (byte === 0x3a) colon = true;
    else if (byte !== 0x20 && byte !== 0x22 && byte !== 0x5c && byte !== 0x27) break;
  }
  return colon && isKeyEnd(bytes[at] ?? 0);
}

/**
 * True where the letter before belongs to the same text, so that the digits are part of an id. It
 * does not where it is the length of a text that begins here, or the tag of one whose length is the
 * first digit.
 */
function insideWord(bytes: Uint8Array, start: number): boolean {
  const letter = bytes[start - 1] ?? 0;
  if (start < 3 || !isLetter(letter) || endsEscape(bytes, start)) return false;
  if (isWireTag(letter) && !holdsStructure(bytes, start + 1, bytes[start]!)) return false;
  const tag = bytes[start - 2]!;
  if (tag >= 0x80 || bytes[start - 3]! >= 0x80) return false;
  if (!isWireTag(tag)) return true;
  return (isLetter(tag) || isDigit(tag)) && holdsStructure(bytes, start, letter);
}

/** The letter may end `\n` or `\u4e2d`, which stand for a character of their own. */
function endsEscape(bytes: Uint8Array, start: number): boolean {
  for (let at = start - 2; at >= start - 6 && at >= 0; at--) {
    if (bytes[at] === 0x5c) return true;
  }
  return false;
}

/** Wire type 2. */
const isWireTag = (byte: number): boolean => (byte & 7) === 2;

/**
 * Whether a text of this length would hold the tag of KeyValue.value, a control character: no text
 * does, while the bytes after an id soon do.
 */
function holdsStructure(bytes: Uint8Array, start: number, length: number): boolean {
  const stop = Math.min(start + length, bytes.length);
  for (let at = start; at < stop; at++) {
    if (bytes[at] === 0x12) return true;
  }
  return false;
}
