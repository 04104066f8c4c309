/**
 * Writes the tables of results beside the tests, from the outcomes that the tests recorded. Only
 * where all of them passed, so that no table says what one run has not shown.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Reporter, TestCase, TestModule } from "vitest/node";
import type { Outcome } from "./outcome.ts";

interface Row {
  readonly section: string;
  readonly scenario: string;
  readonly cells: Readonly<Record<string, string | number>>;
}

export class TableReporter implements Reporter {
  onTestRunEnd(
    modules: readonly TestModule[],
    errors: readonly unknown[],
    reason: "passed" | "failed" | "interrupted",
  ): void {
    const cases = modules
      .toSorted((left, right) => (left.moduleId < right.moduleId ? -1 : 1))
      .flatMap((module) => [...module.children.allTests()]);
    const isWhole = cases.every((test) => test.result().state === "passed");
    if (reason !== "passed" || errors.length > 0 || !isWhole) return;
    for (const [table, rows] of rowsByTable(cases)) {
      const path = join(import.meta.dirname, `${table}.md`);
      writeFileSync(path, document(rows));
      console.log(`${rows.length} rows written to ${path}`);
    }
  }
}

function rowsByTable(cases: readonly TestCase[]): Map<string, Row[]> {
  const tables = new Map<string, Row[]>();
  for (const test of cases) {
    const outcome: Outcome | undefined = test.meta().outcome;
    if (outcome === undefined) continue;
    const rows = tables.get(outcome.table) ?? [];
    tables.set(outcome.table, rows);
    const section = test.parent.type === "suite" ? test.parent.name : "";
    rows.push({ section, scenario: test.name, cells: outcome.cells });
  }
  return tables;
}

function document(rows: readonly Row[]): string {
  const sections = Map.groupBy(rows, ({ section }) => section);
  const parts = [...sections].map(([section, own]) => `## ${section}\n\n${table(own)}`);
  return `<!-- Written by \`npm run faults\`. -->\n\n${parts.join("\n")}`;
}

function table(rows: readonly Row[]): string {
  const columns = [...new Set(rows.flatMap(({ cells }) => Object.keys(cells)))];
  const line = (cells: readonly (string | number)[]): string =>
    `| ${cells.map((cell) => String(cell).replaceAll("|", "\\|")).join(" | ")} |\n`;
  return [
    line(["scenario", ...columns]),
    line(["scenario", ...columns].map(() => "---")),
    ...rows.map(({ scenario, cells }) =>
      line([scenario, ...columns.map((column) => cells[column] ?? "")]),
    ),
  ].join("");
}
