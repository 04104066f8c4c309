/** Of `npm run faults` every write point once, and some power cuts: the rest takes minutes. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Random } from "../../support/agent-load.ts";
import { addCounts, noCounts } from "../../faults/storage/counts.ts";
import { callsOfLife } from "../../faults/storage/life.ts";
import { startPathSink } from "../../faults/storage/path-sink.ts";
import type { PathSink } from "../../faults/storage/path-sink.ts";
import { judgeCut, recordCuts, subsetsOf } from "../../faults/storage/power-cut.ts";
import { pointOf, pointsOf, runPoint } from "../../faults/storage/write-points.ts";

const seed = Number(process.env["SPANSEAL_TEST_SEED"] ?? Date.now() % 1_000_000);
const random = new Random(seed);
/** Some hundred lives: half a minute, and several on a busy machine. */
const timeout = 5 * 60_000;
let sink: PathSink;

beforeAll(async () => {
  console.log(`seed ${seed}: repeat with SPANSEAL_TEST_SEED=${seed}`);
  sink = await startPathSink();
});

afterAll(() => sink.close());

/** One of the items of each group. */
function oneOfEach<Item>(items: readonly Item[], groupOf: (item: Item) => string): Item[] {
  const groups = Map.groupBy(items, groupOf);
  return [...groups.values()].map((group) => random.pick(group));
}

test("each write point fails once", { timeout }, async () => {
  const calls = await callsOfLife(sink);
  const names = new Set(calls.map(pointOf));
  expect(rowsOf("STORAGE-WRITES"), "npm run faults writes it anew").toEqual([...names].toSorted());
  const points = oneOfEach(pointsOf(calls), ({ operation }) => pointOf(calls[operation]!));
  expect(points.length).toBeGreaterThan(80);
  const total = noCounts();
  for (const point of points) {
    const result = await runPoint(sink, point);
    if (result !== undefined) addCounts(total, result.counts);
  }
  expect(total.problems).toEqual([]);
  expect(total.runs).toBeGreaterThan(80);
});

/** The rows of a table in `test/faults/`. */
function rowsOf(table: string): string[] {
  const text = readFileSync(join(import.meta.dirname, "../../faults", `${table}.md`), "utf8");
  const names = text.split("\n").flatMap((line) => /^\| (.*?) \|/.exec(line)?.[1] ?? []);
  return names.filter((name) => name !== "scenario" && name !== "---").toSorted();
}

test("the power is cut", { timeout }, async () => {
  const cuts = await recordCuts(sink);
  const points = new Set(cuts.map(({ call }) => pointOf(call)));
  expect(rowsOf("STORAGE-CUTS"), "npm run faults writes it anew").toEqual([...points].toSorted());
  const all = cuts.flatMap((cut) =>
    [...subsetsOf(cut.life.disk.pendingCount, random)].map((subset) => ({ cut, subset })),
  );
  expect(all.length).toBeGreaterThan(3000);
  const total = noCounts();
  for (let sample = 0; sample < 60; sample++) {
    const { cut, subset } = random.pick(all);
    addCounts(total, await judgeCut(cut, subset));
  }
  expect(total.problems).toEqual([]);
});

test("the table of real processes has a row for each scenario", () => {
  const folder = join(import.meta.dirname, "../../faults/storage");
  const names = ["clocks", "copies", "disks", "processes"].flatMap((name) => {
    const text = readFileSync(join(folder, `${name}.test.ts`), "utf8");
    return [...text.matchAll(/^scenario\(\s*"([^"]+)"/gm)].map((match) => match[1]!);
  });
  expect(names).toHaveLength(12);
  expect(rowsOf("STORAGE-PROCESSES")).toEqual(names.toSorted());
});
