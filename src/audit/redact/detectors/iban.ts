import { mask } from "../actions.ts";
import { HIDDEN, IBAN_HEAD } from "../candidates.ts";
import { forEachMatch, type Detector, type Hit } from "../detector.ts";
import { isIbanChecksum } from "./checksums.ts";

/** Lengths by country, from the SWIFT IBAN registry. */
const lengths: ReadonlyMap<string, number> = new Map(
  (
    "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 " +
    "DK18 DO28 EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HN28 HR21 HU28 " +
    "IE22 IL23 IQ23 IS26 IT27 JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 " +
    "MK19 MN20 MR27 MT31 MU30 NI28 NL18 NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 " +
    "SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 TL23 TN24 TR26 UA29 VA22 VG24 XK20 YE30"
  )
    .split(" ")
    .map((entry) => [entry.slice(0, 2), Number(entry.slice(2))]),
);

const HEAD = /(?<![A-Za-z0-9])[A-Z]{2}\d{2}(?=[ -]?[A-Z0-9])/g;
const isPart = (code: number): boolean =>
  (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x5a);

/** As many characters as the country has, with single spaces or hyphens between. */
function findIbans(text: string): Hit[] {
  const hits: Hit[] = [];
  forEachMatch(HEAD, text, ({ index: start }) => {
    const length = lengths.get(text.slice(start, start + 2));
    if (length === undefined) return;
    let value = "";
    let end = start;
    for (let at = start; at < text.length && value.length < length; at++) {
      if (isPart(text.charCodeAt(at))) {
        value += text[at]!;
        end = at + 1;
      } else if (!" -".includes(text[at]!) || at > end) break;
    }
    if (value.length !== length || /[A-Za-z0-9]/.test(text[end] ?? "")) return;
    if (isIbanChecksum(value)) hits.push({ start, end });
  });
  return hits;
}

export const iban: Detector = {
  id: "iban",
  class: "iban",
  trigger: IBAN_HEAD | HIDDEN,
  matcher: findIbans,
  normalize: (value) => value.replace(/[ -]/g, ""),
  actions: mask,
};
