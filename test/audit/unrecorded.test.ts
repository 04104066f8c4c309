import { expect, test } from "vitest";
import { prepared, span, traces } from "./setup.ts";

const call = { "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "t" };
const decision = {
  name: "spanseal.decision",
  attributes: { "spanseal.decision.outcome": "denied" },
};

test("spans without a record are counted, a span with two records once", () => {
  const spans = [{ attributes: call, events: [decision] }, { attributes: call }, { name: "GET /" }];
  const batch = prepared("traces", traces(spans.map(span)));
  expect(batch.count).toBe(3);
  expect(batch.statistics.items).toBe(3);
  expect(batch.unrecorded).toBe(1);
});
