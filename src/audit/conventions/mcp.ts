/**
 * OpenTelemetry's conventions for the Model Context Protocol. A span is a JSON-RPC exchange seen by
 * the client or by the server; which of its methods are actions is a table.
 */
import type { Sources } from "../plan.ts";
import { keyId } from "../walk/keys.ts";
import type { View } from "../walk/view.ts";
import { exceptionSources } from "./base.ts";
import { type Action, type Convention, NONE } from "./convention.ts";
import { genaiSources } from "./genai.ts";

const sources: Sources = {
  ...genaiSources,
  "action.name": ["gen_ai.prompt.name"],
  "action.operation": ["mcp.method.name"],
  "data.resource": ["mcp.resource.uri"],
  "tool.server": ["", "mcp.server.name", "server.address"],
  "outcome.status_code": ["rpc.response.status_code"],
};

/** Methods that are actions; the rest (initialize, lists, pings, notifications) keeps house. */
const METHODS: Readonly<Record<string, Action>> = {
  "tools/call": { type: "tool_call", phase: "main", named: "tool.name" },
  "resources/read": {
    type: "data_access",
    phase: "main",
    named: "data.resource",
    constants: { "data.kind": "resource", "data.operation": "read" },
  },
  "prompts/get": { type: "other", phase: "main" },
  "sampling/createMessage": { type: "model_call", phase: "main", named: "model.request" },
  // A server asks the user something. The answer is in no telemetry, so the question stays open.
  "elicitation/create": {
    type: "decision",
    phase: "main",
    named: "tool.name",
    constants: {
      "decision.basis": "inferred",
      "decision.by": "human",
      "decision.outcome": "pending",
    },
    inferred: true,
  },
};

const ACTIONS: ReadonlyMap<string, readonly Action[]> = new Map(
  Object.entries(METHODS).map(([method, action]) => [method, [action]]),
);

const METHOD = keyId("mcp.method.name");
const TOOL_NAME = keyId("gen_ai.tool.name");
const TOOL_TYPE = keyId("gen_ai.tool.type");

/** `{method} {tool}` says the convention; the Python SDK's client says `MCP send {method} {tool}`. */
const TOOL_IN_SPAN_NAME = /(?:^|\s)tools\/call (?<tool>\S+)$/;

function classify(view: View): readonly Action[] {
  const method = view.text(METHOD);
  if (method === undefined) return NONE;
  const actions = ACTIONS.get(method) ?? NONE;
  return method === "tools/call" ? [toolCall(view, actions[0]!)] : actions;
}

function toolCall(view: View, action: Action): Action {
  const constants: Record<string, string> = view.has(TOOL_TYPE) ? {} : { "tool.type": "mcp" };
  if (view.has(TOOL_NAME)) return { ...action, constants };
  const tool = TOOL_IN_SPAN_NAME.exec(view.spanName)?.groups?.tool;
  if (tool === undefined) return { ...action, constants };
  return {
    ...action,
    constants: { ...constants, "tool.name": tool },
    provenance: { "tool.name": "span.name" },
  };
}

export const mcp: Convention = {
  name: "otel.mcp",
  signals: ["span"],
  keys: ["mcp.method.name"],
  sources,
  eventSources: { exception: exceptionSources },
  classify,
};
