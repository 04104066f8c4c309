/**
 * The one pass over every byte of a request. It knows nothing of protobuf, so the bytes around a
 * value may be tags and lengths that look like text: every test here errs towards a candidate.
 *
 * Attacker-controlled bytes are first looked at here.
 */
import * as bit from "./candidates.ts";
import type { Candidates } from "./candidates.ts";

const DIGIT = 1;
const PIVOT = 2;

/** What a byte starts: nothing (most), a run of digits, or a look at its neighbours. */
const kinds = new Uint8Array(256);
for (const character of "0123456789") kinds[character.charCodeAt(0)] = DIGIT;
for (const character of "@:%\\_JKSBxbBkKcCwWmMpP") kinds[character.charCodeAt(0)] = PIVOT;
kinds[0x18] = PIVOT;
kinds[0x21] = PIVOT;
kinds[0xef] = PIVOT;

/** Bytes that may stand between the digits of one number: ` ().-+` and those of Unicode spaces. */
const separators = new Uint8Array(256);
for (const character of " ().-+") separators[character.charCodeAt(0)] = 1;
for (const byte of [0xc2, 0xa0, 0xe2, 0x80, 0x90, 0x91, 0x92, 0x93, 0x94, 0x95, 0x81, 0x9f]) {
  separators[byte] = 1;
}
for (let byte = 0x80; byte <= 0x8b; byte++) separators[byte] = 1;
for (const byte of [0xaf, 0xad, 0x88]) separators[byte] = 1;

const gapBytesMax = 6;
const numberDigitsMin = 9;
/** No value of `numberDigitsMin` digits fits between two candidates this far apart. */
const strideBytes = 8;

const isDigit = (byte: number): boolean => byte >= 0x30 && byte <= 0x39;
const lower = (byte: number): number => byte | 0x20;
const isLetter = (byte: number): boolean => lower(byte) >= 0x61 && lower(byte) <= 0x7a;
const isCapital = (byte: number): boolean => byte >= 0x41 && byte <= 0x5a;
const isHex = (byte: number): boolean =>
  isDigit(byte) || (lower(byte) >= 0x61 && lower(byte) <= 0x66);

/** Adds the candidates of `bytes[start, end)` to `found`, in ascending order. */
export function scan(bytes: Uint8Array, start: number, end: number, found: Candidates): void {
  for (let at = start; at < end; at++) {
    const kind = kinds[bytes[at]!];
    if (kind === 0) continue;
    if (kind === DIGIT) at = scanDigits(bytes, at, end, found);
    else {
      const bits = look(bytes, at, end);
      if (bits !== 0) found.add(at, bits);
    }
  }
}

/** Takes a run of digits and separators. @returns its last byte. */
function scanDigits(bytes: Uint8Array, start: number, end: number, found: Candidates): number {
  // The first group counts apart: it belongs to an id where a letter precedes it.
  let first = 0;
  let digits = 0;
  let dots = 0;
  let groups = 0;
  let group = 0;
  let longest = 0;
  let gap = 0;
  let last = start;
  for (let at = start; at < end; at++) {
    const byte = bytes[at]!;
    if (byte >= 0x30 && byte <= 0x39) {
      if (gap > 0) {
        groups++;
        group = 0;
        gap = 0;
      }
      last = at;
      if (groups === 0) {
        first++;
        continue;
      }
      digits++;
      group++;
      if (group > longest) longest = group;
    } else if (separators[byte] === 1 && gap < gapBytesMax) {
      gap++;
      if (byte === 0x2e) dots++;
    } else break;
  }
  let bits = 0;
  if (dots >= 3 && groups >= 3) bits |= bit.DOTTED;
  if (
    isNumber(digits, groups, longest) ||
    (isNumber(digits + first, groups + 1, Math.max(longest, first)) && !insideWord(bytes, start))
  ) {
    bits |= bit.NUMBERS;
  }
  if (isIbanHead(bytes, start, end)) bits |= bit.IBAN_HEAD;
  if (bits !== 0) {
    // A length or a tag before the value may look like its first digit, and lies outside of it.
    for (let at = start; at < last; at += strideBytes) found.add(at, bits);
    found.add(last, bits);
  }
  return last;
}

/** Nine or ten digits in two groups are a number unless one has eight, as in `4-20250514`. */
function isNumber(digits: number, groups: number, longest: number): boolean {
  if (digits < numberDigitsMin) return false;
  return digits >= 11 || longest >= numberDigitsMin || groups > 2 || longest < 8;
}

/**
 * True where the letter before belongs to the same text, so that the digits are part of an id. It
 * does not where it may be a length, which a tag of wire type 2 precedes.
 */
