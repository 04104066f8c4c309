import { mask } from "../actions.ts";
import { HIDDEN, NUMBERS } from "../candidates.ts";
import { isLetter } from "../ascii.ts";
import { forEachMatch, type Detector, type Hit, type Place } from "../detector.ts";
import { isLuhn } from "./checksums.ts";

/** First digits (as a range of equal length) and lengths of a card network. */
interface Network {
  readonly from: number;
  readonly to: number;
  readonly lengths: readonly number[];
}

const upTo19 = [16, 17, 18, 19];
const networks: readonly Network[] = [
  { from: 4, to: 4, lengths: [13, 16, 19] }, // Visa
  { from: 51, to: 55, lengths: [16] }, // Mastercard
  { from: 2221, to: 2720, lengths: [16] },
  { from: 34, to: 34, lengths: [15] }, // American Express
  { from: 37, to: 37, lengths: [15] },
  { from: 6011, to: 6011, lengths: upTo19 }, // Discover
  { from: 644, to: 659, lengths: upTo19 },
  { from: 300, to: 305, lengths: [14, 16, 17, 18, 19] }, // Diners Club
  { from: 3095, to: 3095, lengths: [14, 16, 17, 18, 19] },
  { from: 36, to: 36, lengths: [14, 15, 16, 17, 18, 19] },
  { from: 38, to: 39, lengths: [14, 16, 17, 18, 19] },
  { from: 3528, to: 3589, lengths: upTo19 }, // JCB
  { from: 62, to: 62, lengths: upTo19 }, // UnionPay
  { from: 5018, to: 5018, lengths: upTo19 }, // Maestro
  { from: 5020, to: 5020, lengths: upTo19 },
  { from: 5038, to: 5038, lengths: upTo19 },
  { from: 6304, to: 6304, lengths: upTo19 },
  { from: 6759, to: 6763, lengths: upTo19 },
  { from: 2200, to: 2204, lengths: upTo19 }, // Mir
];

/** How people write the digits of a card. Anything looser finds cards in tables of numbers. */
const groupings: ReadonlySet<string> = new Set([
  "4,4,4,4",
  "4,4,4,4,3",
  "4,6,5",
  "4,6,4",
  "4,4,4,1",
  "4,4,5",
  "4,3,3,3",
  "6,10",
  "6,13",
  "8,8",
  "4,12",
  "4,4,8",
]);
/** What each of them begins with: other groups are not followed any further. */
const groupingBegins: ReadonlySet<string> = new Set(
  [...groupings].flatMap((grouping) => {
    const sizes = grouping.split(",");
    return sizes.map((_, at) => sizes.slice(0, at + 1).join());
  }),
);

const digitsMax = 19;
const digitsMin = 13;
/** As many digits as the shortest card has, however they are grouped. */
const MAY_BE_CARD = new RegExp(`\\d(?:[ .-]?\\d){${digitsMin - 1}}`);

function isNetwork(digits: string): boolean {
  return networks.some(({ from, to, lengths }) => {
    const prefix = Number(digits.slice(0, String(from).length));
    return prefix >= from && prefix <= to && lengths.includes(digits.length);
  });
}

interface Group {
  readonly start: number;
  readonly end: number;
}

/** Every window of digit groups that is written like a card, is one by network, and passes Luhn. */
function findCards(text: string, place: Place): Hit[] {
  if (!MAY_BE_CARD.test(text) || NOT_A_NUMBER_KEY.test(place.key)) return [];
  const hits: Hit[] = [];
  const groups = digitGroups(text);
  let free = 0;
  groups.forEach((group, at) => {
    if (group.start < free || touchesWord(text, group.start - 1)) return;
    const hit = longestCard(text, groups, at);
    if (hit === undefined) return;
    hits.push(hit);
    free = hit.end;
  });
  return hits;
}

/** Keys of ids that are numbers by convention, and of times. */
const NOT_A_NUMBER_KEY =
  /(?:^|_)(?:trace|span|parent|parent_span|request|response)_?id$|time_unix_nano$|timestamp$/;

function digitGroups(text: string): Group[] {
  const groups: Group[] = [];
  for (let at = 0; at < text.length; at++) {
    const code = text.charCodeAt(at);
    if (code < 0x30 || code > 0x39) continue;
    const start = at;
    while (isDigit(text, at)) at++;
    groups.push({ start, end: at });
  }
  return groups;
}

const isDigit = (text: string, at: number): boolean => {
  const code = text.charCodeAt(at);
  return code >= 0x30 && code <= 0x39;
};

function touchesWord(text: string, at: number): boolean {
  return isLetter(text.charCodeAt(at));
}

function longestCard(text: string, groups: readonly Group[], first: number): Hit | undefined {
  const { start } = groups[first]!;
  let best: Hit | undefined;
  let digits = "";
  let sizes = "";
  for (let at = first; at < groups.length; at++) {
    const group = groups[at]!;
    if (at > first && !sameSeparator(text, groups, first, at)) break;
    digits += text.slice(group.start, Math.min(group.end, group.start + digitsMax + 1));
    if (digits.length > digitsMax) break;
    const size = group.end - group.start;
    sizes = at === first ? `${size}` : `${sizes},${size}`;
    if (at > first && !groupingBegins.has(sizes)) break;
    if (digits.length < digitsMin || touchesWord(text, group.end)) continue;
    const written = at === first || groupings.has(sizes);
    if (written && !isDecimal(text, start, group.end) && isNetwork(digits) && isLuhn(digits)) {
      best = { start, end: group.end };
    }
  }
  return best !== undefined && insideUuid(text, best) ? undefined : best;
}

/** One separator between all groups: a space, a hyphen or a dot. */
function sameSeparator(text: string, groups: readonly Group[], first: number, at: number): boolean {
  const separator = text.slice(groups[at - 1]!.end, groups[at]!.start);
  if (separator.length !== 1 || !" -.".includes(separator)) return false;
  return separator === text.slice(groups[first]!.end, groups[first + 1]!.start);
}

/** `0.4242424242424242` and `4111111111111111.25` are numbers. */
function isDecimal(text: string, start: number, end: number): boolean {
  if (text[start - 1] === "." && isDigit(text, start - 2)) return true;
  return text[end] === "." && isDigit(text, end + 1);
}

const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/gi;

function insideUuid(text: string, { start, end }: Hit): boolean {
  const from = Math.max(0, start - 36);
  const around = text.slice(from, end + 36);
  if (!around.includes("-")) return false;
  let inside = false;
  forEachMatch(UUID, around, ({ index }) => {
    inside ||= from + index < end && from + index + 36 > start;
  });
  return inside;
}

export const paymentCard: Detector = {
  id: "payment_card",
  class: "payment_card",
  trigger: NUMBERS | HIDDEN,
  matcher: findCards,
  normalize: (value) => value.replace(/\D/g, ""),
  actions: mask,
};
