/** Every write point of a life × every kind of fault: a row for each point. */
import { afterAll, describe, expect, test } from "vitest";
import { addCounts, noCounts } from "./counts.ts";
import { callsOfLife } from "./life.ts";
import { startPathSink } from "./path-sink.ts";
import { conclude } from "./scenario.ts";
import { pointOf, pointsOf, runPoint } from "./write-points.ts";
import type { WritePoint } from "./write-points.ts";

const sink = await startPathSink();
const calls = await callsOfLife(sink);
const points = Map.groupBy(pointsOf(calls), ({ operation }) => pointOf(calls[operation]!));

afterAll(() => sink.close());

/** Calls of one point differ by when they come: the first, some in between, the last. */
const callsMax = Number(process.env["SPANSEAL_FAULTS_CALLS"] ?? 3);

function spread(faults: readonly WritePoint[]): WritePoint[] {
  const operations = [...new Set(faults.map(({ operation }) => operation))];
  const count = Math.min(callsMax, operations.length);
  const step = (operations.length - 1) / Math.max(1, count - 1);
  const chosen = Array.from({ length: count }, (_, at) => operations[Math.round(at * step)]!);
  return faults.filter(({ operation }) => chosen.includes(operation));
}

describe("Write points: EIO, ENOSPC, EINTR, short writes, SIGKILL, failed but persisted", () => {
  test.for([...points])("%s", { timeout: 1_800_000 }, async ([, faults], context) => {
    const counts = noCounts();
    for (const fault of spread(faults)) {
      const result = await runPoint(sink, fault);
      if (result !== undefined) addCounts(counts, result.counts);
    }
    expect(counts.problems).toEqual([]);
    conclude(context, "STORAGE-WRITES", counts);
  });
});
