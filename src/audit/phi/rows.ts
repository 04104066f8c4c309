/** Rows with declared columns in a JSON document. */
import type { JsonNode } from "../redact/json-tree.ts";
import { countRow, newDocument, type PhiScene, type RowCounts } from "./account.ts";
import type { PhiColumn } from "./tables.ts";

/** A value of a declared column. */
export interface Cell {
  readonly node: JsonNode;
  readonly parent: JsonNode;
  readonly column: PhiColumn;
  readonly isSubject: boolean;
}

/** Names of a member, unescaped. */
export type NameOf = (key: JsonNode) => string;

/** How a document reads. */
export interface Document {
  readonly roots: readonly JsonNode[];
  readonly nameOf: NameOf;
  /** The text of a scalar. */
  readonly textOf: (node: JsonNode) => string;
}

interface Search extends Document {
  readonly phi: PhiScene;
  readonly cells: Map<JsonNode, Cell>;
  readonly rows: RowCounts;
}

/**
 * Finds the cells of a document and counts its rows and columns. A row is an object with a declared
 * column among its members, wherever it stands, or a list beside a list of column names.
 */
export function findCells(document: Document, phi: PhiScene): ReadonlyMap<JsonNode, Cell> {
  const search: Search = { ...document, phi, cells: new Map(), rows: newDocument(phi.account) };
  const open = document.roots.map((node) => ({ node, inRow: false }));
  for (let next = open.pop(); next !== undefined; next = open.pop()) {
    const { node, inRow } = next;
    let inside = inRow;
    if (node.kind === "object") {
      // What is inside a row belongs to it.
      inside = addRow(node, search, inRow) || inRow;
      addTable(node, search, inRow);
    }
    for (const child of node.children) open.push({ node: child, inRow: inside });
  }
  return search.cells;
}

function addRow(node: JsonNode, search: Search, inRow: boolean): boolean {
  const { phi, nameOf, textOf } = search;
  const cells: Cell[] = [];
  const texts: string[] = [];
  for (const child of node.children) {
    const name = nameOf(child.key!).toLowerCase();
    const column = phi.columns.get(name);
    if (column === undefined || holdsRows(child)) continue;
    cells.push({ node: child, parent: node, column, isSubject: phi.subjects.has(name) });
    texts.push(`${name}=${textOf(child)}`);
  }
  if (cells.length === 0 || (!phi.isResult && cells.length < 2)) return false;
  for (const cell of cells) addCell(search, cell);
  if (!inRow) countRow(search.rows, texts);
  return true;
}

function addCell({ cells, phi }: Search, cell: Cell): void {
  phi.account.columns.add(cell.column.name);
  cells.set(cell.node, cell);
}

/** A list of objects under a name that is a column's as well is a wrapper, not a value. */
function holdsRows({ kind, children }: JsonNode): boolean {
  return kind === "array" && children.some((child) => child.kind === "object");
}

const COLUMNS = /^(?:columns?|fields|headers?|column_?names|col_?names|schema|keys)$/i;
const ROWS = /^(?:rows|data|values|records|results?|items|tuples)$/i;

/** Whether a list under this name may hold the names of columns, or rows without any. */
export const isHeaderKey = (name: string): boolean => COLUMNS.test(name);
export const isRowsKey = (name: string): boolean => ROWS.test(name);

/** `{"columns": ["mrn", …], "rows": [["…", …], …]}`; columns may be objects with a name. */
function addTable(node: JsonNode, search: Search, inRow: boolean): void {
  const { phi, nameOf } = search;
  const header = node.children.find(
    ({ key, kind }) => kind === "array" && isHeaderKey(nameOf(key!)),
  );
  if (header === undefined) return;
  const names = header.children.map((child) => columnName(child, search)?.toLowerCase() ?? "");
  if (!names.some((name) => phi.columns.has(name))) return;
  for (const list of node.children) {
    if (list.kind !== "array" || list === header || !isRowsKey(nameOf(list.key!))) continue;
    for (const row of list.children) {
      if (row.kind === "array") addPlaces(row, names, search, inRow);
    }
  }
}

function addPlaces(row: JsonNode, names: readonly string[], search: Search, inRow: boolean): void {
  const { phi, textOf } = search;
  const texts: string[] = [];
  row.children.forEach((node, at) => {
    const name = names[at] ?? "";
    const column = phi.columns.get(name);
    if (column === undefined) return;
    addCell(search, { node, parent: row, column, isSubject: phi.subjects.has(name) });
    texts.push(`${name}=${textOf(node)}`);
  });
  if (!inRow && texts.length > 0) countRow(search.rows, texts);
}

function columnName(node: JsonNode, { nameOf, textOf }: Search): string | undefined {
  if (node.kind === "string") return textOf(node);
  const name = node.children.find(
    ({ key, kind }) =>
      kind === "string" && key !== undefined && /^(?:name|column_?name|field)$/i.test(nameOf(key)),
  );
  return name === undefined ? undefined : textOf(name);
}
