/** All cells, and the table that `npm run faults:tamper` writes. */
import { judge, nameOf, operations, readerNames, type Cell } from "./cell.ts";
import { limits, type LimitId } from "./limits.ts";
import { lineCells } from "./lines.ts";
import { rootFileCells } from "./roots.ts";
import { segmentFileCells } from "./segments.ts";
import type { Subject } from "./subject.ts";
import { tileFileCells } from "./tiles.ts";
import { wholeLogCells } from "./whole.ts";

export const cells: readonly Cell[] = [
  ...lineCells,
  ...segmentFileCells,
  ...rootFileCells,
  ...tileFileCells,
  ...wholeLogCells,
];

interface Row {
  readonly cell: Cell;
  /** One text per reader. */
  readonly told: readonly string[];
}

/** @throws Error naming every cell in which a reader does not say what it must. */
export async function runMatrix(subject: Subject, some: readonly Cell[] = cells): Promise<Row[]> {
  const rows: Row[] = [];
  const wrong: string[] = [];
  for (const cell of some) {
    const told: string[] = [];
    for (const reader of readerNames) {
      await judge(cell, subject, reader).then(
        (text) => told.push(text),
        (error: Error) => wrong.push(error.message),
      );
    }
    rows.push({ cell, told });
  }
  const names = some.map(nameOf);
  const twice = names.filter((name, at) => names.indexOf(name) !== at);
  wrong.push(...twice.map((name) => `${name}: there are two cells of this name`));
  if (wrong.length > 0) throw new Error(wrong.join("\n"));
  return rows;
}

const title = `# What the verifier says to every change

Written by \`npm run faults:tamper\`; a test compares it with the code and runs it. A log of two boots,
three segments, two tenants, two chain keys, three published roots and a tail behind the newest of them
is damaged in one way after the other, and read by four readers. Each change is named at its place by
class, or bears the mark of a limit below.

- **operator**: has chain keys, the log's public key, and the bucket.
- **auditor**: has the public key and the bucket, not the chain keys.
- **no bucket**: has chain keys and public key.
- **no key**: trusts no key, has no chain key; the answer is never "ok".
`;

function mark(name: string): string {
  return name in limits ? `**${name}**` : name;
}

/** The part of the table that is of a large log. */
export function renderLarge(rows: readonly Row[]): string {
  const heading = ["", "## Tiles of a log of more than 65,536 records", ""];
  return [...heading, ...tableOf(rows), ""].join("\n");
}

function tableOf(rows: readonly Row[]): string[] {
  const order = operations.map(String);
  const lines = rows
    .toSorted(
      (left, right) => order.indexOf(left.cell.operation) - order.indexOf(right.cell.operation),
    )
    .map(({ cell, told }) => {
      const { target, operation, variant } = cell;
      const what = variant === undefined ? operation : `${operation}: ${variant}`;
      return `| ${target} | ${what} | ${told.map(mark).join(" | ")} |`;
    });
  return [
    `| what | change | ${readerNames.join(" | ")} |`,
    `|---|---|${readerNames.map(() => "---|").join("")}`,
    ...lines,
  ];
}

export function renderTable(rows: readonly Row[]): string {
  const all = rows.flatMap(({ told }) => told);
  const unseen = all.filter((text) => text in limits);
  const summary =
    `${rows.length} changes by ${readerNames.length} readers: ${all.length - unseen.length} named, ` +
    `${unseen.filter((text) => text.startsWith("L")).length} within a limit, ` +
    `${unseen.filter((text) => text.startsWith("H")).length} without harm.\n`;
  const marks = (Object.keys(limits) as LimitId[]).map((id) => {
    const { reason, said, exitCode } = limits[id];
    const told =
      exitCode === 2
        ? ' The answer is "cannot tell" (exit 2).'
        : said && ` The report says so: not checked (${said}).`;
    return `- **${id}** ${reason}.${told ?? ""}`;
  });
  return [
    title,
    summary,
    ...tableOf(rows),
    "",
    "## Limits (L) and what does no harm (H)",
    "",
    ...marks,
    "",
  ].join("\n");
}
