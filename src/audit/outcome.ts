/**
 * How an action ended. That a span has no error proves nothing: refused, paused and never executed
 * calls end the same way in most frameworks. In this order:
 *
 * 1. what the convention knows, a decision on the same call above all;
 * 2. an explicit outcome: `spanseal.action.outcome`, `gen_ai.response.status`, `gen_ai.tool.status`,
 *    `gen_ai.task.status`;
 * 3. `error.type`, an exception or status ERROR: failure (but a pause that is raised as an
 *    exception, see `PAUSES`, is unknown);
 * 4. a result: success, unless the result itself says error (see `resultSaysError`), or the only
 *    reason why a model finished is `error`;
 * 5. otherwise unknown. `pending` needs evidence of an approval, which only 1 and 2 can give.
 */
import type { Action, Outcome } from "./conventions/convention.ts";
import type { Draft } from "./draft.ts";
import { MEMBER, type ActionType, type MemberPath } from "./members.ts";
import { ARRAY, KVLIST, STRING } from "./walk/columns.ts";
import { keyId } from "./walk/keys.ts";
import type { View } from "./walk/view.ts";

const UNKNOWN: Outcome = { status: "unknown" };
const SUCCESS: Outcome = { status: "success", basis: "inferred" };
const EXECUTED: Outcome = { status: "success", basis: "inferred", executed: true };
const FAILURE: Outcome = { status: "failure", basis: "explicit" };
const SAID_FAILURE: Outcome = { status: "failure", basis: "inferred", executed: true };

const WORDS: Readonly<Record<string, Outcome["status"]>> = {
  success: "success",
  completed: "success",
  ok: "success",
  failure: "failure",
  failed: "failure",
  error: "failure",
  denied: "denied",
  cancelled: "cancelled",
  pending: "pending",
  partial: "partial",
  incomplete: "partial",
};

/** The first is ours. `queued` and `in_progress` are no approval, so they stay unknown. */
const EXPLICIT: readonly number[] = [
  "spanseal.action.outcome",
  "gen_ai.response.status",
  "gen_ai.tool.status",
  "gen_ai.task.status",
].map((name) => keyId(name));

/** Exceptions that frameworks raise to wait for someone. */
const PAUSES = /(?:^|\.)(?:GraphInterrupt|WaitingForEvent|ToolInterruptError|InterruptError)$/;

/** Members of which any one proves that an answer came. */
const EVIDENCE: Readonly<Partial<Record<ActionType, readonly number[]>>> = numbered({
  agent_run: ["content.output", "model.finish_reasons", "model.response_id"],
  model_call: [
    "model.finish_reasons",
    "model.response_id",
    "model.usage.output",
    "model.usage.input",
    "content.output",
  ],
  workflow: ["content.output"],
  retrieval: ["data.documents", "data.rows"],
  data_access: ["data.rows"],
  memory: ["data.rows"],
  guardrail: ["guardrail.verdict"],
});

function numbered(
  table: Partial<Record<ActionType, readonly MemberPath[]>>,
): Partial<Record<ActionType, readonly number[]>> {
  return Object.fromEntries(
    Object.entries(table).map(([type, paths]) => [type, paths.map((path) => MEMBER[path])]),
  );
}

const FINISH_REASONS = MEMBER["model.finish_reasons"];
const RESULT = MEMBER["content.result"];
const ERROR_TYPE = MEMBER["outcome.error.type"];

/** `decided` is the outcome that a decision on the same call, in the same request, implies. */
export function outcomeOf(
  view: View,
  action: Action,
  draft: Draft,
  decided: Outcome | undefined,
): Outcome {
  if (action.outcome !== undefined) return action.outcome;
  if (decided !== undefined) return decided;
  const explicit = explicitOutcome(view);
  if (explicit !== undefined) return explicit;
  if (draft.state[ERROR_TYPE] !== 0 || view.item.statusCode === 2) {
    return isPause(view, draft) ? UNKNOWN : FAILURE;
  }
  if (action.type === "tool_call" || action.type === "handoff") return toolOutcome(view, draft);
  if (endedByError(view, draft)) return { status: "failure", basis: "inferred" };
  const evidence = EVIDENCE[action.type];
  return evidence?.some((member) => draft.state[member] !== 0) === true ? SUCCESS : UNKNOWN;
}

/** The one finish reason of the conventions that is no answer: every choice has it. */
function endedByError(view: View, draft: Draft): boolean {
  const row = draft.state[FINISH_REASONS]! - 1;
  if (row < 0) return false;
  const { columns } = view;
  const text = view.latin1(columns.valueStart[row]!, columns.valueStop[row]!);
  return columns.kind[row] === ARRAY
    ? text !== "" && text.replaceAll(ERROR_ELEMENT, "") === ""
    : text === "error" || text === '["error"]';
}

/** An element of ArrayValue.values: an AnyValue with this string. */
const ERROR_ELEMENT = "\n\u0007\n\u0005error";

function explicitOutcome(view: View): Outcome | undefined {
  for (const key of EXPLICIT) {
    if ((view.layout.positions[key] ?? -1) < 0) continue;
    const said = view.text(key)?.toLowerCase() ?? "";
    if (Object.hasOwn(WORDS, said)) return { status: WORDS[said]!, basis: "explicit" };
  }
  return undefined;
}

function isPause(view: View, draft: Draft): boolean {
  const row = draft.state[ERROR_TYPE]! - 1;
  if (row < 0 || view.columns.kind[row] !== STRING) return false;
  return PAUSES.test(view.slice(view.columns.valueStart[row]!, view.columns.valueStop[row]!));
}

function toolOutcome(view: View, draft: Draft): Outcome {
  const row = draft.state[RESULT]! - 1;
  if (row < 0) return UNKNOWN;
  const { columns } = view;
  const start = columns.valueStart[row]!;
  const stop = columns.valueStop[row]!;
  if (columns.kind[row] === STRING && stop - start <= resultBytesMax) {
    if (!isObjectText(view.bytes, start, stop)) return EXECUTED;
    if (!view.contains(row, 'rror"') && !view.contains(row, '"fail')) return EXECUTED;
    return resultSaysError(view.slice(start, stop)) ?? EXECUTED;
  }
  if (columns.kind[row] === KVLIST && view.contains(row, "isError")) return UNKNOWN;
  return EXECUTED;
}

function isObjectText(bytes: Uint8Array, start: number, stop: number): boolean {
  let at = start;
  while (at < stop && bytes[at]! <= SPACE) at++;
  return at < stop && bytes[at] === OPEN_BRACE;
}

const SPACE = 0x20;
const OPEN_BRACE = 0x7b;
/** A longer result is data, whatever words it holds. */
const resultBytesMax = 65_536;

/**
 * Only the top level of a JSON object counts, because deeper down such words are data. MCP's
 * `isError: true` is a statement of the protocol. A non-empty `error`, or a `status` of error, is
 * how many tools report a failure that their framework took for a success; a `result` beside it, or
 * a `status` that says success, speaks against that.
 */
function resultSaysError(text: string): Outcome | undefined {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const { isError, is_error, error, status, result } = value as Record<string, unknown>;
  if (isError === true || is_error === true) return { ...FAILURE, executed: true };
  if (status === "error" || status === "failed" || status === "failure") return SAID_FAILURE;
  const named = (typeof error === "string" && error !== "") || isObject(error);
  const success = result !== undefined || status === "success" || status === "ok";
  return named && !success ? SAID_FAILURE : undefined;
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null;
}
