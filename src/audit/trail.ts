/** What a record says about other records and about what redaction did to its source. */
import { canonicalize } from "../bytes/canonical-json.ts";
import type { Finding, PhiAccount } from "./redact/request.ts";
import type { Relation } from "./survey.ts";

export function relationsJson(relations: readonly Relation[]): string {
  const sorted = relations.toSorted((a, b) =>
    a.id === b.id ? (a.reason < b.reason ? -1 : 1) : a.id < b.id ? -1 : 1,
  );
  return canonicalize(sorted.map(({ id, reason }) => ({ id, reason })));
}

export function findingsJson(findings: readonly Finding[]): string {
  return canonicalize(
    findings.map(({ rule, action, count, field }) => ({ rule, action, count, field })),
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
