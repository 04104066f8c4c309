/**
 * What a text says once escapes are undone and look-alikes folded, with the way back: character i of
 * a view comes from `[starts[i], ends[i])` of the text. Texts have one character per byte.
 */

export interface View {
  readonly text: string;
  /** May be longer than the text, like `ends`. */
  readonly starts: Int32Array;
  readonly ends: Int32Array;
}

/** Whether a text has a character behind which another may hide. */
export const mayHide = (text: string): boolean =>
  text.includes("\\") || text.includes("%") || Buffer.byteLength(text) !== text.length;

const roundsMax = 2;

/** @returns undefined where the text hides nothing: ask `mayHide` first. */
export function viewOf(text: string): View | undefined {
  let view = decode(text);
  for (let round = 1; view !== undefined && round < roundsMax; round++) {
    const next = mayHide(view.text) ? decode(view.text) : undefined;
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

const nothing = new Int32Array(0);

/** What a pass over a text has read so far; takes no memory until something differs from the text. */
class Draft {
  readonly #text: string;
  #length = 0;
  #bytes: Buffer | undefined;
  #starts = nothing;
  #ends = nothing;

  constructor(text: string) {
    this.#text = text;
  }

  /** The characters `[start, end)` of the text are read as `character`, which may be nothing. */
  put(character: string, start: number, end: number): void {
    if (this.#bytes === undefined) {
      if (end === start + 1) return;
      this.#bytes = this.#begin(start);
    }
    if (character === "") return;
    this.#bytes[this.#length] = character.charCodeAt(0);
    this.#starts[this.#length] = start;
    this.#ends[this.#length++] = end;
  }

  /** All before `start` is read as it stands. */
  #begin(start: number): Buffer {
    const size = this.#text.length;
    this.#starts = new Int32Array(size);
    this.#ends = new Int32Array(size);
    for (let at = 0; at < start; at++) {
      this.#starts[at] = at;
      this.#ends[at] = at + 1;
    }
    this.#length = start;
    return Buffer.from(this.#text, "latin1");
  }

  /** @returns undefined where everything was read as it stands. */
  finish(): View | undefined {
    if (this.#bytes === undefined) return undefined;
    const text = this.#bytes.toString("latin1", 0, this.#length);
    return { text, starts: this.#starts, ends: this.#ends };
  }
}

/** One pass. A run of backslashes counts as one, `%25` before two digits as `%`. */
function decode(text: string): View | undefined {
  const draft = new Draft(text);
  for (let at = 0; at < text.length;) {
    const code = text.charCodeAt(at);
    if (code === 0x5c) at = decodeEscape(text, at, draft);
    else if (code === 0x25) at = decodePercent(text, at, draft);
    else if (code >= 0x80) at = decodeUnicode(text, at, draft);
    else draft.put(text[at]!, at, ++at);
  }
  return draft.finish();
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
      draft.put(fold(code), at, after + 1 + digits);
      return after + 1 + digits;
    }
  }
  const simple = SIMPLE_ESCAPES[letter];
  if (simple === undefined) {
    draft.put("\\", at, after);
    return after;
  }
  draft.put(simple, at, after + 1);
  return after + 1;
}

function decodePercent(text: string, at: number, draft: Draft): number {
  let digits = at + 1;
  while (text.startsWith("25", digits) && hexAt(text, digits + 2, 2) !== undefined) digits += 2;
  const code = hexAt(text, digits, 2);
  if (code === undefined) {
    draft.put("%", at, at + 1);
    return at + 1;
  }
  draft.put(String.fromCharCode(code), at, digits + 2);
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
      draft.put(folded, at, at + size);
      return at + size;
    }
  }
  draft.put(text[at]!, at, at + 1);
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
