/** Which detectors a pack holds. Order is precedence: the more specific first. */
import type { Detector } from "../detector.ts";
import { RuleError } from "../rule-error.ts";
import { paymentCard } from "./card.ts";
import { elementSecret } from "./elements.ts";
import { email } from "./email.ts";
import { iban } from "./iban.ts";
import { ipv4, ipv6, phone } from "./network.ts";
import { dateOfBirth, mrn } from "./person.ts";
import { keywordSecret } from "./secrets.ts";
import {
  awsAccessKey,
  awsSecretKey,
  basic,
  bearer,
  githubToken,
  jwt,
  privateKey,
  slackToken,
  urlCredentials,
} from "./tokens.ts";
import { usPhone, usSsn } from "./us.ts";

const packs: ReadonlyMap<string, readonly Detector[]> = new Map([
  [
    "secrets",
    [
      privateKey,
      jwt,
      githubToken,
      slackToken,
      awsAccessKey,
      awsSecretKey,
      bearer,
      basic,
      urlCredentials,
      keywordSecret,
      elementSecret,
    ],
  ],
  ["us", [usSsn, usPhone]],
  ["core", [paymentCard, iban, email, mrn, dateOfBirth, phone, ipv6, ipv4]],
]);

/** Named by the design, not built yet. */
const later: readonly string[] = ["eu", "uk", "ca", "au", "in", "br"];

/** @throws RuleError `unknown_pack` or `pack_not_available` */
export function detectorsOf(names: readonly string[]): readonly Detector[] {
  names.forEach((name, at) => {
    if (!packs.has(name)) throw packError(name, `redaction.packs[${at}]`);
  });
  return [...packs].filter(([name]) => names.includes(name)).flatMap(([, detectors]) => detectors);
}

function packError(name: string, path: string): RuleError {
  const remedy = "available are core, secrets and us";
  return later.includes(name)
    ? new RuleError("pack_not_available", path, `pack "${name}" is not available yet`, remedy)
    : new RuleError("unknown_pack", path, `there is no pack "${name}"`, remedy);
}

/** The spelling that tokens of a class are computed over, where a detector defines one. */
export function normalizerOf(what: string): ((value: string) => string) | undefined {
  return [...packs.values()].flat().find((detector) => detector.class === what)?.normalize;
}
