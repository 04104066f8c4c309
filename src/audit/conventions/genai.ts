/**
 * OpenTelemetry's conventions for generative AI, in the current spelling and in the deprecated ones
 * (opentelemetry.io/docs/specs/semconv/gen-ai; since 1.42 in semantic-conventions-genai).
 */
import type { ActionType, MemberPath } from "../members.ts";
import type { Sources } from "../plan.ts";
import { keyId } from "../walk/keys.ts";
import type { View } from "../walk/view.ts";
import { Words } from "../words.ts";
import { baseSources, exceptionSources } from "./base.ts";
import { action, type Action, type Convention, lastingAction, NONE } from "./convention.ts";

export const genaiSources: Sources = {
  ...baseSources,
  "content.arguments": ["gen_ai.tool.call.arguments", "gen_ai.tool.input", "gen_ai.tool.args"],
  "content.input": ["gen_ai.input.messages", "gen_ai.prompt"],
  "content.output": ["gen_ai.output.messages", "gen_ai.completion"],
  "content.result": ["gen_ai.tool.call.result", "gen_ai.tool.output"],
  "content.system": ["gen_ai.system_instructions"],
  "data.collection": ["gen_ai.data_source.id", "gen_ai.memory.store.id"],
  "data.documents": ["gen_ai.retrieval.documents", "gen_ai.memory.record.id"],
  "data.query": ["gen_ai.retrieval.query.text", "gen_ai.memory.query.text"],
  "data.rows": ["gen_ai.memory.record.count"],
  "guardrail.name": [
    "gen_ai.guardrail.component.name",
    "gen_ai.guardrail.name",
    "gen_ai.guardrail.id",
  ],
  "guardrail.reason": ["gen_ai.guardrail.result.reason", "gen_ai.guardrail.verdict.reason"],
  "guardrail.target": ["gen_ai.guardrail.target.type", "gen_ai.guardrail.source"],
  "guardrail.verdict": [
    "gen_ai.guardrail.result.type",
    "gen_ai.guardrail.verdict.type",
    "gen_ai.guardrail.action.type",
    "gen_ai.guardrail.status",
    "gen_ai.guardrail.triggered",
  ],
  "handoff.from": ["gen_ai.agent.handoff.source.name", "gen_ai.handoff.from_agent"],
  "handoff.to": [
    "gen_ai.agent.handoff.target.name",
    "gen_ai.transfer.target.name",
    "gen_ai.handoff.to_agent",
  ],
  "model.finish_reasons": ["gen_ai.response.finish_reasons", "gen_ai.response.finish_reason"],
  "model.provider": ["gen_ai.provider.name", "gen_ai.system"],
  "model.request": ["gen_ai.request.model"],
  "model.response": ["gen_ai.response.model"],
  "model.response_id": ["gen_ai.response.id"],
  "model.usage.cache_read": [
    "gen_ai.usage.cache_read.input_tokens",
    "gen_ai.usage.cache_read_input_tokens",
  ],
  "model.usage.cache_write": [
    "gen_ai.usage.cache_write.input_tokens",
    "gen_ai.usage.cache_creation.input_tokens",
    "gen_ai.usage.cache_creation_input_tokens",
    "gen_ai.usage.cache_write_input_tokens",
  ],
  "model.usage.input": ["gen_ai.usage.input_tokens", "gen_ai.usage.prompt_tokens"],
  "model.usage.output": ["gen_ai.usage.output_tokens", "gen_ai.usage.completion_tokens"],
  "model.usage.reasoning": [
    "gen_ai.usage.reasoning.output_tokens",
    "gen_ai.usage.reasoning_tokens",
  ],
  "tool.call_id": ["gen_ai.tool.call.id", "gen_ai.tool.call_id"],
  "tool.name": ["gen_ai.tool.name"],
  "tool.server": ["", "mcp.server.name", "mcp_server.name"],
  "tool.type": ["gen_ai.tool.type"],
};

/** Values of `gen_ai.operation.name`: current ones, then older and invented spellings. */
const OPERATIONS: Readonly<Record<string, ActionType>> = {
  chat: "model_call",
  generate_content: "model_call",
  text_completion: "model_call",
  embeddings: "model_call",
  fetch_response: "model_call",
  invoke_agent: "agent_run",
  create_agent: "config_change",
  invoke_workflow: "workflow",
  plan: "workflow",
  execute_tool: "tool_call",
  retrieval: "retrieval",
  create_memory: "memory",
  update_memory: "memory",
  upsert_memory: "memory",
  search_memory: "memory",
  delete_memory: "memory",
  create_memory_store: "memory",
  delete_memory_store: "memory",
  apply_guardrail: "guardrail",
  run_guardrail: "guardrail",
  guardrail_check: "guardrail",
  completion: "model_call",
  llm_request: "model_call",
  "agent.run": "agent_run",
  agent_call: "agent_run",
  "tool.execute": "tool_call",
  tool_call: "tool_call",
  "workflow.run": "workflow",
  vector_db_retrieve: "retrieval",
  rerank: "retrieval",
  handoff: "handoff",
  agent_handoff: "handoff",
};

