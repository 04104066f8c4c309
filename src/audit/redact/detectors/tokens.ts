/** Credentials that can be told by their own form. */
import { fromBase64 } from "../../../bytes/base64.ts";
import { decodeUtf8 } from "../../../bytes/utf8.ts";
import { mask } from "../actions.ts";
import { HIDDEN, LITERAL, SCHEME, SECRET_WORD, AT_SIGN } from "../candidates.ts";
import type { Detector, Hit } from "../detector.ts";

export const awsAccessKey: Detector = {
  id: "aws_access_key",
  class: "aws_access_key",
  trigger: LITERAL | HIDDEN,
  matcher: /(?<![A-Za-z0-9])(?:AKIA|ASIA)[A-Z0-9]{16}(?![A-Za-z0-9])/g,
  actions: mask,
};

/** Forty characters of base64 say nothing by themselves: a word must. */
export const awsSecretKey: Detector = {
  id: "aws_secret_key",
  class: "aws_secret_key",
  trigger: SECRET_WORD | HIDDEN,
  matcher: /(?<![A-Za-z0-9/+])[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])/g,
  context: /secret[ _-]?(?:access[ _-]?)?key|aws[ _-]?secret|secretaccesskey/,
  valid: (value) => /[A-Z]/.test(value) && /[a-z]/.test(value) && /\d/.test(value),
  actions: mask,
};

export const githubToken: Detector = {
  id: "github_token",
  class: "github_token",
  trigger: LITERAL | HIDDEN,
  matcher:
    /(?<![A-Za-z0-9])(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_[A-Za-z0-9_]{22,255})(?![A-Za-z0-9_])/g,
  actions: mask,
};

export const slackToken: Detector = {
  id: "slack_token",
  class: "slack_token",
  trigger: LITERAL | HIDDEN,
  matcher:
    /(?<![A-Za-z0-9])(?:xox[abeoprs](?:\.xox[bp])?|xapp)-[A-Za-z0-9-]{10,255}(?![A-Za-z0-9])/g,
  valid: (value) => /\d/.test(value),
  actions: mask,
};

const tokenCharacter = new Uint8Array(256);
for (const range of ["AZ", "az", "09", "__", "--"]) {
  tokenCharacter.fill(1, range.charCodeAt(0), range.charCodeAt(1) + 1);
}

/** The end of the run of base64url characters from `start`. */
function runEnd(text: string, start: number): number {
  let at = start;
  while (at < text.length && tokenCharacter[text.charCodeAt(at)] === 1) at++;
  return at;
}

/** Three segments, or the first two where a limit cut the third off. */
function findJwts(text: string): Hit[] {
  const hits: Hit[] = [];
  for (let start = text.indexOf("eyJ"); start !== -1; start = text.indexOf("eyJ", start + 1)) {
    if (start > 0 && tokenCharacter[text.charCodeAt(start - 1)] === 1) continue;
    const header = runEnd(text, start);
    if (text[header] !== "." || !isJwtHeader(text.slice(start, header))) continue;
    let end = runEnd(text, header + 1);
    if (end === header + 1) continue;
    if (text[end] === ".") end = runEnd(text, end + 1);
    else if (!text.startsWith("eyJ", header + 1)) continue;
    // Encrypted tokens (JWE) have five segments.
    while (text[end] === "." && runEnd(text, end + 1) > end + 1) end = runEnd(text, end + 1);
    hits.push({ start, end });
    start = end - 1;
  }
  return hits;
}

const headerCharsMax = 16_384;

function isJwtHeader(segment: string): boolean {
  if (segment.length > headerCharsMax) return false;
  const bytes = decodeBase64(segment);
  // Most of what begins like a header is none: look before parsing.
  if (bytes?.[0] !== 0x7b || bytes.at(-1) !== 0x7d) return false;
  try {
    JSON.parse(decodeUtf8(bytes));
    return true;
  } catch {
    return false;
  }
}

/** Either alphabet, padded or not. @returns undefined where the text encodes nothing */
function decodeBase64(text: string): Uint8Array | undefined {
  const plain = text.replaceAll("-", "+").replaceAll("_", "/").replace(/=+$/, "");
  try {
    return fromBase64(plain.padEnd(Math.ceil(plain.length / 4) * 4, "="));
  } catch {
    return undefined;
  }
}

export const jwt: Detector = {
  id: "jwt",
  class: "jwt",
  trigger: LITERAL | HIDDEN,
  matcher: findJwts,
  actions: mask,
};

const PEM_BEGIN = /-----BEGIN (?:[A-Z0-9]{1,16} ){0,3}PRIVATE KEY(?: BLOCK)?-----/g;
const PEM_END = /-----END (?:[A-Z0-9]{1,16} ){0,3}PRIVATE KEY(?: BLOCK)?-----/g;

/** From the first line to the last, or to the end of the text where the last is missing. */
function findPrivateKeys(text: string): Hit[] {
  const hits: Hit[] = [];
  PEM_BEGIN.lastIndex = 0;
  for (let match = PEM_BEGIN.exec(text); match !== null; match = PEM_BEGIN.exec(text)) {
    PEM_END.lastIndex = match.index;
    const last = PEM_END.exec(text);
    const end = last === null ? text.length : last.index + last[0].length;
    hits.push({ start: match.index, end });
    PEM_BEGIN.lastIndex = end;
  }
  return hits;
}

export const privateKey: Detector = {
  id: "private_key",
  class: "private_key",
  trigger: LITERAL | HIDDEN,
  matcher: findPrivateKeys,
  actions: mask,
};

/** After `Bearer`, which is a word as well: a token has digits, capitals or length. */
export const bearer: Detector = {
  id: "bearer",
  class: "authorization",
  trigger: SCHEME | HIDDEN,
  matcher: /(?<![A-Za-z0-9])bearer[ \t:]{1,4}([A-Za-z0-9._~+/=-]{8,})/gi,
  valid: (value, text, start) =>
    /[0-9_~+/=]|[a-z][A-Z]|[A-Z][a-z]+[A-Z]/.test(value) ||
    value.length >= 24 ||
    /authorization[^A-Za-z0-9]{1,12}bearer[ \t:]{1,4}$/i.test(
      text.slice(Math.max(0, start - 40), start),
    ),
  actions: mask,
};

/** After `Basic`: base64 of `user:password`. */
export const basic: Detector = {
  id: "basic",
  class: "authorization",
  trigger: SCHEME | HIDDEN,
  matcher: /(?<![A-Za-z0-9])basic[ \t:]{1,4}([A-Za-z0-9+/_-]{4,}={0,2})/gi,
  valid: (value) => decodeBase64(value)?.includes(0x3a) === true,
  actions: mask,
};

/** User and password before the host of a URL. */
export const urlCredentials: Detector = {
  id: "url_credentials",
  class: "url_credentials",
  trigger: AT_SIGN | HIDDEN,
  matcher: /:\/\/([^\t-\r /@:"'<>\\?#]{0,256}:[^\t-\r /"'<>\\?#]{1,256})(?=@)/g,
  actions: mask,
};
