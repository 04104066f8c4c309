/** Every change to every part of a log is named by the verifier, or is within a limit that is told. */
import { readFileSync } from "node:fs";
import { expect, onTestFinished, test } from "vitest";
import { startPathSink } from "../../faults/path-sink.ts";
import { renderStarts, runStarts } from "../../faults/tamper/starts.ts";
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

test("the matrices, and TAMPER.md says the same", async () => {
  const table = readFileSync(new URL("../../faults/TAMPER.md", import.meta.url), "utf8");
  const sink = await startPathSink();
  onTestFinished(() => sink.close());
  const starts = renderStarts(await runStarts(sink));
  expect(table).toBe(renderTable(await runMatrix(subject)) + starts);
});
