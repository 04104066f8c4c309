/** Telephone numbers in international form, IP addresses. */
import { mask } from "../actions.ts";
import { COLONS, DOTTED, HIDDEN, NUMBERS } from "../candidates.ts";
import type { Detector } from "../detector.ts";

/** ITU-T E.164 country codes by their first digits; a code is one to three digits. */
const COUNTRY =
  /^(?:1|7|20|27|3[0123469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|2[1-69]\d|3[578]\d|42\d|5[09]\d|6[789]\d|8[058]\d|9[679]\d)/;

function isInternational(value: string): boolean {
  const digits = value.replace(/\D/g, "");
  return digits.length >= 8 && digits.length <= 15 && COUNTRY.test(digits);
}

export const phone: Detector = {
  id: "phone",
  class: "phone",
  trigger: NUMBERS | HIDDEN,
  matcher:
    /(?<![A-Za-z0-9+])\+[1-9]\d{0,14}(?:[ .-]{1,2}\(?\d{1,5}\)?\d{0,4}|\(\d{1,5}\)\d{0,5}){0,6}(?:[ .-]?\d{1,8})?(?![A-Za-z0-9])(?!\.\d)/g,
  valid: isInternational,
  normalize: (value) => value.replace(/\D/g, ""),
  actions: mask,
};

/** Browsers and libraries have versions of four numbers. */
const BEFORE_VERSION =
  /(?:(?:chrome|chromium|safari|edge?|opr|version|build|release|applewebkit|firefox)[/ :=]{1,2}v?|[=~^<>]=\s?)$/i;
const AFTER_VERSION = /^(?:\.(?:tar|zip|jar|whl|gz|dll|exe|deb|rpm)|-(?:alpha|beta|rc|snapshot))/i;

/** Loopback, unspecified and broadcast addresses are nobody's. */
function isIpv4(value: string, text: string, start: number): boolean {
  if (/^(?:127|0)\./.test(value) || value === "255.255.255.255") return false;
  if (BEFORE_VERSION.test(text.slice(Math.max(0, start - 20), start))) return false;
  return !AFTER_VERSION.test(text.slice(start + value.length, start + value.length + 10));
}

export const ipv4: Detector = {
  id: "ipv4",
  class: "ip_address",
  trigger: DOTTED | HIDDEN,
  matcher:
    /(?<![A-Za-z0-9_])(?<!\d\.)(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![A-Za-z0-9_])(?!\.\d)/g,
  valid: isIpv4,
  isAddress: true,
  actions: mask,
};

/** RFC 4291 text form, in the ranges that belong to hosts: global, unique local, link-local. */
function isIpv6(value: string): boolean {
  const halves = value.split("::");
  if (halves.length > 2) return false;
  const groups = halves.flatMap((half) => (half === "" ? [] : half.split(":")));
  if (groups.some((group) => !/^[0-9a-f]{1,4}$/i.test(group))) return false;
  if (halves.length === 2 ? groups.length > 7 : groups.length !== 8) return false;
  const first = Number.parseInt(groups[0] ?? "0", 16);
  if (value.startsWith("::")) return false;
  return (first & 0xe000) === 0x2000 || (first & 0xfe00) === 0xfc00 || (first & 0xffc0) === 0xfe80;
}

export const ipv6: Detector = {
  id: "ipv6",
  class: "ip_address",
  trigger: COLONS | HIDDEN,
  matcher:
    /(?<![A-Za-z0-9:.])[0-9A-Fa-f]{1,4}(?::[0-9A-Fa-f]{0,4}){2,8}(?<!(?<!:):)(?![A-Za-z0-9:])/g,
  valid: isIpv6,
  normalize: (value) => value.toLowerCase(),
  isAddress: true,
  actions: mask,
};
