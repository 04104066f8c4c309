/**
 * What a text says once escapes are undone and look-alikes folded, with the way back: character i of
 * a view comes from `[starts[i], ends[i])` of the text. Texts have one character per byte.
 */

export interface View {
  readonly text: string;
  readonly starts: readonly number[];
  readonly ends: readonly number[];
}

interface Draft {
  readonly parts: string[];
  readonly starts: number[];
  readonly ends: number[];
}

const MAYBE_HIDDEN = /[\\%\x80-\xff]/;
const roundsMax = 2;

/** @returns undefined where the text hides nothing. */
export function viewOf(text: string): View | undefined {
  if (!MAYBE_HIDDEN.test(text)) return undefined;
  let view = decode(text);
  for (let round = 1; view !== undefined && round < roundsMax; round++) {
    const next = MAYBE_HIDDEN.test(view.text) ? decode(view.text) : undefined;
    if (next === undefined) break;
    view = compose(view, next);
  }
  return view;
}

function compose(outer: View, inner: View): View {
  return {
    text: inner.text,
    starts: inner.starts.map((at) => outer.starts[at]!),
    ends: inner.ends.map((at) => outer.ends[at - 1]!),
  };
}

/** One pass. A run of backslashes counts as one, `%25` before two digits as `%`. */
function decode(text: string): View | undefined {
  const draft: Draft = { parts: [], starts: [], ends: [] };
  let changed = false;
  for (let at = 0; at < text.length;) {
    const code = text.charCodeAt(at);
    let end = at + 1;
    if (code === 0x5c) end = decodeEscape(text, at, draft);
    else if (code === 0x25) end = decodePercent(text, at, draft);
    else if (code >= 0x80) end = decodeUnicode(text, at, draft);
    else put(draft, text[at]!, at, end);
    if (end !== at + 1) changed = true;
    at = end;
  }
  if (!changed) return undefined;
  return { text: draft.parts.join(""), starts: draft.starts, ends: draft.ends };
}

function put(draft: Draft, character: string, start: number, end: number): void {
  if (character === "") return;
  draft.parts.push(character);
  draft.starts.push(start);
  draft.ends.push(end);
}

const SIMPLE_ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "'": "'",
  "/": "/",
  n: "\n",
  r: "\r",
  t: "\t",
  b: " ",
  f: " ",
};

function decodeEscape(text: string, at: number, draft: Draft): number {
  let after = at;
  while (text.charCodeAt(after) === 0x5c) after++;
  const letter = text[after] ?? "";
  const digits = letter === "u" ? 4 : letter === "x" ? 2 : 0;
  if (digits > 0) {
    const code = hexAt(text, after + 1, digits);
    if (code !== undefined) {
      put(draft, fold(code), at, after + 1 + digits);
      return after + 1 + digits;
    }
  }
  const simple = SIMPLE_ESCAPES[letter];
  if (simple === undefined) {
    put(draft, "\\", at, after);
    return after;
  }
  put(draft, simple, at, after + 1);
  return after + 1;
}

function decodePercent(text: string, at: number, draft: Draft): number {
  let digits = at + 1;
  while (text.startsWith("25", digits) && hexAt(text, digits + 2, 2) !== undefined) digits += 2;
  const code = hexAt(text, digits, 2);
  if (code === undefined) {
    put(draft, "%", at, at + 1);
    return at + 1;
  }
  put(draft, String.fromCharCode(code), at, digits + 2);
  return digits + 2;
}

function hexAt(text: string, at: number, count: number): number | undefined {
  let value = 0;
  for (let index = at; index < at + count; index++) {
    const digit = Number.parseInt(text[index] ?? "", 16);
    if (Number.isNaN(digit)) return undefined;
    value = value * 16 + digit;
  }
  return value;
}

/** A UTF-8 sequence of two or three bytes that looks like ASCII or like nothing; else one byte. */
function decodeUnicode(text: string, at: number, draft: Draft): number {
  const first = text.charCodeAt(at);
  const second = text.charCodeAt(at + 1) & 0x3f;
  const size = first >= 0xe0 && first < 0xf0 ? 3 : first >= 0xc2 && first < 0xe0 ? 2 : 1;
  if (size > 1 && at + size <= text.length) {
    const code =
      size === 2
        ? ((first & 0x1f) << 6) | second
        : ((first & 0x0f) << 12) | (second << 6) | (text.charCodeAt(at + 2) & 0x3f);
    const folded = fold(code);
    if (folded !== other) {
      put(draft, folded, at, at + size);
      return at + size;
    }
  }
  put(draft, text[at]!, at, at + 1);
  return at + 1;
}

/** Stands for every character that looks like no ASCII one. */
const other = "\xff";

/** The ASCII character that `code` looks like, nothing for the invisible ones. */
function fold(code: number): string {
  if (code < 0x80) return String.fromCharCode(code);
  if (code === 0xa0 || (code >= 0x2000 && code <= 0x200a) || code === 0x202f || code === 0x205f) {
    return " ";
  }
  if (code === 0xad || (code >= 0x200b && code <= 0x200f) || code === 0x2060 || code === 0xfeff) {
    return "";
  }
  if ((code >= 0x2010 && code <= 0x2015) || code === 0x2212) return "-";
  // Full-width forms of ! to ~.
  if (code >= 0xff01 && code <= 0xff5e) return String.fromCharCode(code - 0xfee0);
  return other;
}
