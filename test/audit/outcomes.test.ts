/** Outcomes that must not claim more than was said. */
import { expect, test } from "vitest";
import { mapOne, map } from "./setup.ts";

const call = { "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "refund" };
const said = (outcome: string): { name: string; attributes: Record<string, unknown> } => ({
  name: "spanseal.decision",
  attributes: { "spanseal.decision.outcome": outcome },
});

test.each([
  [["pending", "denied"], { status: "denied", basis: "explicit", executed: false }],
  [["denied", "pending"], { status: "denied", basis: "explicit", executed: false }],
  [["pending", "cancelled"], { status: "cancelled", basis: "explicit", executed: false }],
  [["pending", "allowed"], { status: "unknown" }],
  [["pending", "modified"], { status: "unknown" }],
  [["pending", "unknown"], { status: "pending", basis: "explicit" }],
])("after the decisions %j a call is what the last answer says", (decisions, outcome) => {
  const [tool] = map([{ attributes: call, events: decisions.map((one) => said(one)) }]);
  expect(tool!.body.outcome).toEqual(outcome);
});

test("a call that was asked about, allowed and answered is no pending one", () => {
  const [tool] = map([
    {
      attributes: { ...call, "gen_ai.tool.call.result": "done" },
      events: [said("pending"), said("allowed")],
    },
  ]);
  expect(tool!.body.outcome).toEqual({ status: "success", basis: "inferred", executed: true });
});

test.each(['\n {"isError": true, "content": []}', ' {"status":"error"}', '{"status":"failed"}'])(
  "white space before a result does not hide its error: %j",
  (result) => {
    const body = mapOne({ attributes: { ...call, "gen_ai.tool.call.result": result } });
    expect(body.outcome.status).toBe("failure");
  },
);

test("a model call that ended by an error is no success", () => {
  const body = mapOne({
    attributes: {
      "gen_ai.operation.name": "chat",
      "gen_ai.request.model": "m",
      "gen_ai.response.finish_reasons": ["error"],
    },
  });
  expect(body.outcome).toEqual({ status: "failure", basis: "inferred" });
});
