/**
 * Google's Agent Development Kit follows the current conventions, but for what it says in words of
 * its own: a call that waits for a person, or was refused by one, ends like any other, and only its
 * result tells (recorded from google-adk 2.13).
 */
import { keyId } from "../walk/keys.ts";
import type { View } from "../walk/view.ts";
import { type Action, type Convention, NONE } from "./convention.ts";
import { classifyGenai, genai } from "./genai.ts";

const TOOL_NAME = keyId("gen_ai.tool.name");
const ARGUMENTS = keyId("gen_ai.tool.call.arguments");
const RESULT = keyId("gen_ai.tool.call.result");

const ASKED = "This tool call requires confirmation";
const REFUSED = "This tool call is rejected";
/** A span of its own over calls that have theirs. */
const MERGED = "(merged tools)";

const WAITING: readonly Action[] = [
  {
    type: "tool_call",
    phase: "main",
    named: "tool.name",
    outcome: { status: "pending", basis: "explicit", executed: false },
  },
  {
    type: "decision",
    phase: "decision",
    named: "tool.name",
    constants: {
      "decision.basis": "explicit",
      "decision.by": "human",
      "decision.outcome": "pending",
      "decision.raw": ASKED,
    },
    outcome: { status: "pending", basis: "explicit" },
  },
];

const DENIED: readonly Action[] = [
  {
    type: "tool_call",
    phase: "main",
    named: "tool.name",
    outcome: { status: "denied", basis: "explicit", executed: false },
  },
  {
    type: "decision",
    phase: "decision",
    named: "tool.name",
    constants: {
      "decision.basis": "explicit",
      "decision.by": "human",
      "decision.outcome": "denied",
      "decision.raw": REFUSED,
    },
    outcome: { status: "denied", basis: "explicit", executed: false },
  },
];

function classify(view: View): readonly Action[] {
  const actions = classifyGenai(view);
  if (actions[0]?.type !== "tool_call") return actions;
  const tool = view.text(TOOL_NAME);
  if (tool === MERGED) return NONE;
  if (tool === "transfer_to_agent") return [handoff(view)];
  const result = view.row(RESULT);
  if (result < 0) return actions;
  if (view.contains(result, ASKED)) return WAITING;
  return view.contains(result, REFUSED) ? DENIED : actions;
}

const AGENT_IN_ARGUMENTS = /"agent_name"\s*:\s*"(?<agent>[^"\\]+)"/;

function handoff(view: View): Action {
  const agent = AGENT_IN_ARGUMENTS.exec(view.text(ARGUMENTS) ?? "")?.groups?.agent;
  const base: Action = { type: "handoff", phase: "main", named: "tool.name" };
  if (agent === undefined) return base;
  return {
    ...base,
    constants: { "handoff.to": agent },
    provenance: { "handoff.to": "gen_ai.tool.call.arguments" },
  };
}

export const googleAdk: Convention = {
  ...genai,
  name: "google_adk",
  scopes: /^gcp\.vertex\.agent$/,
  keys: ["gen_ai.operation.name"],
  classify,
};
