/** Decisions by our own attributes, and records of one request about the same action. */
import { expect, test } from "vitest";
import { map, mapOne } from "./setup.ts";

const call = {
  "gen_ai.operation.name": "execute_tool",
  "gen_ai.tool.name": "refund",
  "gen_ai.tool.call.id": "c1",
};
const denied = { "spanseal.decision.outcome": "denied", "spanseal.decision.by": "human" };

test("a decision on a span of its own", () => {
  const body = mapOne({
    name: "approve",
    attributes: {
      ...denied,
      "spanseal.decision.reason": "too much",
      "spanseal.decision.policy": "refund-limit",
      "spanseal.decision.scope": "once",
      "spanseal.decision.approver": "ada",
      "spanseal.decision.mode": "enforce",
      "spanseal.decision.would_deny": false,
      "gen_ai.tool.name": "refund",
      "gen_ai.tool.call.id": "c1",
    },
  });
  expect(body).toMatchObject({
    action: { type: "decision", name: "refund" },
    decision: {
      outcome: "denied",
      by: "human",
      basis: "explicit",
      reason: "too much",
      policies: ["refund-limit"],
      scope: "once",
      approver: "ada",
      mode: "enforce",
      would_deny: false,
    },
    tool: { name: "refund", call_id: "c1" },
    outcome: { status: "denied", executed: false },
  });
  expect(body.attributes).toBeUndefined();
});

test.each([
  ["allowed", "unknown"],
  ["denied", "denied"],
  ["modified", "unknown"],
  ["pending", "pending"],
  ["expired", "cancelled"],
  ["cancelled", "cancelled"],
  ["not_gated", "unknown"],
])("decision %s has the outcome %s", (outcome, status) => {
  const body = mapOne({ attributes: { "spanseal.decision.outcome": outcome } });
  expect(body.decision.outcome).toBe(outcome);
  expect(body.outcome.status).toBe(status);
});

test("a word outside its list is unknown, and what was said is kept", () => {
  const body = mapOne({ attributes: { "spanseal.decision.outcome": "Approved!" } });
  expect(body.decision).toEqual({ outcome: "unknown", basis: "explicit", raw: "Approved!" });
});

test("one span can prove a call and its decision, related to each other", () => {
  const records = map([{ attributes: { ...call, ...denied } }]);
  expect(records.map(({ body }) => body.action.type)).toEqual(["tool_call", "decision"]);
  const [tool, decision] = records;
  expect(tool!.id).not.toBe(decision!.id);
  expect(tool!.body.related).toEqual([{ id: decision!.id, reason: "same_item" }]);
  expect(decision!.body.related).toEqual([{ id: tool!.id, reason: "same_item" }]);
  expect(tool!.body.outcome).toEqual({ status: "denied", basis: "explicit", executed: false });
});

test("decisions in span events, by name or by attribute, each with an id of its own", () => {
  const records = map([
    {
      attributes: { ...call, "gen_ai.agent.name": "desk" },
      events: [
        { name: "other" },
        { name: "asked", attributes: { "spanseal.decision.outcome": "pending" } },
        { name: "spanseal.decision", attributes: { "spanseal.decision.outcome": "allowed" } },
      ],
    },
  ]);
  expect(records.map(({ body }) => body.decision?.outcome)).toEqual([
    undefined,
    "pending",
    "allowed",
  ]);
  expect(new Set(records.map(({ id }) => id)).size).toBe(3);
  expect(records[1]!.body).toMatchObject({
    action: { type: "decision" },
    actor: { agent: { name: "desk" } },
    tool: { name: "refund", call_id: "c1" },
    source: { signal: "span", event_name: "asked" },
    time: { start: "1795241720500000003" },
  });
});

test("a decision about a call is named as the tool, unless it names itself", () => {
  const outcome = { "spanseal.decision.outcome": "denied" };
  const onEvent = (attributes: object, more: object): unknown => {
    const events = [{ name: "spanseal.decision", attributes: { ...outcome, ...more } }];
    const records = map([{ name: "tools/call wire", attributes: { ...attributes }, events }]);
    return records.at(-1)!.body.action.name as unknown;
  };
  expect(onEvent(call, {})).toBe("refund");
  expect(onEvent(call, { "gen_ai.tool.name": "refund_all" })).toBe("refund_all");
  expect(onEvent(call, { "spanseal.action.name": "pay back" })).toBe("pay back");
  expect(onEvent({ "gen_ai.operation.name": "chat" }, {})).toBe("tools/call wire");
  // The span's name is where an MCP call without the attribute has its tool.
  const mcp = map([
    {
      name: "tools/call wire",
      attributes: { "mcp.method.name": "tools/call" },
      events: [{ name: "spanseal.decision", attributes: outcome }],
    },
  ]);
  expect(mcp[1]!.body).toMatchObject({
    action: { type: "decision", name: "wire" },
    tool: { name: "wire" },
    provenance: { "tool.name": "span.name" },
  });
  const own = { ...call, ...outcome };
  expect(map([{ attributes: own }])[1]!.body.action.name).toBe("refund");
  const named = { ...own, "spanseal.action.name": "pay back" };
  expect(map([{ attributes: named }])[1]!.body.action.name).toBe("pay back");
});

test("a decision on another span speaks for the call with its id", () => {
  const records = map([
    { attributes: call, id: 1 },
    { attributes: { ...denied, "gen_ai.tool.call.id": "c1" }, id: 2 },
    { attributes: { ...call, "gen_ai.tool.call.id": "c2" }, id: 3 },
  ]);
  expect(records.map(({ body }) => body.outcome.status)).toEqual(["denied", "denied", "unknown"]);
  expect(records[0]!.body.related).toEqual([{ id: records[1]!.id, reason: "tool_call_id" }]);
  expect(records[2]!.body.related).toBeUndefined();
});

test("mcp client and server spans of one call are duplicates, the server's is the better one", () => {
  const mcp = (id: number, kind: number, parent?: number): object => ({
    id,
    kind,
    parent,
    attributes: { "mcp.method.name": "tools/call", "jsonrpc.request.id": "3" },
  });
  const [client, server] = map([mcp(1, 3), mcp(2, 2, 1)] as never);
  expect(client!.body.duplicate_of).toEqual([{ id: server!.id, reason: "mcp_peer" }]);
  expect(server!.body.related).toEqual([{ id: client!.id, reason: "mcp_peer" }]);
  const [framework, below] = map([{ id: 1, attributes: call }, mcp(2, 3, 1)] as never);
  expect(below!.body.duplicate_of).toEqual([{ id: framework!.id, reason: "tool_span" }]);
});

test("two spans of a framework with one call id are related, not the same", () => {
  const records = map([{ attributes: call }, { attributes: call }]);
  expect(records.map(({ body }) => body.duplicate_of)).toEqual([undefined, undefined]);
  expect(records[0]!.body.related).toEqual([{ id: records[1]!.id, reason: "tool_call_id" }]);
});

test("a model call seen twice says so", () => {
  const chat = { "gen_ai.operation.name": "chat", "gen_ai.response.id": "r1" };
  const [outer, inner] = map([
    { id: 1, attributes: chat },
    { id: 2, parent: 1, attributes: chat },
  ]);
  expect(outer!.body.duplicate_of).toEqual([{ id: inner!.id, reason: "response_id" }]);
});
