/**
 * A second look at the bytes that the scan stopped at: do the neighbours spell out a reason to
 * call a detector? Every test errs towards yes, because a tag or a length may look like text.
 */
import * as bit from "./candidates.ts";
import { isCapital, isDigit, isHex, isLetter, isLowerLetter, lower } from "./ascii.ts";

/** Two capitals, then two digits, then no small letter. */
function lookCapitals(bytes: Uint8Array, at: number): number {
  if (at + 5 >= bytes.length || !isCapital(bytes[at]!) || !isCapital(bytes[at + 1]!)) return 0;
  if (!isDigit(bytes[at + 2]!) || !isDigit(bytes[at + 3]!)) return 0;
  return isLowerLetter(bytes[at + 4]!) ? 0 : bit.IBAN_HEAD;
}

/** The candidate bits of a byte, judged by its neighbours. */
export function look(bytes: Uint8Array, at: number): number {
  switch (bytes[at]!) {
    case 0x40: // @
      return lookAtSign(bytes, at);
    case 0x3a: // :
      return lookColon(bytes, at);
    case 0x25: // %
      return isHex(bytes[at + 2] ?? 0) ? bit.HIDDEN : 0;
    case 0x5c: // backslash
      return lookEscape(bytes, at);
    case 0xef: // full-width forms
      return lookFullWidth(bytes, at);
    case 0x18: // AnyValue.int_value
      return lookInteger(bytes, at);
    case 0x98: // the tag of an int_value or a double_value, written longer than it needs to be
    case 0xa1:
      return (bytes[at + 1]! & 0x7f) === 0 ? bit.INTEGER : 0;
    case 0x21: // AnyValue.double_value
      return lookDouble(bytes, at);
    case 0x65: // eyJ
      return bytes[at + 1] === 0x79 && bytes[at + 2] === 0x4a ? bit.LITERAL : 0;
    case 0x67: // gh_
      return lookGitHub(bytes, at);
    case 0x78: // xox, xapp
      return lookSlack(bytes, at);
    default:
      return lookWord(bytes, at) | lookCapitals(bytes, at);
  }
}

/** An address goes on for four characters at least; the host of a URL may be shorter. */
function lookAtSign(bytes: Uint8Array, at: number): number {
  if (bytes[at - 1]! <= 0x20) return 0;
  let to = at + 1;
  while (to < at + 5 && isDomain(bytes[to] ?? 0)) to++;
  if (to === at + 5) return bit.AT_SIGN;
  let from = at - 1;
  while (from > at - 300 && bytes[from]! > 0x20 && bytes[from] !== 0x2f) from--;
  if (bytes[from] !== 0x2f) return 0;
  // JSON may write `:\/\/`, and twice escaped more backslashes.
  from--;
  while (bytes[from] === 0x5c) from--;
  return bytes[from] === 0x2f ? bit.AT_SIGN : 0;
}

