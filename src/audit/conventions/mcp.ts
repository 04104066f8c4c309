/**
 * OpenTelemetry's conventions for the Model Context Protocol. A span is a JSON-RPC exchange seen by
 * the client or by the server; which of its methods are actions is a table.
 */
import type { Sources } from "../plan.ts";
import { keyId } from "../walk/keys.ts";
import type { View } from "../walk/view.ts";
import { Words } from "../words.ts";
import { exceptionSources } from "./base.ts";
import {
  action,
  type Action,
  type ActionParts,
  type Convention,
  lastingAction,
  NONE,
} from "./convention.ts";
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
const METHODS: Readonly<Record<string, ActionParts>> = {
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

const METHOD = keyId("mcp.method.name");
const TOOL_NAME = keyId("gen_ai.tool.name");
const TOOL_TYPE = keyId("gen_ai.tool.type");

/** `{method} {tool}` says the convention; the Python SDK's client says `MCP send {method} {tool}`. */
const TOOL_IN_SPAN_NAME = /(?:^|\s)tools\/call (?<tool>\S+)$/;

const CALL: ActionParts = { type: "tool_call", phase: "main", named: "tool.name" };
const TYPED_CALL: readonly Action[] = [lastingAction(CALL)];
const UNTYPED_CALL: readonly Action[] = [
  lastingAction({ ...CALL, constants: { "tool.type": "mcp" } }),
];

const ACTIONS = new Words<readonly Action[]>([
  ["tools/call", UNTYPED_CALL],
  ...Object.entries(METHODS).map(([method, parts]) => [method, [lastingAction(parts)]] as const),
]);

function classify(view: View): readonly Action[] {
  const actions = view.word(METHOD, ACTIONS) ?? NONE;
  return actions === UNTYPED_CALL ? toolCall(view) : actions;
}

function toolCall(view: View): readonly Action[] {
  const calls = view.has(TOOL_TYPE) ? TYPED_CALL : UNTYPED_CALL;
  if (view.has(TOOL_NAME)) return calls;
  const tool = TOOL_IN_SPAN_NAME.exec(view.spanName)?.groups?.tool;
  if (tool === undefined) return calls;
  const constants = { ...calls[0]!.constants, "tool.name": tool };
  return [action({ ...calls[0]!, constants, provenance: { "tool.name": "span.name" } })];
}

export const mcp: Convention = {
  name: "otel.mcp",
  signals: ["span"],
  keys: ["mcp.method.name"],
  sources,
  eventSources: { exception: exceptionSources },
  classify,
};
