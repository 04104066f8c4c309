/** `password=…`, `api_key: …`, `"client_secret": "…"`: a word that names a secret, then its value. */
import { mask } from "../actions.ts";
import { HIDDEN, SECRET_WORD } from "../candidates.ts";
import { blank, forEachMatch, type Detector, type Hit, type Place } from "../detector.ts";

/** How much a word proves: any value, any that is no common word, or only what looks random. */
type Strength = "password" | "secret" | "token";

/** Three groups: the words that name a password, a secret, a key or token. */
export const WORDS: string =
  "(passw(?:or)?d|passphrase|pwd)|" +
  "((?:client|app|shared|consumer|webhook|jwt|signing)[_. -]?secret|secret[_. -]?(?:access[_. -]?)?key|secret)|" +
  "((?:x[_. -]?)?(?:api|access|private|encryption|signing|auth|master|account|service|subscription)[_. -]?key|" +
  "(?:access|auth|refresh|id|session|api|csrf|security|bot|bearer)[_. -]?token|token|credentials?)";

const LEAD = new RegExp(
  `(?:${WORDS})["'\`\\\\]{0,8}[ \\t]{0,4}(?::=|=>|=|:)[ \\t]{0,4}((?:\\\\{0,8}["'\`]){0,2})`,
  "gi",
);
const KEY = new RegExp(`(?:${WORDS.replaceAll("[_. -]", "_")})$`);
const AUTHORIZATION_KEY = /(?:^|_)authorization$/;
/** Tokens that are no secrets: those of a page, those of a language model. */
export const HARMLESS_BEFORE: RegExp =
  /(?:page|next|continuation|cursor|stop|eos|bos|pad|sep|unk|mask|special|prompt|completion|public|partition|primary|foreign|sort)[_. -]?$/i;

/** By what the groups of `WORDS` matched. */
export function strengthOf(password: string | undefined, secret: string | undefined): Strength {
  if (password !== undefined) return "password";
  return secret !== undefined ? "secret" : "token";
}

function findSecrets(text: string, place: Place): Hit[] {
  if (place.key !== "" && isSecretKey(place.key, text)) return [{ start: 0, end: text.length }];
  const hits: Hit[] = [];
  forEachMatch(LEAD, text, (match) => {
    const start = match.index + match[0].length;
    const quotes = match[4] ?? "";
    const before = text.slice(Math.max(0, match.index - 14), match.index);
    const strength = strengthOf(match[1], match[2]);
    if (strength !== "password" && HARMLESS_BEFORE.test(before)) return;
    const assigned = quotes !== "" || match[0].includes("=");
    // The next word may stand inside this value, so what is no secret must not be read to its end.
    const judgedEnd = valueEnd(text, start, quotes, start + judgedChars);
    if (!isSecret(text.slice(start, judgedEnd), strength, assigned)) return;
    const end = valueEnd(text, start, quotes, text.length);
    hits.push({ start, end });
    LEAD.lastIndex = end;
  });
  return hits;
}

/** So much of a value says whether it is a secret. */
export const judgedChars = 256;

/**
 * To the closing quote, or to white space and what separates one value from the next; to a mask, so
 * that what was redacted is not redacted again.
 */
function valueEnd(text: string, start: number, quotes: string, farthest: number): number {
  const quote = /["'`]/.exec(quotes)?.[0];
  const stop = Math.min(text.length, farthest);
  let end = start;
  if (quote === undefined) {
    while (end < stop && UNQUOTED_END[text.charCodeAt(end)] !== 1) end++;
    return end;
  }
  while (end < stop && text[end] !== quote && text[end] !== "\n" && text[end] !== blank) end++;
  while (end > start && text[end - 1] === "\\") end--;
  return end;
}

const UNQUOTED_END = new Uint8Array(blank.charCodeAt(0) + 1);
for (const character of `\t\n\v\f\r "'\`,;&<>()[]{}|${blank}`) {
  UNQUOTED_END[character.charCodeAt(0)] = 1;
}

function isSecretKey(key: string, value: string): boolean {
  if (AUTHORIZATION_KEY.test(key)) return isSecret(value, "secret", false);
  const match = KEY.exec(key);
  if (match === null || HARMLESS_BEFORE.test(key.slice(0, match.index))) return false;
  return isSecret(value, strengthOf(match[1], match[2]), true);
}

/** What stands where a value would: nothing, a type, a mask, where a program has it from. */
const PLACEHOLDER_WORD =
  /^(?:|null|none|nil|undefined|true|false|yes|no|str|string|text|int|integer|number|bool|boolean|object|array|optional|required|hidden|redacted|missing|invalid|expired|empty|unset|\*+|x+|\.+|process\.env.*|os\.environ.*|env\..*)$/i;
/**
 * A variable of a shell or a template, what stands in brackets. Closed, or in capitals: passwords may
 * begin with such a sign as well.
 */
const PLACEHOLDER_SHAPE =
  /^(?:\$|\$[A-Z_][A-Z0-9_]*|\$\d|\$\{[^{}]*\}|\$\([^()]*\)|<[^<>]*>|\{[^{}]*\}|\{\{[^{}]*\}\}|\[[^[\]]*\]|%[A-Z_]+%?)$/;

function isPlaceholder(value: string): boolean {
  if (PLACEHOLDER_WORD.test(value) || PLACEHOLDER_SHAPE.test(value)) return true;
  return value === blank.repeat(value.length);
}

export function isSecret(value: string, strength: Strength, assigned: boolean): boolean {
  if (isPlaceholder(value)) return false;
  const word = /^[a-z]+(?:[ _-][a-z]+)*[.!?]?$/.test(value);
  if (strength === "password") return value.length >= 3;
  if (strength === "secret") return value.length >= 4 && (assigned || !word);
  if (value.length < 6 || /[^\t-\r ][\t-\r ]+[^\t-\r ]/.test(value)) return false;
  return !/^[\d.,]+$/.test(value) && (!word || value.length >= 24);
}

export const keywordSecret: Detector = {
  id: "keyword_secret",
  class: "secret",
  trigger: SECRET_WORD | HIDDEN,
  matcher: findSecrets,
  actions: mask,
};
