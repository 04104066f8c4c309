/**
 * The log records of OpenTelemetry's audit logging draft (specification pull request 5059). Its
 * `audit.*` names are read here and written nowhere.
 */
import type { Sources } from "../plan.ts";
import { keyId } from "../walk/keys.ts";
import type { View } from "../walk/view.ts";
import { genaiSources } from "./genai.ts";
import { type Action, type Convention, lastingAction, NONE, outcome } from "./convention.ts";

const sources: Sources = {
  ...genaiSources,
  "action.name": ["audit.action"],
};
const byUser: Sources = {
  ...sources,
  "actor.user.id": ["audit.actor.id", ...sources["actor.user.id"]!],
};

const ACTION = keyId("audit.action");
const OUTCOME = keyId("audit.outcome");

const OUTCOMES = {
  success: outcome("success", "explicit"),
  failure: outcome("failure", "explicit"),
  error: outcome("failure", "explicit"),
  denied: outcome("denied", "explicit", false),
};

/** By what was said. */
const ACTIONS: ReadonlyMap<string, readonly Action[]> = new Map(
  Object.entries(OUTCOMES).map(([said, meant]) => [said, [actionWith(meant)]]),
);
const OTHER = [actionWith(outcome("unknown"))];

function actionWith(meant: Action["outcome"]): Action {
  return lastingAction({ type: "other", phase: "main", named: "action.name", outcome: meant });
}

function classify(view: View): readonly Action[] {
  if (!view.has(ACTION) || !view.has(OUTCOME)) return NONE;
  return ACTIONS.get(view.text(OUTCOME)?.toLowerCase() ?? "") ?? OTHER;
}

export const auditDraft: Convention = {
  name: "otel.audit_draft",
  signals: ["log"],
  keys: ["audit.action"],
  sources: byUser,
  classify,
};
