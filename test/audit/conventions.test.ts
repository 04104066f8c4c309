/** What each convention makes of a span, rule by rule. */
import { expect, test } from "vitest";
import { attributes } from "../support/otlp-writer.ts";
import { mappedRecords } from "../../src/audit/mapped-record.ts";
import { TraceMemory } from "../../src/audit/trace-memory.ts";
import { type Body, logs, map, mapOne, policy, prepared } from "./setup.ts";

const chat = { "gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o" };
const tool = { "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "refund" };

test.each([
  ["chat", "model_call"],
  ["generate_content", "model_call"],
  ["text_completion", "model_call"],
  ["embeddings", "model_call"],
  ["invoke_agent", "agent_run"],
  ["create_agent", "config_change"],
  ["invoke_workflow", "workflow"],
  ["plan", "workflow"],
  ["execute_tool", "tool_call"],
  ["retrieval", "retrieval"],
  ["search_memory", "memory"],
  ["apply_guardrail", "guardrail"],
])("operation %s is a %s", (operation, type) => {
  expect(mapOne({ attributes: { "gen_ai.operation.name": operation } }).action).toMatchObject({
    type,
    operation,
  });
});

test("an operation that nobody knows is framework structure and makes no record", () => {
  expect(map([{ attributes: { "gen_ai.operation.name": "agent_step" } }])).toEqual([]);
});

test("spans that are no actions make no record", () => {
  expect(map([{ name: "GET", attributes: { "http.request.method": "GET" } }, {}])).toEqual([]);
});

test("a model call has its model, its usage and its content", () => {
  const body = mapOne({
    attributes: {
      ...chat,
      "gen_ai.provider.name": "openai",
      "gen_ai.response.model": "gpt-4o-2024-08-06",
      "gen_ai.response.id": "r1",
      "gen_ai.response.finish_reasons": ["stop"],
      "gen_ai.usage.input_tokens": 12,
      "gen_ai.usage.cache_read.input_tokens": 5,
      "gen_ai.input.messages": '[{"role":"user"}]',
      "gen_ai.request.temperature": 0.5,
    },
  });
  expect(body.model).toEqual({
    provider: "openai",
    request: "gpt-4o",
    response: "gpt-4o-2024-08-06",
    response_id: "r1",
    finish_reasons: ["stop"],
    usage: { input: 12, cache_read: 5 },
  });
  expect(body.content).toEqual({ capture: "present", input: '[{"role":"user"}]' });
  expect(body.attributes).toEqual({ "gen_ai.request.temperature": 0.5 });
  expect(body.provenance).toBeUndefined();
});

test.each([
  ["gen_ai.system", "openai", "model.provider", "openai"],
  ["gen_ai.usage.prompt_tokens", 7, "model.usage.input", 7],
  ["gen_ai.usage.completion_tokens", 8, "model.usage.output", 8],
  ["gen_ai.usage.cache_read_input_tokens", 1, "model.usage.cache_read", 1],
  ["gen_ai.usage.cache_creation.input_tokens", 2, "model.usage.cache_write", 2],
  ["gen_ai.usage.cache_creation_input_tokens", 3, "model.usage.cache_write", 3],
  ["gen_ai.usage.reasoning_tokens", 4, "model.usage.reasoning", 4],
  ["gen_ai.prompt", "hello", "content.input", "hello"],
  ["gen_ai.completion", "bye", "content.output", "bye"],
  ["enduser.id", "u1", "actor.user.id", "u1"],
])("the deprecated %s is accepted and named in the provenance", (key, value, path, expected) => {
  const body = mapOne({ attributes: { ...chat, [key]: value } });
  expect(at(body, path)).toEqual(expected);
  expect(body.provenance).toEqual({ [path]: key });
  expect(body.attributes?.[key]).toBeUndefined();
});

test("the current name wins over the deprecated one, which stays an attribute", () => {
  const body = mapOne({
    attributes: { "gen_ai.system": "old", "gen_ai.provider.name": "new", ...chat },
  });
  expect(body.model.provider).toBe("new");
  expect(body.attributes).toEqual({ "gen_ai.system": "old" });
});

test("instrumentations older than the operation are known by model and provider", () => {
  const body = mapOne({ attributes: { "gen_ai.system": "openai", "gen_ai.request.model": "m" } });
  expect(body.action.type).toBe("model_call");
  expect(body.flags).toEqual(["inferred"]);
});

test("a tool's name alone is no tool call", () => {
  expect(map([{ attributes: { "gen_ai.tool.name": "refund" } }])).toEqual([]);
  const named = mapOne({ attributes: { ...chat, "gen_ai.tool.name": "a, b" } });
  expect(named.action.type).toBe("model_call");
  expect(named.tool).toBeUndefined();
});

test("the totals of an agent run are no usage", () => {
  const body = mapOne({
    attributes: { "gen_ai.operation.name": "invoke_agent", "gen_ai.usage.input_tokens": 9 },
  });
  expect(body.model).toBeUndefined();
  expect(body.attributes).toEqual({ "gen_ai.usage.input_tokens": 9 });
});

test("words that stand for nothing become no names", () => {
  const body = mapOne({
    attributes: { ...tool, "gen_ai.tool.call.id": "<not specified>", "user.id": "unknown" },
  });
  expect(body.tool).toEqual({ name: "refund" });
  expect(body.actor).toBeUndefined();
  expect(body.flags).toEqual(["sentinel"]);
  expect(body.attributes).toEqual({
    "gen_ai.tool.call.id": "<not specified>",
    "user.id": "unknown",
  });
});

test.each([
  ["no result", {}, undefined, "unknown"],
  ["status ok", {}, { code: 1 }, "unknown"],
  ["status error", {}, { code: 2, message: "broke" }, "failure"],
  ["an error type", { "error.type": "Timeout" }, undefined, "failure"],
  [
    "a pause raised as exception",
    { "error.type": "langgraph.errors.GraphInterrupt" },
    { code: 2 },
    "unknown",
  ],
  ["a result", { "gen_ai.tool.call.result": "done" }, undefined, "success"],
  ["a structured result", { "gen_ai.tool.call.result": { rows: 1 } }, undefined, "success"],
  ["isError", { "gen_ai.tool.call.result": '{"isError":true}' }, undefined, "failure"],
  ["an error object", { "gen_ai.tool.call.result": '{"error":"no"}' }, undefined, "failure"],
  [
    "error status in the result",
    { "gen_ai.tool.call.result": '{"status":"error"}' },
    undefined,
    "failure",
  ],
  ["an empty error", { "gen_ai.tool.call.result": '{"error":null,"x":1}' }, undefined, "success"],
  [
    "an error beside a result",
    { "gen_ai.tool.call.result": '{"error":"warn","result":1}' },
    undefined,
    "success",
  ],
  [
    "the word error in data",
    { "gen_ai.tool.call.result": '{"rows":["error"]}' },
    undefined,
    "success",
  ],
  ["an explicit outcome", { "spanseal.action.outcome": "partial" }, { code: 2 }, "partial"],
  ["a tool status", { "gen_ai.tool.status": "error" }, undefined, "failure"],
] as const)("a tool call with %s", (_, more, status, expected) => {
  const input = { attributes: { ...tool, ...more } };
  expect(mapOne(status === undefined ? input : { ...input, status }).outcome.status).toBe(expected);
});

test("an error has type and message, the status text first", () => {
  const body = mapOne({
    attributes: { ...tool, "error.type": "Timeout" },
    status: { code: 2, message: "took too long" },
    events: [
      { name: "exception", attributes: { "exception.type": "T", "exception.message": "m" } },
    ],
  });
  expect(body.outcome).toMatchObject({
    status: "failure",
    basis: "explicit",
    error: { type: "Timeout" },
  });
  const bare = mapOne({
    attributes: tool,
    events: [
      { name: "exception", attributes: { "exception.type": "T", "exception.message": "m" } },
    ],
  });
  expect(bare.outcome.error).toEqual({ type: "T", message: "m" });
  expect(bare.provenance).toMatchObject({ "outcome.error.type": "exception.type" });
});

test("content in span events of older conventions is read", () => {
  const details = mapOne({
    attributes: chat,
    events: [
      {
        name: "gen_ai.client.inference.operation.details",
        attributes: { "gen_ai.input.messages": "in", "gen_ai.output.messages": "out" },
      },
    ],
  });
  expect(details.content).toEqual({ capture: "present", input: "in", output: "out" });
  const messages = mapOne({
    attributes: chat,
    events: [
      { name: "gen_ai.user.message", attributes: { content: "hi" } },
      { name: "gen_ai.tool.message", attributes: { content: "42", id: "c" } },
      { name: "gen_ai.choice", attributes: { message: "bye" } },
    ],
  });
  expect(messages.content).toEqual({
    capture: "present",
    input: [
      { event: "gen_ai.user.message", attributes: { content: "hi" } },
      { event: "gen_ai.tool.message", attributes: { content: "42", id: "c" } },
    ],
    output: [{ event: "gen_ai.choice", attributes: { message: "bye" } }],
  });
});

test("mcp: calls, reads and questions are actions, housekeeping is not", () => {
  const method = (name: string, more = {}): Body[] =>
    map([{ attributes: { "mcp.method.name": name, ...more }, name: `${name} x` }]).map(
      (r) => r.body,
    );
  expect(method("tools/call")[0]).toMatchObject({
    action: { type: "tool_call", name: "x", operation: "tools/call" },
    tool: { name: "x", type: "mcp" },
    outcome: { status: "unknown" },
    flags: ["orphan"],
    provenance: { "tool.name": "span.name" },
  });
  expect(method("tools/call", { "error.type": "tool_error" })[0].outcome.status).toBe("failure");
  expect(method("resources/read", { "mcp.resource.uri": "file:///a" })[0]).toMatchObject({
    action: { type: "data_access", name: "file:///a" },
    data: { kind: "resource", resource: "file:///a", operation: "read" },
  });
  expect(method("elicitation/create")[0]).toMatchObject({
    action: { type: "decision" },
    decision: { outcome: "pending", by: "human", basis: "inferred" },
  });
  expect(method("prompts/get")[0].action.type).toBe("other");
  expect(method("initialize")).toEqual([]);
  expect(method("tools/list")).toEqual([]);
});

test("data access: current and older database names", () => {
  const body = mapOne({
    attributes: {
      "db.system.name": "postgresql",
      "db.namespace": "clinic",
      "db.collection.name": "patients",
      "db.operation.name": "SELECT",
      "db.query.text": "SELECT * FROM patients",
      "db.query.summary": "SELECT patients",
      "db.response.returned_rows": 3,
    },
  });
  expect(body.data).toEqual({
    kind: "database",
    system: "postgresql",
    namespace: "clinic",
    collection: "patients",
    operation: "SELECT",
    query: "SELECT * FROM patients",
    rows: 3,
  });
  expect(body.action).toEqual({ type: "data_access", name: "SELECT patients" });
  expect(body.flags).toEqual(["orphan"]);
  expect(body.outcome.status).toBe("success");
  const old = mapOne({
    attributes: { "db.system": "mysql", "db.statement": "  delete from t", "db.sql.table": "t" },
  });
  expect(old.data).toMatchObject({
    operation: "DELETE",
    query: "  delete from t",
    collection: "t",
  });
  expect(old.provenance).toMatchObject({
    "data.operation": "db.statement",
    "data.system": "db.system",
  });
  expect(old.outcome.status).toBe("unknown");
});

test("retrieved documents are named by their ids and counted, however the list came", () => {
  const documents = [{ id: "doc-1", score: 0.5, content: "text" }, { id: 2 }, { score: 1 }];
  for (const sent of [documents, JSON.stringify(documents)]) {
    const { data, outcome, ...body } = mapOne({
      attributes: { "gen_ai.operation.name": "retrieval", "gen_ai.retrieval.documents": sent },
    });
    expect(data).toEqual({ kind: "vector", documents: ["doc-1", "2"], rows: 3 });
    expect(outcome.status).toBe("success");
    expect(body.attributes).toEqual({ "gen_ai.retrieval.documents": sent });
    expect(body.provenance).toEqual({ "data.rows": "gen_ai.retrieval.documents" });
  }
  const plain = mapOne({
    attributes: { "gen_ai.operation.name": "retrieval", "gen_ai.retrieval.documents": ["a", "b"] },
  });
  expect(plain.data).toEqual({ kind: "vector", documents: ["a", "b"] });
  expect(plain.attributes).toBeUndefined();
  const torn = mapOne({
    attributes: { "gen_ai.operation.name": "retrieval", "gen_ai.retrieval.documents": '[{"id":"a' },
  });
  expect(torn.data.documents).toEqual(['[{"id":"a']);
});

test("workflows and prompts are called by their names", () => {
  const workflow = {
    "gen_ai.operation.name": "invoke_workflow",
    "gen_ai.workflow.name": "Clinic help",
  };
  expect(mapOne({ attributes: workflow, name: "x" }).action.name).toBe("Clinic help");
  const prompt = { "mcp.method.name": "prompts/get", "gen_ai.prompt.name": "triage" };
  expect(mapOne({ attributes: prompt, name: "x" }).action.name).toBe("triage");
  const plan = { "gen_ai.operation.name": "plan" };
  expect(mapOne({ attributes: plan, name: "plan clerk" }).action.name).toBe("plan clerk");
});

const query = { attributes: { "db.system.name": "redis" }, trace: 5 };
const agent = { attributes: { "gen_ai.operation.name": "invoke_agent" }, trace: 5 };

test("a data access is an orphan until an agent is seen, before or after it, now or earlier", () => {
  expect(map([query])[0]!.body.flags).toEqual(["orphan"]);
  expect(map([query, agent])[0]!.body.flags).toBeUndefined();
  expect(map([agent, query])[1]!.body.flags).toBeUndefined();
  const memory = new TraceMemory();
  map([agent], { memory });
  expect(map([query], { memory })[0]!.body.flags).toBeUndefined();
});

test("audit.data_access chooses which data accesses are recorded, never tool calls", () => {
  const count = (dataAccess: "all" | "agent" | "none", members = [query]): number =>
    map(members, { policy: policy({ dataAccess }) }).length;
  expect([count("all"), count("agent"), count("none")]).toEqual([1, 0, 0]);
  expect(count("agent", [query, agent] as never)).toBe(2);
  const call = { attributes: { "mcp.method.name": "tools/call" } };
  expect(count("none", [call] as never)).toBe(1);
});

test("identity is claimed unless the sender was authenticated", () => {
  const input = { attributes: { ...tool, "user.id": "ada", "user.roles": ["nurse"] } };
  expect(mapOne(input)).toMatchObject({
    actor: { user: { id: "ada", roles: ["nurse"] }, assurance: "claimed" },
    flags: ["client_claimed_identity"],
  });
  const proved = mapOne(input, { authenticated: true });
  expect(proved.actor.assurance).toBe("authenticated");
  expect(proved.flags).toBeUndefined();
});

test("log records: decisions and audit records only, with the emitter's own id where it has one", () => {
  const record = (members: object, more: object = {}): object => ({
    timeUnixNano: 5n,
    attributes: attributes(members as never),
    ...more,
  });
  const of = (...members: object[]): ReturnType<typeof mappedRecords> =>
    mappedRecords(prepared("logs", logs(members as never)));
  expect(of(record({ "gen_ai.operation.name": "chat" }, { eventName: "gen_ai.choice" }))).toEqual(
    [],
  );
  const [decided] = of(
    record(
      { "spanseal.decision.outcome": "denied", "event.id": "e1" },
      { body: { stringValue: "no" } },
    ),
  );
  expect(decided!.body).toMatchObject({
    decision: { outcome: "denied" },
    content: { input: "no" },
    source: { signal: "log" },
    time: { start: "5" },
  });
  const [again] = of(record({ "spanseal.decision.outcome": "allowed", "event.id": "e1" }));
  expect(again!.id).toBe(decided!.id);
  const [draft] = of(
    record({ "audit.action": "user.delete", "audit.outcome": "success", "audit.actor.id": "ada" }),
  );
  expect(draft!.body).toMatchObject({
    action: { type: "other", name: "user.delete" },
    actor: { user: { id: "ada" } },
    outcome: { status: "success", basis: "explicit" },
  });
});

function at(body: Body, path: string): unknown {
  return path.split(".").reduce<Body>((value, name) => value?.[name], body);
}
