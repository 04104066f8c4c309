/**
 * The log records of OpenTelemetry's audit logging draft (specification pull request 5059). Its
 * `audit.*` names are read here and written nowhere.
 */
import type { Sources } from "../plan.ts";
import { keyId } from "../walk/keys.ts";
import type { View } from "../walk/view.ts";
import { genaiSources } from "./genai.ts";
import { type Action, type Convention, NONE, type Outcome } from "./convention.ts";

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

const OUTCOMES: Readonly<Record<string, Outcome>> = {
  success: { status: "success", basis: "explicit" },
  failure: { status: "failure", basis: "explicit" },
  error: { status: "failure", basis: "explicit" },
  denied: { status: "denied", basis: "explicit", executed: false },
};

function classify(view: View): readonly Action[] {
  if (!view.has(ACTION) || !view.has(OUTCOME)) return NONE;
  const said = view.text(OUTCOME)?.toLowerCase() ?? "";
  const outcome = Object.hasOwn(OUTCOMES, said) ? OUTCOMES[said]! : { status: "unknown" as const };
  return [{ type: "other", phase: "main", named: "action.name", outcome }];
}

export const auditDraft: Convention = {
  name: "otel.audit_draft",
  signals: ["log"],
  keys: ["audit.action"],
  sources: byUser,
  classify,
};