/** Also what may hide such a character: a backslash, a percent sign, anything beyond ASCII. */
function isDomain(byte: number): boolean {
  if (isLetter(byte) || isDigit(byte) || byte >= 0x80) return true;
  return byte === 0x2d || byte === 0x2e || byte === 0x5c || byte === 0x25;
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
function lookEscape(bytes: Uint8Array, at: number): number {
  const letter = lower(bytes[at + 1] ?? 0);
  // \x and two digits
  if (letter === 0x78) return at + 3 < bytes.length ? bit.HIDDEN : 0;
  if (at + 5 >= bytes.length || letter !== 0x75) return 0;
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
  return isKeyEnd(bytes[at - 3] ?? 0) || lower(bytes[at - 3] ?? 0) === 0x62 ? bit.INTEGER : 0;
}

/** A double of 2^20 to 2^65, by its exponent. */
function lookDouble(bytes: Uint8Array, at: number): number {
  if (at + 8 >= bytes.length) return 0;
  const exponent = ((bytes[at + 8]! & 0x7f) << 4) | (bytes[at + 7]! >>> 4);
  return exponent >= 1023 + 20 && exponent <= 1023 + 65 ? bit.INTEGER : 0;
}

/** ghp_, gho_, ghu_, ghs_, ghr_ */
function lookGitHub(bytes: Uint8Array, at: number): number {
  return bytes[at + 1] === 0x68 && bytes[at + 3] === 0x5f ? bit.LITERAL : 0;
}

function lookSlack(bytes: Uint8Array, at: number): number {
  const next = bytes[at + 1];
  if (next === 0x6f) return bytes[at + 2] === 0x78 ? bit.LITERAL : 0;
  return next === 0x61 && bytes[at + 2] === 0x70 && bytes[at + 3] === 0x70 ? bit.LITERAL : 0;
}

/** Words, told by three rare letters. */
function lookWord(bytes: Uint8Array, at: number): number {
  switch (lower(bytes[at]!)) {
    case 0x61: // AKIA, ASIA
      return has(bytes, at, "akia") || has(bytes, at, "asia") ? bit.LITERAL : 0;
    case 0x62: // b
      return lookB(bytes, at);
    case 0x64: // d
      return lookD(bytes, at);
    case 0x6b: // k
      return lookK(bytes, at);
    case 0x63: // c
      return lookC(bytes, at);
    case 0x73: // s
      return lookS(bytes, at);
    case 0x6d: // m
      return has(bytes, at, "mrn") ? bit.PERSON_WORD : 0;
    case 0x7a: // z
      return has(bytes, at - 7, "authorization") && endsWord(bytes, at + 6) ? bit.SECRET_WORD : 0;
    case 0x70: // p
      return has(bytes, at, "pwd") || has(bytes, at - 4, "passphrase") ? bit.SECRET_WORD : 0;
    default:
      return 0;
  }
}

/** Whether the word, in small letters, stands at `at` in whatever case. */
function has(bytes: Uint8Array, at: number, word: string): boolean {
  for (let index = 0; index < word.length; index++) {
    const code = word.charCodeAt(index);
    const byte = bytes[at + index] ?? 0;
    if (byte !== code && (byte | 0x20) !== code) return false;
  }
  return true;
}

/** `-BEGIN`, bearer, basic, born, birth, github_pat_. */
function lookB(bytes: Uint8Array, at: number): number {
  switch (lower(bytes[at + 1]!)) {
    case 0x65:
      if (bytes[at - 1] === 0x2d && has(bytes, at, "begin")) return bit.LITERAL;
      return has(bytes, at, "bearer") ? bit.SCHEME : 0;
    case 0x61:
      return has(bytes, at, "basic") ? bit.SCHEME : 0;
    case 0x6f:
      return has(bytes, at, "born") ? bit.PERSON_WORD : 0;
    case 0x69:
      return has(bytes, at, "birth") ? bit.PERSON_WORD : 0;
    default:
      return has(bytes, at - 5, "github") && has(bytes, at + 1, "_pat_") ? bit.LITERAL : 0;
  }
}

/** dob, d.o.b., medical. */
function lookD(bytes: Uint8Array, at: number): number {
  if (has(bytes, at, "dob") || has(bytes, at, "d.o.b")) return bit.PERSON_WORD;
  return has(bytes, at - 2, "medical") ? bit.PERSON_WORD : 0;
}

/** token, key. */
function lookK(bytes: Uint8Array, at: number): number {
  // Tokens are what a language model counts.
  if (!endsWord(bytes, at + 3)) return 0;
  return has(bytes, at, "key") || has(bytes, at - 2, "token") ? bit.SECRET_WORD : 0;
}

/** What follows may be a separator and a value; a tag may look like a letter. */
function endsWord(bytes: Uint8Array, at: number): boolean {
  if (at >= bytes.length) return true;
  const byte = bytes[at]!;
  return (!isLetter(byte) && byte !== 0x5f) || (byte & 7) === 2;
}

/** secret, credential. */
function lookC(bytes: Uint8Array, at: number): number {
  return has(bytes, at - 2, "secret") || has(bytes, at, "credential") ? bit.SECRET_WORD : 0;
}

/** ssn, password, passwd. */
function lookS(bytes: Uint8Array, at: number): number {
  if (has(bytes, at, "ssn")) return bit.PERSON_WORD;
  return has(bytes, at - 3, "password") || has(bytes, at - 3, "passwd") ? bit.SECRET_WORD : 0;
}

/** The last letter of ssn, number, social. */
export function isKeyEnd(byte: number): boolean {
  return lower(byte) === 0x6e || lower(byte) === 0x72 || lower(byte) === 0x6c;
}
