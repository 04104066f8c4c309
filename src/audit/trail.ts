/** What a record says about other records and about what redaction did to its source. */
import { canonicalize } from "../bytes/canonical-json.ts";
import { toHex } from "../bytes/hex.ts";
import { recordIdBytes } from "./prepared-batch.ts";
import type { Finding, PhiAccount } from "./redact/request.ts";
import type { Relation } from "./survey.ts";

/** @param ids those of all records, 16 bytes each */
export function relationsJson(relations: readonly Relation[], ids: Uint8Array): string {
  const texts = relations.map(({ to, reason }) => {
    const at = to.position * recordIdBytes;
    return canonicalize({ id: toHex(ids.subarray(at, at + recordIdBytes)), reason });
  });
  // All have the same members, so the texts are in order where ids and reasons are.
  return `[${[...new Set(texts)].toSorted().join(",")}]`;
}

/** Canonical, because the members are named in order: there is one in each record with a hit. */
export function findingsJson(findings: readonly Finding[]): string {
  return JSON.stringify(
    findings.map(({ action, count, field, rule }) => ({
      action,
      count,
      field: field.toWellFormed(),
      rule,
    })),
  );
}

export function phiJson(phi: PhiAccount): string {
  return canonicalize({
    columns: phi.columns,
    columns_returned: phi.columnsReturned,
    rows: phi.rows,
    subject: phi.subject,
    violations: phi.violations,
  });
}
