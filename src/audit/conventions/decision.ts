/**
 * Decisions by an attribute set of our own, for agents whose framework has none. It may stand on a
 * span (of its own, or on the `execute_tool` span of the call that was decided), on a span event or
 * on a log record; an event or log record is named `spanseal.decision` or just carries the outcome.
 *
 * | attribute | type | values |
 * |---|---|---|
 * | `spanseal.decision.outcome` | string, required | `allowed`, `denied`, `modified`, `pending`, `expired`, `cancelled`, `not_gated`, `unknown` |
 * | `spanseal.decision.by` | string | `human`, `policy`, `hook`, `classifier`, `automatic`, `unknown` |
 * | `spanseal.decision.reason` | string | free text |
 * | `spanseal.decision.policy` | string | the rule that decided |
 * | `spanseal.decision.policies` | string[] | where several did |
 * | `spanseal.decision.scope` | string | `once`, `session`, `persistent`, `unknown` |
 * | `spanseal.decision.approver` | string | who approved or refused |
 * | `spanseal.decision.mode` | string | e.g. `enforce`, `log_only`, `auto_approve` |
 * | `spanseal.decision.would_deny` | boolean | a refusal that was not enforced |
 * | `gen_ai.tool.name`, `gen_ai.tool.call.id` | string | the call that was decided |
 * | `gen_ai.tool.call.arguments` | any | its arguments at the time |
 * | `gen_ai.agent.*`, `gen_ai.conversation.id`, `user.id`, `session.id` | string | as everywhere |
 * | `spanseal.actor.user.id`, `spanseal.actor.user.roles`, `spanseal.actor.on_behalf_of` | string, string[], string | where the general keys are taken |
 * | `spanseal.action.name` | string | what was decided; else it is the tool, also the one whose call the span is |
 * | `spanseal.action.outcome` | string | on any action: `success`, `failure`, `denied`, `cancelled`, `pending`, `partial`, `unknown` |
 * | `event.id` | string | on log records: the emitter's own id, by which repeats are known |
 *
 * A word outside its list becomes `unknown`, and `decision.raw` keeps what was said.
 */
import type { MemberPath } from "../members.ts";
import type { Sources } from "../plan.ts";
import { keyId } from "../walk/keys.ts";
import type { View } from "../walk/view.ts";
import { Words } from "../words.ts";
import { genaiSources } from "./genai.ts";
import {
  action,
  type Action,
  type ActionParts,
  type Convention,
  lastingAction,
  NONE,
  outcome,
  type Outcome,
} from "./convention.ts";

export const decisionEventName = "spanseal.decision";

export const decisionSources: Sources = {
  ...genaiSources,
  "action.name": ["spanseal.action.name"],
  "decision.approver": ["spanseal.decision.approver"],
  "decision.mode": ["spanseal.decision.mode"],
  "decision.policies": ["spanseal.decision.policies", "spanseal.decision.policy"],
  "decision.reason": ["spanseal.decision.reason"],
  "decision.would_deny": ["spanseal.decision.would_deny"],
};

export const DECISION_OUTCOMES = [
  "allowed",
  "denied",
  "modified",
  "pending",
  "expired",
  "cancelled",
  "not_gated",
  "unknown",
] as const;
const DECIDERS = ["human", "policy", "hook", "classifier", "automatic", "unknown"] as const;
const SCOPES = ["once", "session", "persistent", "unknown"] as const;

export const DECISION_OUTCOME: number = keyId("spanseal.decision.outcome");
const BY = keyId("spanseal.decision.by");
const SCOPE = keyId("spanseal.decision.scope");

/** What a decision means for the action that was decided. An allowed one has yet to happen. */
export function outcomeOfDecision(word: string | undefined): Outcome | undefined {
  switch (word) {
    case "denied":
      return DENIED;
    case "pending":
      return PENDING;
    case "expired":
    case "cancelled":
      return CANCELLED;
    default:
      return undefined;
  }
}

const DENIED = outcome("denied", "explicit", false);
const PENDING = outcome("pending", "explicit");
const CANCELLED = outcome("cancelled", "explicit", false);
const UNKNOWN = outcome("unknown");

const wordsOf = <Word extends string>(list: readonly Word[]): Words<Word> =>
  new Words(list.map((one) => [one, one] as const));
const OUTCOME_WORDS = wordsOf(DECISION_OUTCOMES);
const DECIDER_WORDS = wordsOf(DECIDERS);
const SCOPE_WORDS = wordsOf(SCOPES);

/** The word if it is in the list; what else was said goes to `raw`. */
function wordOf(view: View, key: number, words: Words<string>, raw: string[]): string | undefined {
  if (!view.has(key)) return undefined;
  const known = view.word(key, words);
  if (known !== undefined) return known;
  raw.push(view.name(key) ?? "not a string");
  return "unknown";
}

/** The decision that the attributes state: on a span, on an event or on a log record. */
export function decisionOf(view: View): Action {
  const raw: string[] = [];
  const decided = wordOf(view, DECISION_OUTCOME, OUTCOME_WORDS, raw) ?? "unknown";
  const by = wordOf(view, BY, DECIDER_WORDS, raw);
  const scope = wordOf(view, SCOPE, SCOPE_WORDS, raw);
  if (raw.length > 0) return action(parts(decided, by, scope, raw.join("; ")));
  const name = `${decided} ${by} ${scope}`;
  let known = DECISIONS.get(name);
  if (known === undefined) DECISIONS.set(name, (known = lastingAction(parts(decided, by, scope))));
  return known;
}

/** By their words, all of which are in the lists: there are few. */
const DECISIONS = new Map<string, Action>();

function parts(
  decided: string,
  by: string | undefined,
  scope: string | undefined,
  raw?: string,
): ActionParts {
  const constants: Partial<Record<MemberPath, string>> = {
    "decision.basis": "explicit",
    "decision.outcome": decided,
  };
  if (by !== undefined) constants["decision.by"] = by;
  if (scope !== undefined) constants["decision.scope"] = scope;
  if (raw !== undefined) constants["decision.raw"] = raw;
  return {
    type: "decision",
    phase: "decision",
    named: "tool.name",
    constants,
    outcome: outcomeOfDecision(decided) ?? UNKNOWN,
  };
}

export const decision: Convention = {
  name: "spanseal.decision",
  signals: ["span", "log"],
  keys: ["spanseal.decision.outcome"],
  events: [decisionEventName],
  sources: decisionSources,
  classify: (view) =>
    view.has(DECISION_OUTCOME) || view.item.eventName === decisionEventName
      ? [decisionOf(view)]
      : NONE,
};

/** Keys that `decisionOf` reads itself, so that they do not appear as left-over attributes. */
export const decisionWords: readonly number[] = [DECISION_OUTCOME, BY, SCOPE];