function insideWord(bytes: Uint8Array, start: number): boolean {
  if (start < 3 || !isLetter(bytes[start - 1]!)) return false;
  const tag = bytes[start - 2]!;
  return tag < 0x80 && (tag & 7) !== 2 && bytes[start - 3]! < 0x80;
}

function isIbanHead(bytes: Uint8Array, start: number, end: number): boolean {
  return (
    start >= 2 &&
    start + 4 < end &&
    isCapital(bytes[start - 1]!) &&
    isCapital(bytes[start - 2]!) &&
    isDigit(bytes[start + 1]!) &&
    !isLowerLetter(bytes[start + 2]!)
  );
}

const isLowerLetter = (byte: number): boolean => byte >= 0x61 && byte <= 0x7a;

/** The candidate bits of a pivot byte, judged by its neighbours. */
function look(bytes: Uint8Array, at: number, end: number): number {
  switch (bytes[at]!) {
    case 0x40: // @
      return bit.AT_SIGN;
    case 0x3a: // :
      return lookColon(bytes, at);
    case 0x25: // %
      return at + 2 < end && isHex(bytes[at + 1]!) && isHex(bytes[at + 2]!) ? bit.HIDDEN : 0;
    case 0x5c: // backslash
      return lookEscape(bytes, at, end);
    case 0xef: // full-width forms
      return lookFullWidth(bytes, at);
    case 0x18: // AnyValue.int_value
      return lookInteger(bytes, at);
    case 0x21: // AnyValue.double_value
      return lookDouble(bytes, at, end);
    case 0x5f: // _
      return lookGitHub(bytes, at);
    case 0x4a: // eyJ
      return bytes[at - 1] === 0x79 && bytes[at - 2] === 0x65 ? bit.LITERAL : 0;
    case 0x53: // ASIA
      return bytes[at - 1] === 0x41 && bytes[at + 1] === 0x49 ? bit.LITERAL : 0;
    case 0x78: // xox, xapp
      return lookSlack(bytes, at);
    default:
      return lookWord(bytes, at, end);
  }
}

function lookColon(bytes: Uint8Array, at: number): number {
  const before = bytes[at - 1]!;
  const after = bytes[at + 1]!;
  if (after === 0x3a) return isHex(before) || isHex(bytes[at + 2]!) ? bit.COLONS : 0;
  if (!isHex(before) || !isHex(after)) return 0;
  // Three colons with at most four hexadecimal digits between them: more than a time of day.
  let colons = 1;
  for (let from = at - 1, digits = 0; from >= 0 && digits <= 4; from--) {
    if (bytes[from] === 0x3a) {
      digits = 0;
      if (++colons === 3) return bit.COLONS;
    } else if (isHex(bytes[from]!)) digits++;
    else break;
  }
  return 0;
}

/** `\u0000` to `\u007f`, and the escaped look-alikes that the views fold. */
function lookEscape(bytes: Uint8Array, at: number, end: number): number {
  if (at + 5 >= end || lower(bytes[at + 1]!) !== 0x75) return 0;
  const high = lower(bytes[at + 2]!);
  const next = lower(bytes[at + 3]!);
  if (high === 0x30 && next === 0x30) return bit.HIDDEN;
  return (high === 0x66 && next === 0x66) || (high === 0x32 && next === 0x30) ? bit.HIDDEN : 0;
}

/** U+FF10 to U+FF19 (digits) and U+FF20 (at sign). */
function lookFullWidth(bytes: Uint8Array, at: number): number {
  const last = bytes[at + 2]!;
  if (bytes[at + 1] !== 0xbc) return 0;
  return (last >= 0x90 && last <= 0x99) || last === 0xa0 ? bit.HIDDEN : 0;
}

/** A varint of four bytes and more; of three where the key ends like `ssn` or `number`. */
function lookInteger(bytes: Uint8Array, at: number): number {
  if (bytes[at + 1]! < 0x80 || bytes[at + 2]! < 0x80) return 0;
  if (bytes[at + 3]! >= 0x80) return bit.INTEGER;
  const key = lower(bytes[at - 3] ?? 0);
  return key === 0x6e || key === 0x72 || key === 0x62 ? bit.INTEGER : 0;
}

/** A double of 2^20 to 2^65, by its exponent. */
function lookDouble(bytes: Uint8Array, at: number, end: number): number {
  if (at + 8 >= end) return 0;
  const exponent = ((bytes[at + 8]! & 0x7f) << 4) | (bytes[at + 7]! >>> 4);
  return exponent >= 1023 + 20 && exponent <= 1023 + 65 ? bit.INTEGER : 0;
}

