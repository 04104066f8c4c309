/** From what was found and what was not seen to a verdict. */
import type { Counts, Findings, Recovery, Unchecked, VerifyReport } from "./report.ts";
import type { VerifyOptions } from "./verify.ts";

export interface Evidence {
  readonly findings: Findings;
  readonly counts: Counts;
  readonly options: VerifyOptions;
  readonly origin?: string;
  readonly coveredSize?: number;
  readonly provenSize?: number;
  /** Index of the newest seal, -1 where there is none. */
  readonly newestSeal?: number;
  readonly unknownMacs?: number;
  readonly uncheckedTips?: number;
  readonly incompleteBytes?: number;
  readonly unchecked?: readonly Unchecked[];
  readonly recoveries?: readonly Recovery[];
}

export function emptyCounts(): Counts {
  return {
    segments: 0,
    lines: 0,
    records: 0,
    actions: 0,
    chains: 0,
    boots: 0,
    seals: 0,
    macs: 0,
    checkpoints: 0,
    tips: 0,
    tiles: 0,
    bytes: 0,
  };
}

export function conclude(evidence: Evidence): VerifyReport {
  const { findings, counts, options } = evidence;
  const provenSize = evidence.provenSize ?? 0;
  const unchecked = uncheckedOf(evidence);
  const verdict = verdictOf(evidence, unchecked);
  return {
    verdict,
    exitCode: verdict === "ok" ? 0 : verdict === "broken" ? 1 : 2,
    summary: summaryOf(verdict, evidence),
    origin: evidence.origin,
    provenSize,
    identity: provenSize > 0 && (options.trusted ?? []).length > 0 ? "proven" : "unproven",
    macs: counts.macs === 0 ? "none" : (evidence.unknownMacs ?? 0) > 0 ? "some" : "all",
    counts,
    failureCount: findings.total,
    failureCounts: findings.counts,
    failures: findings.list(),
    unchecked,
    recoveries: evidence.recoveries ?? [],
  };
}

function hasTrustedKey(evidence: Evidence): boolean {
  return (evidence.options.trusted ?? []).length > 0;
}

/** True where every record was held against a MAC key that the verifier was given. */
function areAllMacsGood(evidence: Evidence): boolean {
  return evidence.counts.macs > 0 && (evidence.unknownMacs ?? 0) === 0;
}

function verdictOf(evidence: Evidence, unchecked: readonly Unchecked[]): VerifyReport["verdict"] {
  if (evidence.findings.total > 0) return "broken";
  if (!hasTrustedKey(evidence)) return "undetermined";
  if (unchecked.some(({ what }) => what === "rotation")) return "undetermined";
  if (evidence.options.level === "full" && !areAllMacsGood(evidence)) return "undetermined";
  // MACs alone do not tell a log that has just begun from one that was cut before its first root.
  return (evidence.provenSize ?? 0) > 0 ? "ok" : "undetermined";
}

function summaryOf(verdict: VerifyReport["verdict"], evidence: Evidence): string {
  const { findings, counts } = evidence;
  if (verdict === "broken") {
    const first = findings.list()[0];
    return `broken: ${findings.total} failures, the first is ${first?.class}: ${first?.detail}`;
  }
  if (verdict === "ok") return `ok: ${counts.records} records in ${counts.chains} chains`;
  if (!hasTrustedKey(evidence)) return "self-consistent, identity unproven: no trusted public key";
  if (evidence.options.level === "full" && !areAllMacsGood(evidence)) {
    return "cannot tell in full: chain keys are missing";
  }
  const unsigned = "cannot tell: no checkpoint of a trusted key covers this log";
  if (!areAllMacsGood(evidence)) return unsigned;
  return `${unsigned}; the MACs of its ${counts.records} records are good`;
}

function tailDetail({ unknownMacs = 0, newestSeal = -1 }: Evidence, covered: number): string {
  const proven =
    unknownMacs > 0
      ? " are not proven: neither signature nor MAC was checked"
      : ": a cut at the very end would not be noticed";
  // A root is persisted right after its seal: a seal without one is a crash, or a root removed.
  const seal =
    newestSeal >= covered ? `; the root that ends with seal ${newestSeal} is not here` : "";
  return proven + seal;
}

function uncheckedOf(evidence: Evidence): Unchecked[] {
  const { counts } = evidence;
  const covered = evidence.coveredSize ?? 0;
  const unknownMacs = evidence.unknownMacs ?? 0;
  const list: Unchecked[] = [];
  if (!hasTrustedKey(evidence)) {
    const detail =
      "no trusted public key was given: another ledger in its place would not be noticed";
    list.push({ what: "identity", detail });
  }
  if (unknownMacs > 0) {
    const detail = `no key for the MACs of ${unknownMacs} records`;
    list.push({ what: "macs", detail });
  }
  if (counts.records > covered) {
    const detail = `records after the last checkpoint${tailDetail(evidence, covered)}`;
    list.push({ what: "tail", detail, first: covered, end: counts.records });
  }
  if ((evidence.uncheckedTips ?? 0) > 0) {
    list.push({ what: "tips", detail: `tips roots of ${evidence.uncheckedTips} seals` });
  }
  if ((evidence.incompleteBytes ?? 0) > 0) {
    const detail = `the last ${evidence.incompleteBytes} bytes are an incomplete line`;
    list.push({ what: "incomplete_line", detail, first: counts.records });
  }
  return [...list, ...(evidence.unchecked ?? [])];
}
