/** What an item returned of declared columns, while it is walked. */
import type { PhiAccount } from "../redact/findings.ts";
import type { PhiColumn, PhiTable } from "./tables.ts";

/**
 * The rows of one document (a JSON text, or the maps of one attribute) by the values of their
 * declared columns. Telemetry repeats results: as text and as structure, in several attributes.
 */
export type RowCounts = Map<string, number>;

export interface PhiScene {
  /** By lower-case name. */
  readonly columns: ReadonlyMap<string, PhiColumn>;
  readonly subjects: ReadonlySet<string>;
  readonly account: Account;
  /**
   * What a result is: all of it. Elsewhere (a conversation that repeats results) a row must show
   * itself by a list of columns or by two declared ones, and nothing is counted.
   */
  readonly isResult: boolean;
}

/** All that one item returned. */
export interface Account {
  readonly columns: Set<string>;
  readonly subjects: Set<string>;
  readonly documents: RowCounts[];
}

export function newAccount(): Account {
  return { columns: new Set(), subjects: new Set(), documents: [] };
}

/** Where tables share a column, the first decides. */
export function phiScene(
  tables: readonly PhiTable[],
  account: Account,
  isResult: boolean,
): PhiScene {
  const columns = new Map<string, PhiColumn>();
  for (const table of tables) {
    for (const [name, column] of table.columns) {
      if (!columns.has(name)) columns.set(name, column);
    }
  }
  const subjects = new Set(tables.flatMap(({ subject }) => subject ?? []));
  return { columns, subjects, account: isResult ? account : newAccount(), isResult };
}

export function newDocument(account: Account): RowCounts {
  const counts: RowCounts = new Map();
  account.documents.push(counts);
  return counts;
}

export function countRow(counts: RowCounts, cells: readonly string[]): void {
  const key = cells.toSorted().join("\n");
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

/** @returns undefined where no declared column was returned */
export function accountOf({ columns, subjects, documents }: Account): PhiAccount | undefined {
  if (columns.size === 0) return undefined;
  const [subject, ...others] = subjects;
  return {
    columns: [...columns].toSorted(),
    columnsReturned: columns.size,
    rows: rowsOf(documents),
    ...(subject === undefined || others.length > 0 ? {} : { subject }),
  };
}

/** Each row as often as the document has it that has it most. */
function rowsOf(documents: readonly RowCounts[]): number {
  const most: RowCounts = new Map();
  for (const document of documents) {
    for (const [row, count] of document) most.set(row, Math.max(count, most.get(row) ?? 0));
  }
  return [...most.values()].reduce((sum, count) => sum + count, 0);
}