function lookGitHub(bytes: Uint8Array, at: number): number {
  const kind = bytes[at - 1]!;
  if (bytes[at - 2] === 0x68) return bytes[at - 3] === 0x67 ? bit.LITERAL : 0;
  return kind === 0x74 && bytes[at - 2] === 0x61 && bytes[at - 3] === 0x70 ? bit.LITERAL : 0;
}

function lookSlack(bytes: Uint8Array, at: number): number {
  const next = bytes[at + 1];
  if (next === 0x6f) return bytes[at + 2] === 0x78 ? bit.LITERAL : 0;
  return next === 0x61 && bytes[at + 2] === 0x70 && bytes[at + 3] === 0x70 ? bit.LITERAL : 0;
}

/** Words, told by their rarest letter. */
function lookWord(bytes: Uint8Array, at: number, end: number): number {
  switch (lower(bytes[at]!)) {
    case 0x62: // b
      return lookB(bytes, at);
    case 0x6b: // k
      return lookK(bytes, at, end);
    case 0x63: // c
      return lookC(bytes, at);
    case 0x77: // w
      return lookW(bytes, at);
    case 0x6d: // m
      return lookM(bytes, at);
    case 0x70: // p
      return has(bytes, at, "phrase") && lower(bytes[at - 1] ?? 0) === 0x73 ? bit.SECRET_WORD : 0;
    default:
      return 0;
  }
}

function has(bytes: Uint8Array, at: number, word: string): boolean {
  for (let index = 0; index < word.length; index++) {
    if (lower(bytes[at + index] ?? 0) !== word.charCodeAt(index)) return false;
  }
  return true;
}

/** `-BEGIN`, bearer, basic, dob, born, birth. */
function lookB(bytes: Uint8Array, at: number): number {
  const next = lower(bytes[at + 1]!);
  if (next === 0x65) {
    if (bytes[at] === 0x42 && bytes[at - 1] === 0x2d && has(bytes, at, "begin")) return bit.LITERAL;
    return has(bytes, at, "bearer") ? bit.SCHEME : 0;
  }
  if (next === 0x61) return has(bytes, at, "basic") ? bit.SCHEME : 0;
  if (next === 0x6f && has(bytes, at, "born")) return bit.PERSON_WORD;
  if (next === 0x69 && has(bytes, at, "birth")) return bit.PERSON_WORD;
  const before = bytes[at - 1] ?? 0;
  // d.o.b. as well as dob.
  if (lower(before) === 0x6f) return lower(bytes[at - 2] ?? 0) === 0x64 ? bit.PERSON_WORD : 0;
  return before === 0x2e && has(bytes, at - 4, "d.o.") ? bit.PERSON_WORD : 0;
}

/** AKIA, token, key. */
function lookK(bytes: Uint8Array, at: number, end: number): number {
  if (bytes[at] === 0x4b && bytes[at - 1] === 0x41 && bytes[at + 1] === 0x49) return bit.LITERAL;
  const word =
    has(bytes, at, "key") ||
    (has(bytes, at, "ken") &&
      lower(bytes[at - 1] ?? 0) === 0x6f &&
      lower(bytes[at - 2] ?? 0) === 0x74);
  return word && endsWord(bytes, at + 3, end) ? bit.SECRET_WORD : 0;
}

/** What follows may be a separator and a value; a tag may look like a letter. */
function endsWord(bytes: Uint8Array, at: number, end: number): boolean {
  if (at >= end) return true;
  const byte = bytes[at]!;
  return (!isLetter(byte) && byte !== 0x5f) || (byte & 7) === 2;
}

/** secret, credential. */
function lookC(bytes: Uint8Array, at: number): number {
  if (has(bytes, at, "cret") && lower(bytes[at - 1] ?? 0) === 0x65) return bit.SECRET_WORD;
  return has(bytes, at, "credential") ? bit.SECRET_WORD : 0;
}

/** password, passwd, pwd. */
function lookW(bytes: Uint8Array, at: number): number {
  const before = lower(bytes[at - 1] ?? 0);
  const next = lower(bytes[at + 1] ?? 0);
  if (before === 0x70) return next === 0x64 ? bit.SECRET_WORD : 0;
  return before === 0x73 && lower(bytes[at - 2] ?? 0) === 0x73 && (next === 0x6f || next === 0x64)
    ? bit.SECRET_WORD
    : 0;
}

/** mrn, medical record. */
function lookM(bytes: Uint8Array, at: number): number {
  if (has(bytes, at, "mrn")) return bit.PERSON_WORD;
  return has(bytes, at, "medical") ? bit.PERSON_WORD : 0;
}
