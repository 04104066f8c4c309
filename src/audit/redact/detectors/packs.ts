/** Which detectors a pack holds. Order is precedence: the more specific first. */
import type { Detector } from "../detector.ts";
import { RuleError } from "../rule-error.ts";
import { email } from "./email.ts";

const packs: ReadonlyMap<string, readonly Detector[]> = new Map([
  ["secrets", []],
  ["us", []],
  ["core", [email]],
]);

/** Named by the design, not built yet. */
const later: readonly string[] = ["eu", "uk", "ca", "au", "in", "br"];

/** @throws RuleError `unknown_pack` or `pack_not_available` */
export function detectorsOf(names: readonly string[]): readonly Detector[] {
  names.forEach((name, at) => {
    if (packs.has(name)) return;
    const remedy = `available are ${["core", "secrets", "us"].join(", ")}`;
    if (later.includes(name)) {
      const message = `pack "${name}" is not available yet`;
      throw new RuleError("pack_not_available", `redaction.packs[${at}]`, message, remedy);
    }
    throw new RuleError(
      "unknown_pack",
      `redaction.packs[${at}]`,
      `there is no pack "${name}"`,
      remedy,
    );
  });
  return [...packs].filter(([name]) => names.includes(name)).flatMap(([, detectors]) => detectors);
}
