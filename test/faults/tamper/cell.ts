/** One cell of the matrix: what is done to which part, and what each reader must say to it. */
import type { Failure, FailureClass, VerifyReport } from "../../../src/ledger/verify/report.ts";
import { verifyLedger } from "../../../src/ledger/verify/verify.ts";
import { memorySource, type EvidenceFiles } from "../../ledger/evidence-files.ts";
import { limits, type LimitId } from "./limits.ts";
import type { Subject } from "./subject.ts";

export const operations = [
  "edit",
  "delete",
  "insert",
  "duplicate",
  "reorder",
  "truncate head",
  "truncate tail",
  "swap segments",
  "swap between tenants",
  "roll back",
  "forge",
  "replace key",
  "replace whole ledger",
] as const;
export type Operation = (typeof operations)[number];

/** Who reads: what they have beside the ledger's folder. */
export const readers = {
  operator: { chainKey: true, trusted: true, bucket: true },
  auditor: { chainKey: false, trusted: true, bucket: true },
  "no bucket": { chainKey: true, trusted: true, bucket: false },
  "no key": { chainKey: false, trusted: false, bucket: true },
} as const;
export type Reader = keyof typeof readers;
export const readerNames: readonly Reader[] = Object.keys(readers) as Reader[];

export interface Cell {
  /** What is touched: `head.time`, `bucket tile/0/000`. */
  readonly target: string;
  readonly operation: Operation;
  /** Where several cells have one target and operation. */
  readonly variant?: string;
  damage(files: EvidenceFiles, subject: Subject): void;
  /** Whether a failure is told at the place of the damage. */
  at(place: Failure["place"]): boolean;
  /** Classes that a failure at that place may have; any where absent. */
  readonly classes?: readonly FailureClass[];
  /** Readers who do not see it, and the limit that says why. */
  readonly unseen?: Partial<Record<Reader, LimitId>>;
}

export function nameOf({ target, operation, variant }: Cell): string {
  return [target, operation, variant].filter(Boolean).join(", ");
}

export async function read(
  files: EvidenceFiles,
  subject: Subject,
  reader: Reader,
): Promise<VerifyReport> {
  const { chainKey, trusted, bucket } = readers[reader];
  return verifyLedger(memorySource(files, { bucket }), {
    ...(chainKey && { chainKey: (epoch: number) => subject.chainKey(epoch) }),
    ...(trusted && { trusted: subject.trusted }),
  });
}

/** What stands in the table. @throws Error where the reader does not say what it must. */
export async function judge(cell: Cell, subject: Subject, reader: Reader): Promise<string> {
  const files: EvidenceFiles = new Map(subject.files);
  cell.damage(files, subject);
  if (sameFiles(files, subject.files)) throw new Error(`${nameOf(cell)} changes nothing`);
  const report = await read(files, subject, reader);
  const limit = cell.unseen?.[reader];
  const classes = classesAt(report, cell).join(", ");
  // Where more is seen than must be, the table says so.
  const isWithin = limit !== undefined && (report.exitCode !== 1 || classes === "");
  const problem = isWithin
    ? notWithin(report, limit, readers[reader].trusted)
    : notNamed(report, cell);
  if (problem !== undefined) throw new Error(`${nameOf(cell)}, ${reader}: ${problem}`);
  return isWithin ? limit : classes;
}

function classesAt({ failures }: VerifyReport, cell: Cell): FailureClass[] {
  const here = failures.filter(({ place }) => cell.at(place)).map(({ class: name }) => name);
  return [...new Set(here)];
}

function notNamed(report: VerifyReport, cell: Cell): string | undefined {
  const told = report.failures
    .slice(0, 5)
    .map((one) => `${one.class} ${JSON.stringify(one.place)}`);
  if (report.exitCode !== 1) return `not noticed: ${report.summary}`;
  const classes = classesAt(report, cell);
  if (classes.length === 0) return `named elsewhere only: ${told.join("; ")}`;
  const { classes: allowed } = cell;
  const isAllowed = allowed === undefined || classes.some((name) => allowed.includes(name));
  return isAllowed ? undefined : `named ${classes.join(", ")}`;
}

function notWithin(report: VerifyReport, limit: LimitId, hasKey: boolean): string | undefined {
  const { exitCode = 0, said } = limits[limit];
  if (report.exitCode !== (hasKey ? exitCode : 2)) {
    return `expected ${limit}, but it says: ${report.summary}`;
  }
  if (said === undefined || report.unchecked.some(({ what }) => what === said)) return undefined;
  return `${limit} is to be told as unchecked ${said}`;
}

function sameFiles(left: EvidenceFiles, right: EvidenceFiles): boolean {
  if (left.size !== right.size) return false;
  return [...left].every(([path, bytes]) => right.get(path)?.equals(bytes));
}
