import { AT_SIGN, HIDDEN } from "../candidates.ts";
import { mask } from "../actions.ts";
import type { Detector, Hit } from "../detector.ts";

const localCharsMax = 64;
const domainCharsMax = 253;

const LOCAL = /[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]/;
const local = new Uint8Array(256);
const domainCharacter = new Uint8Array(256);
for (let code = 0; code < 128; code++) {
  const character = String.fromCharCode(code);
  if (LOCAL.test(character) && !"'`{|}=/?&".includes(character)) local[code] = 1;
  if (/[A-Za-z0-9.-]/.test(character)) domainCharacter[code] = 1;
}
// Bytes of internationalised addresses (RFC 6531) are part of the address.
local.fill(1, 128);
domainCharacter.fill(1, 128);

/** Anchored at each `@`; looks at most 64 characters to the left and 253 to the right. */
function findEmails(text: string): Hit[] {
  const hits: Hit[] = [];
  let free = 0;
  for (let at = text.indexOf("@"); at !== -1; at = text.indexOf("@", at + 1)) {
    let start = at;
    const from = Math.max(free, at - localCharsMax);
    while (start > from && local[text.charCodeAt(start - 1)] === 1) start--;
    while (start < at && text[start] === ".") start++;
    let end = at + 1;
    const to = Math.min(text.length, end + domainCharsMax);
    while (end < to && domainCharacter[text.charCodeAt(end)] === 1) end++;
    end = trimDomain(text, at + 1, end);
    if (start === at || end === -1) continue;
    hits.push({ start, end });
    free = end;
  }
  return hits;
}

const TOP_LEVEL = /^(?:xn--[a-z0-9-]{2,59}|[a-z\x80-\xff]{2,63})/i;

/** The end of the longest `label.label` whose last label is a plausible top-level domain, or -1. */
function trimDomain(text: string, start: number, end: number): number {
  let stop = end;
  for (let dot = end - 1; dot > start; dot--) {
    if (text[dot] !== ".") continue;
    const top = TOP_LEVEL.exec(text.slice(dot + 1, stop));
    if (top !== null && text[dot - 1] !== "." && text[start] !== "-") {
      return dot + 1 + top[0].length;
    }
    stop = dot;
  }
  return -1;
}

const USER_INFO = /:\/\/[^\t-\r /?#]{0,300}:[^\t-\r /?#]{0,300}$/;

/** What `USER_INFO` ends with holds none of these but the slash it follows. */
const userInfoEnd = new Uint8Array(256);
for (const character of "\t\n\v\f\r /?#") userInfoEnd[character.charCodeAt(0)] = 1;
const userInfoReach = 320;

/** Whether `user:` after the `//` of a URL stands before `end`. */
function followsUserInfo(text: string, end: number): boolean {
  const first = Math.max(0, end - userInfoReach);
  let start = end;
  while (start > first && userInfoEnd[text.charCodeAt(start - 1)] !== 1) start--;
  return text[start - 1] === "/" && USER_INFO.test(text.slice(first, end));
}

/** `git@host:path` is an address of a repository; `user:password@host` belongs to another detector. */
function isPerson(value: string, text: string, start: number): boolean {
  if (value.startsWith("git@")) return false;
  return !followsUserInfo(text, start);
}

export const email: Detector = {
  id: "email",
  class: "email",
  trigger: AT_SIGN | HIDDEN,
  matcher: findEmails,
  valid: isPerson,
  normalize: (value) => value.toLowerCase(),
  actions: mask,
};
