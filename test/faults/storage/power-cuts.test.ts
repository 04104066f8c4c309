/** The power is cut after every call of a life: a row for each kind of call. */
import { afterAll, describe, expect, test } from "vitest";
import { Random } from "../../support/agent-load.ts";
import { addCounts, noCounts } from "./counts.ts";
import { startPathSink } from "./path-sink.ts";
import { diskAfter, judgeCut, recordCuts, subsetsOf } from "./power-cut.ts";
import { conclude } from "./scenario.ts";
import { pointOf } from "./write-points.ts";

const sink = await startPathSink();
const cuts = Map.groupBy(await recordCuts(sink), ({ call }) => pointOf(call));
const random = new Random(1);
/** Another call may leave the same disk: it is judged once for what was acknowledged by then. */
const judged = new Set<string>();

afterAll(() => sink.close());

describe("Power cuts after each call, with every part of what was not synced", () => {
  test.for([...cuts])("%s", { timeout: 1_800_000 }, async ([, some], context) => {
    const counts = noCounts();
    for (const cut of some) {
      const { disk, acknowledged, published } = cut.life;
      for (const subset of subsetsOf(disk.pendingCount, random)) {
        const content = diskAfter(disk, subset).contentDigest();
        const key = [acknowledged.length, published.length, content].join();
        if (judged.has(key)) counts.runs++;
        else addCounts(counts, await judgeCut(cut, subset));
        judged.add(key);
      }
    }
    expect(counts.problems).toEqual([]);
    conclude(context, "STORAGE-CUTS", counts);
  });
});
