/** Every change to every part of a log is named by the verifier, or is within a limit that is told. */
import { readFileSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import { startPathSink } from "../../faults/storage/path-sink.ts";
import { renderRow, runStarts } from "../../faults/tamper/starts.ts";
import { read, readerNames } from "../../faults/tamper/cell.ts";
import { renderTable, runMatrix } from "../../faults/tamper/matrix.ts";
import { builtSubject } from "../../faults/tamper/subject.ts";

const subject = builtSubject();

test("unharmed, the log is what was signed to all who can tell", async () => {
  const reports = await Promise.all(
    readerNames.map((reader) => read(subject.files, subject, reader)),
  );
  expect(reports.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0, 2]);
  expect(reports.flatMap(({ failures }) => failures)).toEqual([]);
});

const table = readFileSync(new URL("../../faults/TAMPER.md", import.meta.url), "utf8");

test("the matrix, and TAMPER.md says the same", async () => {
  const rendered = renderTable(await runMatrix(subject));
  expect(table.slice(0, rendered.length)).toBe(rendered);
});

test("some of the starts, and TAMPER.md says the same", async () => {
  const sink = await startPathSink();
  onTestFinished(() => sink.close());
  // Every fourth file from anyone of the first four; the slow suite starts with each.
  const first = Date.now() % 4;
  const rows = await runStarts(sink, (place) => place % 4 === first);
  expect(rows.length).toBeGreaterThan(4);
  expect(rows.map(renderRow).filter((row) => !table.includes(`${row}\n`))).toEqual([]);
});
