/** Tables with protected health information, as the operator declares them. */
import { parseActions, type Actions } from "../redact/actions.ts";
import { NAME } from "../redact/rules.ts";
import { RuleError } from "../redact/rule-error.ts";

export interface PhiColumnConfig {
  readonly class: string;
  readonly action: string | readonly string[];
}

export interface PhiTableConfig {
  readonly match: {
    readonly collections?: readonly string[] | undefined;
    readonly tools?: readonly string[] | undefined;
  };
  /** The column that says whose data a row is. */
  readonly subject?: string | undefined;
  readonly columns: Readonly<Record<string, PhiColumnConfig>>;
}

export interface PhiColumn {
  /** As declared; found whatever its case. */
  readonly name: string;
  readonly class: string;
  readonly actions: Actions;
}

export interface PhiTable {
  readonly tools: readonly string[];
  readonly collections: readonly string[];
  /** All of them as `folded` has them. */
  readonly names: readonly string[];
  /** Lower case. */
  readonly subject: string | undefined;
  /** By lower-case name. */
  readonly columns: ReadonlyMap<string, PhiColumn>;
}

/** @throws RuleError naming the table, its path and what to change */
export function compileTables(tables: readonly PhiTableConfig[]): readonly PhiTable[] {
  return tables.map((table, at) => compileTable(table, `phi.tables[${at}]`));
}

function compileTable(table: PhiTableConfig, path: string): PhiTable {
  const tools = table.match.tools ?? [];
  const collections = table.match.collections ?? [];
  if (tools.length + collections.length === 0 || [...tools, ...collections].includes("")) {
    const message = "the table matches nothing";
    throw new RuleError("bad_table", `${path}.match`, message, "name a tool or a collection");
  }
  const columns = new Map<string, PhiColumn>();
  for (const [name, column] of Object.entries(table.columns)) {
    const place = `${path}.columns.${name}`;
    if (!NAME.test(column.class)) {
      const message = `class "${column.class}" is no name`;
      throw new RuleError("bad_table", place, message, "use 1 to 64 of A-Z a-z 0-9 _ . -");
    }
    if (columns.has(name.toLowerCase())) {
      throw new RuleError("bad_table", place, "the column is declared twice", "keep one of them");
    }
    const actions = parseActions(column.action, column.class, `${place}.action`);
    columns.set(name.toLowerCase(), { name, class: column.class, actions });
  }
  if (columns.size === 0) {
    throw new RuleError("bad_table", `${path}.columns`, "no columns", "declare at least one");
  }
  const subject = table.subject?.toLowerCase();
  if (subject !== undefined && !columns.has(subject)) {
    const message = `subject "${table.subject}" is no declared column`;
    throw new RuleError("bad_table", `${path}.subject`, message, "declare it under columns");
  }
  const names = [...tools, ...collections].map((name) => folded(Buffer.from(name)));
  return { tools, collections, names, subject, columns };
}

/** Bytes in which names are looked for, one character each: SQL cares for no case. */
export function folded(bytes: Buffer): string {
  return bytes.toString("latin1").toLowerCase();
}
