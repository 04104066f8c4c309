/** Every change to every part of a log is named by the verifier, or is within a limit that is told. */
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { read, readerNames } from "./cell.ts";
import { renderTable, runMatrix } from "./matrix.ts";
import { builtSubject } from "./subject.ts";

const subject = builtSubject();

test("unharmed, the log is what was signed to all who can tell", async () => {
  const reports = await Promise.all(
    readerNames.map((reader) => read(subject.files, subject, reader)),
  );
  expect(reports.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0, 2]);
  expect(reports.flatMap(({ failures }) => failures)).toEqual([]);
});

test("the matrix, and TAMPER.md says the same", async () => {
  const table = renderTable(await runMatrix(subject));
  expect(readFileSync(new URL("../TAMPER.md", import.meta.url), "utf8")).toBe(table);
});
