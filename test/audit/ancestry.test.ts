/** Who acted where only an enclosing span of the request says so. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { mappedRecords } from "../../src/audit/mapped-record.ts";
import { encodeOtlp, attributes } from "../support/otlp-writer.ts";
import { type Mapped, map, prepared, span, type SpanInput } from "./setup.ts";

const call = { "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "refund" };
const run = { "gen_ai.operation.name": "invoke_agent" };
const clerk = { "gen_ai.agent.name": "clerk", "gen_ai.agent.id": "a1" };

/** The record of the first span, which is the one in question. */
function first(...members: SpanInput[]): Mapped {
  return map(members)[0]!;
}

test("a call takes agent, user, session, conversation and turn from its run", () => {
  const { body } = first(
    { attributes: call, parent: 1 },
    {
      id: 1,
      attributes: {
        ...run,
        ...clerk,
        "gen_ai.agent.version": "2",
        "user.id": "ada",
        "user.roles": ["nurse"],
        "session.id": "s",
        "gen_ai.conversation.id": "c",
        "gen_ai.turn.id": 7,
      },
    },
  );
  expect(body.actor).toEqual({
    agent: { id: "a1", name: "clerk", version: "2" },
    user: { id: "ada", roles: ["nurse"] },
    session: "s",
    conversation: "c",
    turn: "7",
    assurance: "claimed",
  });
  expect(body.provenance).toEqual({
    "actor.agent.id": "parent.gen_ai.agent.id",
    "actor.agent.name": "parent.gen_ai.agent.name",
    "actor.agent.version": "parent.gen_ai.agent.version",
    "actor.conversation": "parent.gen_ai.conversation.id",
    "actor.session": "parent.session.id",
    "actor.turn": "parent.gen_ai.turn.id",
    "actor.user.id": "parent.user.id",
    "actor.user.roles": "parent.user.roles",
  });
  expect(body.flags).toEqual(["client_claimed_identity", "coerced", "inferred"]);
});

test.each([
  ["a model call", { "gen_ai.operation.name": "chat" }],
  ["a data access", { "db.system.name": "redis" }],
  ["an mcp call", { "mcp.method.name": "tools/call" }],
  ["a decision", { "spanseal.decision.outcome": "denied" }],
])("%s has the agent of its run", (_, members) => {
  const { body } = first(
    { attributes: members, parent: 1 },
    { id: 1, attributes: { ...run, ...clerk } },
  );
  expect(body.actor.agent).toEqual({ id: "a1", name: "clerk" });
  expect(body.flags).toContain("inferred");
});

test("a decision on an event of a call has the agent of the run around the call", () => {
  const decided = {
    name: "spanseal.decision",
    attributes: { "spanseal.decision.outcome": "denied" },
  };
  const records = map([
    { attributes: call, parent: 1, events: [decided] },
    { id: 1, attributes: { ...run, ...clerk } },
  ]);
  expect(records[1]!.body.action.type).toBe("decision");
  expect(records[1]!.body.actor.agent).toEqual({ id: "a1", name: "clerk" });
});

test("each comes as a whole from the nearest that states it, through spans that are no action", () => {
  const { body } = first(
    { attributes: call, parent: 1 },
    { id: 1, attributes: { "gen_ai.agent.name": "inner" }, parent: 2 },
    { id: 2, name: "step", parent: 3 },
    { id: 3, attributes: { ...run, ...clerk, "user.id": "ada" }, parent: 4 },
    { id: 4, name: "POST /ask", attributes: { "enduser.id": "eve", "session.id": "s" } },
  );
  expect(body.actor.agent).toEqual({ name: "inner" });
  expect(body.actor.user).toEqual({ id: "ada" });
  expect(body.actor.session).toBe("s");
});

test("what the span says itself is never replaced", () => {
  const { body } = first(
    { attributes: { ...call, "gen_ai.agent.name": "own", "user.id": "eve" }, parent: 1 },
    { id: 1, attributes: { ...run, ...clerk, "user.id": "ada" } },
  );
  expect(body.actor).toEqual({ agent: { name: "own" }, user: { id: "eve" }, assurance: "claimed" });
  expect(body.provenance).toBeUndefined();
  expect(body.flags).toEqual(["client_claimed_identity"]);
});

test("a word that stands for nothing is passed over, on the span and above it", () => {
  const { body } = first(
    { attributes: { ...call, "user.id": "unknown" }, parent: 1 },
    { id: 1, attributes: { "user.id": "N/A" }, parent: 2 },
    { id: 2, attributes: { ...run, "user.id": "ada" } },
  );
  expect(body.actor.user).toEqual({ id: "ada" });
  expect(body.flags).toEqual(["client_claimed_identity", "inferred", "sentinel"]);
});

test("below a run without a name there is no agent of a run further up", () => {
  const { body } = first(
    { attributes: call, parent: 1 },
    { id: 1, attributes: run, parent: 2 },
    { id: 2, attributes: { ...run, ...clerk, "gen_ai.conversation.id": "c" } },
  );
  expect(body.actor).toEqual({ conversation: "c" });
});

test("a run is its own agent's, and an agent that is being created does nothing", () => {
  const inner = first({ attributes: run, parent: 1 }, { id: 1, attributes: { ...run, ...clerk } });
  expect(inner.body.actor).toBeUndefined();
  const below = first(
    { attributes: { "db.system.name": "redis" }, parent: 1 },
    { id: 1, attributes: { "gen_ai.operation.name": "create_agent", ...clerk } },
  );
  expect(below.body.actor).toBeUndefined();
});

test("the name of a service is no agent's, and another trace's run is nobody's parent", () => {
  const members = [
    { attributes: call, parent: 1 },
    { id: 1, trace: 2, attributes: { ...run, ...clerk } },
  ];
  const [record] = map(members, { resource: { "service.name": "shop" } });
  expect(record!.body.actor).toEqual({ service: { name: "shop" } });
});

