/**
 * Writes the tables of results beside the tests, from the outcomes that the tests recorded. Only
 * where all of them passed, so that no table says what one run has not shown; sections and rows of
 * files that were not run stay as they are.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Reporter, TestCase, TestModule, Vitest } from "vitest/node";
import type { Outcome } from "./outcome.ts";

interface Row {
  readonly section: string;
  readonly scenario: string;
  readonly cells: Readonly<Record<string, string | number>>;
}

const head = "<!-- Written by `npm run faults`. -->\n";

export class TableReporter implements Reporter {
  #vitest: Vitest | undefined;

  onInit(vitest: Vitest): void {
    this.#vitest = vitest;
  }

  async onTestRunEnd(
    modules: readonly TestModule[],
    errors: readonly unknown[],
    reason: "passed" | "failed" | "interrupted",
  ): Promise<void> {
    const cases = modules
      .toSorted((left, right) => (left.moduleId < right.moduleId ? -1 : 1))
      .flatMap((module) => [...module.children.allTests()]);
    const isWhole = cases.every((test) => test.result().state === "passed");
    if (reason !== "passed" || errors.length > 0 || !isWhole) return;
    const all = await this.#vitest!.globTestSpecifications();
    for (const [table, rows] of rowsByTable(cases)) {
      const path = join(import.meta.dirname, `${table}.md`);
      const before = modules.length < all.length ? sectionsIn(path) : new Map<string, string>();
      writeFileSync(path, document(before, rows));
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

/** The sections of an earlier run, by their names. */
function sectionsIn(path: string): Map<string, string> {
  const text = existsSync(path) ? readFileSync(path, "utf8") : "";
  const sections = text.split(/^## /m).slice(1);
  return new Map(
    sections.map((section) => {
      const end = section.indexOf("\n");
      return [section.slice(0, end), section.slice(end).trim()];
    }),
  );
}

function document(before: ReadonlyMap<string, string>, rows: readonly Row[]): string {
  const sections = new Map(before);
  for (const [section, own] of Map.groupBy(rows, (row) => row.section)) {
    sections.set(section, merged(sections.get(section), table(own)));
  }
  const parts = [...sections].toSorted(([left], [right]) => (left < right ? -1 : 1));
  return [head, ...parts.map(([name, text]) => `## ${name}\n\n${text}\n`)].join("\n");
}

function table(rows: readonly Row[]): string {
  const columns = [...new Set(rows.flatMap(({ cells }) => Object.keys(cells)))];
  const line = (cells: readonly (string | number)[]): string =>
    `| ${cells.map((cell) => String(cell).replaceAll("|", "\\|")).join(" | ")} |`;
  return [
    line(["scenario", ...columns]),
    line(["scenario", ...columns].map(() => "---")),
    ...rows.map(({ scenario, cells }) =>
      line([scenario, ...columns.map((column) => cells[column] ?? "")]),
    ),
  ].join("\n");
}

/** The rows of an earlier run, where they have the same columns, with those of this one in them. */
function merged(before: string | undefined, now: string): string {
  const [head, rule, ...rows] = now.split("\n");
  const [oldHead, , ...oldRows] = before?.split("\n") ?? [];
  if (oldHead !== head) return now;
  const scenarioOf = (row: string): string => row.slice(0, row.indexOf(" | "));
  const byScenario = new Map([...oldRows, ...rows].map((row) => [scenarioOf(row), row]));
  return [head, rule, ...byScenario.values()].join("\n");
}
