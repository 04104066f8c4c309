/** Redaction of one text, for the command line: what would happen to it as an attribute value. */
import { EVERYTHING } from "./candidates.ts";
import { isAddressKey, normalizeKey } from "./keys.ts";
import { tenantFor, type Change } from "./plain.ts";
import type { RedactionPolicy } from "./policy.ts";
import { applyChanges, redactValue } from "./value.ts";

export interface TextFinding {
  readonly rule: string;
  readonly class: string;
  readonly action: string;
  /** UTF-16 offsets of the input. */
  readonly start: number;
  readonly end: number;
}

export interface RedactedText {
  readonly text: string;
  readonly findings: readonly TextFinding[];
}

/**
 * @param context `key` is the attribute key that the text is the value of; `tenant` separates
 *   tokens and defaults to the policy's default
 */
export function redactText(
  text: string,
  policy: RedactionPolicy,
  context: { readonly key?: string; readonly tenant?: string } = {},
): RedactedText {
  if (policy.off || text === "") return { text, findings: [] };
  const bytes = Buffer.from(text);
  const rawKey = context.key ?? "";
  const changes = redactValue(bytes, {
    policy,
    tenant: tenantFor(policy, rawKey, () => context.tenant ?? policy.tenant.default),
    place: { key: normalizeKey(rawKey), rawKey, attribute: rawKey },
    bits: EVERYTHING,
    keyBits: rawKey === "" ? 0 : EVERYTHING,
    everyBits: 0,
    identity: policy.identityKeys.has(rawKey),
    address: isAddressKey(rawKey),
    depth: 0,
  });
  if (changes.length === 0) return { text, findings: [] };
  return { text: applyChanges(bytes, changes).toString(), findings: findingsOf(text, changes) };
}

/** Byte offsets become UTF-16 offsets in one pass; changes are in order. */
function findingsOf(text: string, changes: readonly Change[]): TextFinding[] {
  let unit = 0;
  let byte = 0;
  const unitAt = (target: number): number => {
    while (byte < target) {
      const code = text.codePointAt(unit)!;
      byte += code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
      unit += code < 0x10000 ? 1 : 2;
    }
    return unit;
  };
  return changes.map(({ rule, class: what, action, start, end }) => ({
    rule,
    class: what,
    action,
    start: unitAt(start),
    end: unitAt(end),
  }));
}
