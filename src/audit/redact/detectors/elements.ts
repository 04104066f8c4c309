/** `<password>…</password>`, `<x:clientSecret …>…`: an element whose name names a secret. */
import { mask } from "../actions.ts";
import { HIDDEN, SECRET_WORD } from "../candidates.ts";
import { blank, forEachMatch, type Detector, type Hit } from "../detector.ts";
import { HARMLESS_BEFORE, isSecret, judgedChars, strengthOf, WORDS } from "./secrets.ts";

/** Up to what the element holds; the words, then what stands before them in the name. */
const HEAD = new RegExp(
  `<([\\w.:-]{0,64}?)(?:${WORDS})(?:[ \\t\\r\\n][^<>]{0,256})?>[ \\t\\r\\n]{0,256}(<!\\[CDATA\\[)?`,
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

export const elementSecret: Detector = {
  id: "element_secret",
  class: "secret",
  trigger: SECRET_WORD | HIDDEN,
  matcher: findElements,
  actions: mask,
};
