/** `<password>…</password>`, `<x:clientSecret …>…`: an element whose name names a secret. */
import { mask } from "../actions.ts";
import { HIDDEN, SECRET_WORD } from "../candidates.ts";
import { blank, forEachMatch, type Detector, type Hit } from "../detector.ts";
import { HARMLESS_BEFORE, isSecret, judgedChars, strengthOf, WORDS } from "./secrets.ts";

/** Up to what the element holds; the words, then what stands before them in the name. */
const HEAD = new RegExp(
  `<([\\w.:-]{0,64}?)(?:${WORDS})(?:[ \\t\\r\\n][^<>]{0,256})?(?<!/)>[ \\t\\r\\n]{0,256}(<!\\[CDATA\\[)?`,
  "gi",
);

function findElements(text: string): Hit[] {
  const hits: Hit[] = [];
  forEachMatch(HEAD, text, (match) => {
    const [head, before = "", password, secret, , section] = match;
    const strength = strengthOf(password, secret);
    if (strength !== "password" && HARMLESS_BEFORE.test(before)) return;
    const start = match.index + head.length;
    const closing = section === undefined ? "<" : "]]>";
    const judgedEnd = contentEnd(text, [start, start + judgedChars], closing);
    if (!isSecret(text.slice(start, judgedEnd), strength, true)) return;
    const end = contentEnd(text, [start, text.length], closing);
    if (section === undefined && !isContent(text, start, end)) return;
    hits.push({ start, end });
    HEAD.lastIndex = end;
  });
  return hits;
}

/** To what closes it or a mask, without the white space before. */
function contentEnd(text: string, [start, stop]: [number, number], closing: string): number {
  const farthest = Math.min(stop, text.length);
  let end = start;
  while (end < farthest && text[end] !== blank && !text.startsWith(closing, end)) end++;
  while (end > start && " \t\r\n".includes(text[end - 1]!)) end--;
  return end;
}

/**
 * Prose and code say `<password>` as well and go on. What an element holds ends with a closing tag, a
 * comment or a section; where the text was cut off in it, it is one word, which begins at once.
 */
function isContent(text: string, start: number, end: number): boolean {
  const next = text.indexOf("<", end);
  if (next >= 0) return text[next + 1] === "/" || text[next + 1] === "!";
  return !/[ \t\r\n]/.test(text.slice(start - 1, end)) && text.slice(end).trim() === "";
}

export const elementSecret: Detector = {
  id: "element_secret",
  class: "secret",
  trigger: SECRET_WORD | HIDDEN,
  matcher: findElements,
  actions: mask,
};