interface Place {
  readonly resource: Readonly<Record<string, unknown>>;
  readonly member: SpanInput;
}

function acrossResources(...places: Place[]): Mapped[] {
  const bytes = encodeOtlp("ExportTraceServiceRequest", {
    resourceSpans: places.map(({ resource, member }) => ({
      resource: { attributes: attributes(resource) },
      scopeSpans: [{ spans: [span(member)] }],
    })),
  });
  return mappedRecords(prepared("traces", bytes));
}

test("the own resource comes before ancestors of another, after those of its own", () => {
  const resource = { "gen_ai.agent.name": "of resource" };
  const parent = { id: 1, attributes: { ...run, ...clerk, "user.id": "ada" } };
  const child = { attributes: call, parent: 1 };
  const [same] = map([child, parent], { resource });
  expect(same!.body.actor.agent.name).toBe("clerk");
  const [other] = acrossResources({ resource, member: child }, { resource: {}, member: parent });
  expect(other!.body.actor.agent).toEqual({ name: "of resource" });
  expect(other!.body.actor.user).toEqual({ id: "ada" });
});

test("two spans with one id: what they agree on is taken, else nothing, and that is said", () => {
  const parent = (user: string): SpanInput => ({
    id: 1,
    attributes: { ...run, ...clerk, "user.id": user },
  });
  const child = { attributes: call, parent: 1 };
  expect(first(child, parent("ada"), parent("ada")).body.actor.user).toEqual({ id: "ada" });
  const { body } = first(child, parent("ada"), parent("eve"));
  expect(body.actor.agent.name).toBe("clerk");
  expect(body.actor.user).toBeUndefined();
  expect(body.flags).toEqual(["ambiguous_correlation", "inferred"]);
});

test("two spans with one id and different parents lead nowhere, and that is said", () => {
  const { body } = first(
    { attributes: call, parent: 1 },
    { id: 1, parent: 2 },
    { id: 1, parent: 3 },
    { id: 2, attributes: { ...run, ...clerk } },
    { id: 3, attributes: { ...run, "gen_ai.agent.name": "other" } },
  );
  expect(body.actor).toBeUndefined();
  expect(body.flags).toEqual(["ambiguous_correlation"]);
});

test("the order of spans does not matter, and cycles end", () => {
  const chain: SpanInput[] = [
    { id: 1, attributes: call, parent: 2 },
    { id: 2, parent: 3 },
    { id: 3, attributes: { ...run, ...clerk } },
  ];
  const agents = (members: readonly SpanInput[]): unknown[] =>
    map(members)
      .filter(({ body }) => body.action.type === "tool_call")
      .map(({ body }) => body.actor.agent as unknown);
  for (const order of [chain, chain.toReversed(), [chain[2]!, chain[0]!, chain[1]!]]) {
    expect(agents(order)).toEqual([{ id: "a1", name: "clerk" }]);
  }
  expect(first({ id: 1, attributes: call, parent: 1 }).body.actor).toBeUndefined();
  const circle = first(
    { id: 1, attributes: call, parent: 2 },
    { id: 2, attributes: { "user.id": "ada" }, parent: 3 },
    { id: 3, attributes: { "session.id": "s" }, parent: 1 },
  );
  expect(circle.body.actor).toMatchObject({ user: { id: "ada" }, session: "s" });
});

test("any graph of spans is mapped, each span the same with any number of others around it", () => {
  const anyParent = fc.array(fc.record({ id: fc.nat(6), parent: fc.nat(7), user: fc.nat(3) }), {
    maxLength: 12,
  });
  const property = fc.property(anyParent, (members) => {
    const records = map(
      members.map(({ id, parent, user }) => ({
        id: id + 1,
        parent,
        attributes: user === 0 ? call : { ...call, "user.id": `u${user}` },
      })),
    );
    expect(records).toHaveLength(members.length);
    const own = records.filter((_, index) => members[index]!.user > 0);
    const users = members.filter(({ user }) => user > 0).map(({ user }) => `u${user}`);
    expect(own.map(({ body }) => body.actor.user.id as string)).toEqual(users);
  });
  expect(() => fc.assert(property)).not.toThrow();
});

test("a long chain, and many spans with one id, take linear time", () => {
  const many = 10_000;
  const chain = Array.from({ length: many }, (_, index) => ({
    id: index + 1,
    parent: index + 2,
    attributes: { "gen_ai.turn.id": "" },
  }));
  const top = { id: many + 1, attributes: { ...run, ...clerk } };
  const below = first({ id: many + 2, attributes: call, parent: 1 }, ...chain, top);
  expect(below.body.actor.agent.name).toBe("clerk");
  const same = Array.from({ length: many }, () => ({ id: 1, attributes: clerk }));
  expect(first({ id: 2, attributes: call, parent: 1 }, ...same).body.actor.agent.name).toBe(
    "clerk",
  );
});

test("a chain's name comes from the nearest ancestor before it comes from the trace", () => {
  const members: SpanInput[] = [
    { attributes: call, parent: 1 },
    { attributes: call, parent: 2 },
    { id: 1, attributes: { ...run, "tenant.id": "a" } },
    { id: 2, parent: 1 },
    { attributes: call, parent: 4 },
    { id: 4, attributes: { ...run, "tenant.id": "b" } },
    { attributes: call },
  ];
  const records = map(members);
  expect(records.map(({ tenant }) => tenant)).toEqual(["a", "a", "a", "b", "b", "default"]);
  expect(records.map(({ body }) => body.flags?.includes("ambiguous_correlation") ?? false)).toEqual(
    [false, false, false, false, false, true],
  );
});
