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
import { type Action, outcome, type Outcome } from "./conventions/convention.ts";
import { MEMBER, type ActionType, type MemberPath } from "./members.ts";
import { ARRAY, KVLIST, STRING } from "./walk/columns.ts";
import { keyId } from "./walk/keys.ts";
import type { View } from "./walk/view.ts";

const UNKNOWN = outcome("unknown");
const SUCCESS = outcome("success", "inferred");
const EXECUTED = outcome("success", "inferred", true);
const FAILURE = outcome("failure", "explicit");
const ENDED_BY_ERROR = outcome("failure", "inferred");
const SAID_FAILURE = outcome("failure", "inferred", true);
const PROTOCOL_FAILURE = outcome("failure", "explicit", true);

const WORDS: ReadonlyMap<string, Outcome> = new Map([
  ["success", outcome("success", "explicit")],
  ["completed", outcome("success", "explicit")],
  ["ok", outcome("success", "explicit")],
  ["failure", FAILURE],
  ["failed", FAILURE],
  ["error", FAILURE],
  ["denied", outcome("denied", "explicit")],
  ["cancelled", outcome("cancelled", "explicit")],
  ["pending", outcome("pending", "explicit")],
  ["partial", outcome("partial", "explicit")],
  ["incomplete", outcome("partial", "explicit")],
]);

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

export const FINISH_REASONS: number = MEMBER["model.finish_reasons"];
export const RESULT: number = MEMBER["content.result"];
export const ERROR_TYPE: number = MEMBER["outcome.error.type"];

/** Whether the members that are there prove that an answer came. */
export function proves(type: ActionType, has: (member: number) => boolean): boolean {
  return EVIDENCE[type]?.some((member) => has(member)) === true;
}

/** What an outcome is judged by: rows of attributes, or -1. */
export interface Clues {
  result: number;
  errorType: number;
  finishReasons: number;
  /** Some member proves that an answer came. */
  evidence: boolean;
}

/** `decided` is the outcome that a decision on the same call, in the same request, implies. */
export function outcomeOf(
  view: View,
  action: Action,
  clues: Clues,
  decided: Outcome | undefined,
): Outcome {
  if (action.outcome !== undefined) return action.outcome;
  if (decided !== undefined) return decided;
  const explicit = explicitOutcome(view);
  if (explicit !== undefined) return explicit;
  if (clues.errorType >= 0 || view.item.statusCode === 2) {
    return isPause(view, clues.errorType) ? UNKNOWN : FAILURE;
  }
  if (action.type === "tool_call" || action.type === "handoff") {
    return toolOutcome(view, clues.result);
  }
  if (endedByError(view, clues.finishReasons)) return ENDED_BY_ERROR;
  return clues.evidence ? SUCCESS : UNKNOWN;
}

/** The one finish reason of the conventions that is no answer: every choice has it. */
function endedByError(view: View, row: number): boolean {
  if (row < 0) return false;
  const { kind, valueStart, valueStop } = view.columns;
  const start = valueStart[row]!;
  const stop = valueStop[row]!;
  if (kind[row] === ARRAY) {
    const length = stop - start;
    if (length === 0 || length % ERROR_ELEMENT.length !== 0) return false;
    return view.latin1(start, stop) === ERROR_ELEMENT.repeat(length / ERROR_ELEMENT.length);
  }
  if (stop - start > ERROR_LIST.length) return false;
  const text = view.latin1(start, stop);
  return text === "error" || text === ERROR_LIST;
}

/** An element of ArrayValue.values: an AnyValue with this string. */
const ERROR_ELEMENT = "\n\u0007\n\u0005error";
const ERROR_LIST = '["error"]';

function explicitOutcome(view: View): Outcome | undefined {
  for (const key of EXPLICIT) {
    if ((view.layout.positions[key] ?? -1) < 0) continue;
    const meant = WORDS.get(view.text(key)?.toLowerCase() ?? "");
    if (meant !== undefined) return meant;
  }
  return undefined;
}

function isPause(view: View, row: number): boolean {
  if (row < 0 || view.columns.kind[row] !== STRING) return false;
  return PAUSES.test(view.slice(view.columns.valueStart[row]!, view.columns.valueStop[row]!));
}

function toolOutcome(view: View, row: number): Outcome {
  if (row < 0) return UNKNOWN;
  const { columns } = view;
  const start = columns.valueStart[row]!;
  const stop = columns.valueStop[row]!;
  if (columns.kind[row] === STRING && stop - start <= resultBytesMax) {
    if (!isObjectText(view.bytes, start, stop)) return EXECUTED;
    if (!mayNameFailure(view.bytes, start, stop)) return EXECUTED;
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

/** Whether `rror"` or `"fail` stands in the text: nothing else says error. */
function mayNameFailure(bytes: Uint8Array, start: number, stop: number): boolean {
  for (let at = start; at < stop; at++) {
    if (bytes[at] !== QUOTE) continue;
    if (bytes[at - 1] === LETTER_R && bytes[at - 2] === LETTER_O) return true;
    if (bytes[at + 1] === LETTER_F && bytes[at + 2] === LETTER_A) return true;
  }
  return false;
}

const QUOTE = 0x22;
const LETTER_A = 0x61;
const LETTER_F = 0x66;
const LETTER_O = 0x6f;
const LETTER_R = 0x72;
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
  if (isError === true || is_error === true) return PROTOCOL_FAILURE;
  if (status === "error" || status === "failed" || status === "failure") return SAID_FAILURE;
  const named = (typeof error === "string" && error !== "") || isObject(error);
  const success = result !== undefined || status === "success" || status === "ok";
  return named && !success ? SAID_FAILURE : undefined;
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null;
}