const NAMED: Readonly<Partial<Record<ActionType, MemberPath>>> = {
  agent_run: "actor.agent.name",
  config_change: "actor.agent.name",
  model_call: "model.request",
  tool_call: "tool.name",
  retrieval: "data.collection",
  memory: "data.collection",
  guardrail: "guardrail.name",
};

const DATA_KIND: Readonly<Partial<Record<ActionType, string>>> = {
  retrieval: "vector",
  memory: "memory",
};

function actionOf(type: ActionType, inferred: boolean): readonly Action[] {
  const named = NAMED[type];
  const kind = DATA_KIND[type];
  const constants = kind === undefined ? undefined : { "data.kind": kind };
  return [lastingAction({ type, phase: "main", named, constants, inferred })];
}

/** Made once: classifying a span only looks them up. */
const ACTIONS = new Words(
  Object.entries(OPERATIONS).map(
    ([operation, type]) => [operation, actionOf(type, false)] as const,
  ),
);
const INFERRED_MODEL_CALL = actionOf("model_call", true);
const INFERRED_TOOL_CALL = actionOf("tool_call", true);

const OPERATION = keyId("gen_ai.operation.name");
const REQUEST_MODEL = keyId("gen_ai.request.model");
const PROVIDER = keyId("gen_ai.provider.name");
const SYSTEM = keyId("gen_ai.system");
const TOOL_NAME = keyId("gen_ai.tool.name");
const TOOL_ARGUMENTS = keyId("gen_ai.tool.call.arguments");
const TOOL_RESULT = keyId("gen_ai.tool.call.result");
const TOOL_CALL_ID = keyId("gen_ai.tool.call.id");

/**
 * An operation that is not in the table is framework structure (a step, a chain) and no action.
 * Instrumentations older than the operation attribute are known by a model with a provider, or by a
 * tool with its call: the tool's name alone also stands on model calls.
 */
export function classifyGenai(view: View): readonly Action[] {
  if (view.isText(OPERATION)) return named(view, view.word(OPERATION, ACTIONS) ?? NONE);
  if (view.has(REQUEST_MODEL)) {
    return view.has(PROVIDER) || view.has(SYSTEM) ? INFERRED_MODEL_CALL : NONE;
  }
  const called = view.has(TOOL_ARGUMENTS) || view.has(TOOL_RESULT) || view.has(TOOL_CALL_ID);
  return view.has(TOOL_NAME) && called ? INFERRED_TOOL_CALL : NONE;
}

const WORKFLOW_NAME = keyId("gen_ai.workflow.name");

/** A workflow's own name, which no other action on the way is called by. */
function named(view: View, actions: readonly Action[]): readonly Action[] {
  const [first] = actions;
  if (first?.type !== "workflow" || !view.has(WORKFLOW_NAME)) return actions;
  const name = view.text(WORKFLOW_NAME);
  return name === undefined ? actions : [action({ ...first, constants: { "action.name": name } })];
}

const MESSAGE_EVENTS = [
  "gen_ai.system.message",
  "gen_ai.user.message",
  "gen_ai.assistant.message",
  "gen_ai.tool.message",
] as const;

/** Span events of conventions up to 1.36, each one message; they are gathered in lists. */
export const MESSAGE_LISTS: Readonly<Record<string, MemberPath>> = {
  ...Object.fromEntries(MESSAGE_EVENTS.map((name) => [name, "content.input" as const])),
  "gen_ai.choice": "content.output",
};

const CONTENT_EVENTS: Readonly<Record<string, Sources>> = {
  "gen_ai.client.inference.operation.details": genaiSources,
  "gen_ai.content.prompt": { "content.input": ["", "gen_ai.prompt"] },
  "gen_ai.content.completion": { "content.output": ["", "gen_ai.completion"] },
  exception: exceptionSources,
  "gen_ai.client.operation.exception": exceptionSources,
};

export const genai: Convention = {
  name: "otel.gen_ai",
  signals: ["span"],
  keys: ["gen_ai.operation.name", "gen_ai.request.model", "gen_ai.tool.name"],
  sources: genaiSources,
  eventSources: CONTENT_EVENTS,
  classify: classifyGenai,
};
