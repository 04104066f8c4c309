/** The pack `us`. */
import { mask } from "../actions.ts";
import { HIDDEN, NUMBERS, PERSON_WORD } from "../candidates.ts";
import { forEachMatch, hasContext, type Detector, type Hit, type Place } from "../detector.ts";

const SSN_WORDS = /(?<![a-z])(?:ssns?|social[ _-]?security|socials?(?: number| no)?)(?![a-z])/;
const DELIMITED = /(?<![A-Za-z0-9])(?<!\d[-.])\d{3}([- .])\d{2}\1\d{4}(?![A-Za-z0-9])(?![-.]\d)/g;
const UNDELIMITED = /(?<![A-Za-z0-9])(?<!\d[.])\d{7,9}(?![A-Za-z0-9])(?!\.\d)/g;

/** Printed on leaflets and in wallets for decades: nobody's, unless something says it is meant. */
const dummies: ReadonlySet<string> = new Set(["078051120", "123456789", "219099999"]);

function findSsns(text: string, place: Place): Hit[] {
  const hits: Hit[] = [];
  const add = (start: number, value: string, digits: string, delimited: boolean): void => {
    const known = (): boolean => hasContext(SSN_WORDS, text, start, place);
    if (isDummy(digits) ? known() : isSsn(digits) && (delimited || known())) {
      hits.push({ start, end: start + value.length });
    }
  };
  forEachMatch(DELIMITED, text, ({ index, 0: value }) => {
    add(index, value, value.replace(/\D/g, ""), true);
  });
  forEachMatch(UNDELIMITED, text, ({ index, 0: value }) => {
    // An integer has lost its leading zeros, two at most: there is no area 000.
    const lost = value.length < 9 && value.length === text.length;
    if (value.length === 9 || lost) add(index, value, value.padStart(9, "0"), false);
  });
  return hits;
}

/** Social Security Administration: no area 000, 666, 900 to 999, no group 00, no serial 0000. */
function isSsn(digits: string): boolean {
  const area = digits.slice(0, 3);
  if (area === "000" || area === "666" || area[0] === "9") return false;
  return digits.slice(3, 5) !== "00" && digits.slice(5) !== "0000" && !/^(\d)\1*$/.test(digits);
}

function isDummy(digits: string): boolean {
  return dummies.has(digits) || digits.startsWith("98765432");
}

const PHONE_WORDS =
  /(?<![a-z])(?:(?:tele)?phones?|tel|call(?:ed|back)?|mobile|cell(?:ular)?|fax|sms|text|whatsapp|contact)(?![a-z])/;
const SPACED_PHONE =
  /(?<![A-Za-z0-9+])(?<!\d[-.])(?:\+?1[ .-]?)?(?:\([2-9]\d{2}\)[ .-]?|[2-9]\d{2}([ .-]))\d{3}[ .-]\d{4}(?![A-Za-z0-9])(?![-.]\d)/g;
const CLOSE_PHONE = /(?<![A-Za-z0-9])(?<!\d[-.])1?[2-9]\d{2}[2-9]\d{6}(?![A-Za-z0-9])(?![-.]\d)/g;

/** Ten digits of the North American plan: as written, or bare where a word says so. */
function findPhones(text: string, place: Place): Hit[] {
  const hits: Hit[] = [];
  forEachMatch(SPACED_PHONE, text, ({ index, 0: value, 1: separator }) => {
    // `415.555-2671` mixes a decimal point with a hyphen; `415-555 2671` does occur.
    const dotted = separator === ".";
    if (separator === undefined || dotted === (value.at(-5) === ".")) {
      hits.push({ start: index, end: index + value.length });
    }
  });
  forEachMatch(CLOSE_PHONE, text, ({ index, 0: value }) => {
    if (hasContext(PHONE_WORDS, text, index, place)) {
      hits.push({ start: index, end: index + value.length });
    }
  });
  return hits;
}

export const usSsn: Detector = {
  id: "us_ssn",
  class: "us_ssn",
  trigger: NUMBERS | PERSON_WORD | HIDDEN,
  matcher: findSsns,
  normalize: (value) => value.replace(/\D/g, "").padStart(9, "0"),
  actions: mask,
};

export const usPhone: Detector = {
  id: "us_phone",
  class: "phone",
  trigger: NUMBERS | HIDDEN,
  matcher: findPhones,
  normalize: (value) => value.replace(/\D/g, "").replace(/^1(?=\d{10}$)/, ""),
  actions: mask,
};
