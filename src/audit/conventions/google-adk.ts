/**
 * Google's Agent Development Kit follows the current conventions, but for what it says in words of
 * its own: a call that waits for a person, or was refused by one, ends like any other, and only its
 * result tells (recorded from google-adk 2.13).
 */
import { keyId } from "../walk/keys.ts";
import type { View } from "../walk/view.ts";
import {
  action,
  type Action,
  type Convention,
  lastingAction,
  NONE,
  outcome,
  type Outcome,
} from "./convention.ts";
import { outcomeOfDecision } from "./decision.ts";
import { classifyGenai, genai } from "./genai.ts";

const TOOL_NAME = keyId("gen_ai.tool.name");
const ARGUMENTS = keyId("gen_ai.tool.call.arguments");
const RESULT = keyId("gen_ai.tool.call.result");

const ASKED = "This tool call requires confirmation";
const REFUSED = "This tool call is rejected";
/** A span of its own over calls that have theirs. */
const MERGED = "(merged tools)";

const WAITING = asked("pending", ASKED, outcome("pending", "explicit", false));
const DENIED = asked("denied", REFUSED, outcome("denied", "explicit", false));

/** The call, and what a person says to it. */
function asked(decided: "pending" | "denied", raw: string, meant: Outcome): readonly Action[] {
  const constants = {
    "decision.basis": "explicit",
    "decision.by": "human",
    "decision.outcome": decided,
    "decision.raw": raw,
  };
  return [
    lastingAction({ type: "tool_call", phase: "main", named: "tool.name", outcome: meant }),
    lastingAction({
      type: "decision",
      phase: "decision",
      named: "tool.name",
      constants,
      outcome: outcomeOfDecision(decided),
    }),
  ];
}

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

const HANDOFF = lastingAction({ type: "handoff", phase: "main", named: "tool.name" });

function handoff(view: View): Action {
  const agent = AGENT_IN_ARGUMENTS.exec(view.text(ARGUMENTS) ?? "")?.groups?.agent;
  if (agent === undefined) return HANDOFF;
  return action({
    ...HANDOFF,
    constants: { "handoff.to": agent },
    provenance: { "handoff.to": "gen_ai.tool.call.arguments" },
  });
}

export const googleAdk: Convention = {
  ...genai,
  name: "google_adk",
  scopes: /^gcp\.vertex\.agent$/,
  keys: ["gen_ai.operation.name"],
  classify,
};
