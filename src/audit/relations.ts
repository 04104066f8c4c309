/**
 * Finds records of one request that are about the same action. Nothing is dropped: the lesser one
 * says `duplicate_of`, a decision and its call say `related` to each other.
 */
import { outcomeOfDecision } from "./conventions/decision.ts";
import type { ActionType } from "./members.ts";
import { attributesOf, type PendingRecord, type Relation } from "./survey.ts";
import { TextIndex } from "./text-index.ts";
import type { RequestWalk } from "./walk/request-walk.ts";
import { keyId } from "./walk/keys.ts";
import type { View } from "./walk/view.ts";

const CALL_ID = keyId("gen_ai.tool.call.id");
const OLD_CALL_ID = keyId("gen_ai.tool.call_id");
const RESPONSE_ID = keyId("gen_ai.response.id");
const REQUEST_ID = keyId("jsonrpc.request.id");
const OPERATION = keyId("gen_ai.operation.name");

const SERVER = 2;
/** Pointers between more records than this say nothing any more. */
const groupRecordsMax = 16;

export function relate(records: readonly PendingRecord[], walk: RequestWalk, view: View): void {
  relateItems(records);
  relateCalls(records, walk, view);
  relateParents(records, walk, view);
}

/** Actions that one item proves: each to the first, which is what the item itself is about. */
function relateItems(records: readonly PendingRecord[]): void {
  let first = records[0];
  let others = 0;
  for (const record of records.slice(1)) {
    if (first === undefined || record.item !== first.item) {
      first = record;
      others = 0;
      continue;
    }
    decide(first, record);
    if (++others < groupRecordsMax) relatePair(first, record, "same_item");
  }
}

const WITH_CALL: ReadonlySet<ActionType> = new Set(["tool_call", "decision", "handoff"]);

/** Calls, decisions and second views of a call that carry the same call id in one trace. */
function relateCalls(records: readonly PendingRecord[], walk: RequestWalk, view: View): void {
  const calls = records.filter(({ action }) => WITH_CALL.has(action.type));
  const known = new TextIndex(view.bytes, calls.length);
  const groups = new Map<number, PendingRecord[]>();
  for (const record of calls) {
    walk.lend(record.item);
    view.use(record.item, attributesOf(record));
    const row = callIdRow(view);
    if (row < 0) continue;
    const { valueStart, valueStop } = view.columns;
    const first = known.firstWith(valueStart[row]!, valueStop[row]!, record.position);
    if (first === record.position) continue;
    const group = groups.get(first);
    if (group === undefined) groups.set(first, [records[first]!, record]);
    else group.push(record);
  }
  for (const group of groups.values()) relateGroup(group);
}

/** The row of the call id, or -1 where there is none or a word for none. */
function callIdRow(view: View): number {
  const key = view.isText(CALL_ID) ? CALL_ID : OLD_CALL_ID;
  if (!view.isText(key)) return -1;
  const row = view.row(key);
  const start = view.columns.valueStart[row]!;
  const empty = start === view.columns.valueStop[row];
  return empty || view.bytes[start] === LESS_THAN ? -1 : row;
}

const LESS_THAN = 0x3c;

function relateGroup(group: readonly PendingRecord[]): void {
  if (group.length > groupRecordsMax) return;
  for (const [index, left] of group.entries()) {
    for (const right of group.slice(index + 1)) {
      if (left.item === right.item) continue;
      if (left.trace !== right.trace || left.chain !== right.chain) continue;
      // Two spans of a framework with one call id are a pause and its resumption, say.
      if (isMcp(left) || isMcp(right)) link(left, right, "tool_call_id");
      else relatePair(left, right, "tool_call_id");
      decide(left, right);
      decide(right, left);
    }
  }
}

/**
 * Lets a decision speak for the call it is about. A question is settled by any answer, whichever
 * came first here; after a refusal nothing else is believed.
 */
function decide(call: PendingRecord, by: PendingRecord): void {
  if (by.action.type !== "decision" || call.action.type === "decision") return;
  if (call.action.type !== "tool_call" && call.item !== by.item) return;
  const word = by.action.constants?.["decision.outcome"] as string | undefined;
  const outcome = outcomeOfDecision(word);
  if (outcome?.status === "pending") {
    if (!call.answered) call.decided ??= outcome;
    return;
  }
  if (outcome === undefined && !GOES_AHEAD.has(word)) return;
  call.answered = true;
  if (call.decided === undefined || call.decided.status === "pending") call.decided = outcome;
}

/** Answers after which it is the call itself that tells how it ended. */
const GOES_AHEAD: ReadonlySet<string | undefined> = new Set(["allowed", "modified", "not_gated"]);

const NESTED: ReadonlySet<ActionType> = new Set([
  "tool_call",
  "model_call",
  "data_access",
  "other",
  "handoff",
]);

/** A span directly below another that saw the same exchange: MCP peers, doubled model calls. */
function relateParents(records: readonly PendingRecord[], walk: RequestWalk, view: View): void {
  const bySpan = new Map<number, PendingRecord>();
  const { bytes } = view;
  for (const record of records) {
    if (record.event !== undefined || record.item.spanAt < 0) continue;
    if (!NESTED.has(record.action.type)) continue;
    bySpan.set(tail(bytes, record.item.spanAt), record);
  }
  for (const child of records) {
    const at = child.item.parentAt;
    if (at < 0 || child.event !== undefined || !NESTED.has(child.action.type)) continue;
    const parent = bySpan.get(tail(bytes, at));
    if (parent === undefined || parent === child || parent.trace !== child.trace) continue;
    if (!sameBytes(bytes, parent.item.spanAt, at, 8)) continue;
    const reason = sameExchange(parent, child, walk, view);
    if (reason === undefined) continue;
    // Of two nested model calls the inner one is nearer to what was sent.
    if (child.action.type === "model_call") duplicate(child, parent, reason);
    else link(parent, child, reason);
  }
}

/** The last four bytes of a span id: enough to look it up, not to know it. */
function tail(bytes: Uint8Array, at: number): number {
  return bytes[at + 4]! | (bytes[at + 5]! << 8) | (bytes[at + 6]! << 16) | (bytes[at + 7]! << 24);
}

function sameBytes(bytes: Uint8Array, left: number, right: number, count: number): boolean {
  for (let index = 0; index < count; index++) {
    if (bytes[left + index] !== bytes[right + index]) return false;
  }
  return true;
}

function sameExchange(
  parent: PendingRecord,
  child: PendingRecord,
  walk: RequestWalk,
  view: View,
): string | undefined {
  if (parent.action.type !== child.action.type) return undefined;
  const read = ({ item }: PendingRecord, key: number): string | undefined => {
    walk.lend(item);
    return view.use(item).text(key);
  };
  if (isMcp(child)) {
    if (!isMcp(parent)) return parent.action.type === "tool_call" ? "tool_span" : undefined;
    return read(parent, REQUEST_ID) === read(child, REQUEST_ID) ? "mcp_peer" : undefined;
  }
  if (child.action.type !== "model_call") return undefined;
  const id = read(child, RESPONSE_ID);
  if (id !== undefined) return id === read(parent, RESPONSE_ID) ? "response_id" : undefined;
  const nested =
    read(child, OPERATION) === "embeddings" && read(parent, OPERATION) === "embeddings";
  return nested ? "nested_call" : undefined;
}

function isMcp(record: PendingRecord): boolean {
  return record.convention.name === "otel.mcp";
}

/** Relates two records, and calls the lesser a duplicate where both are the same action. */
function link(left: PendingRecord, right: PendingRecord, reason: string): void {
  const { type } = left.action;
  if (type !== right.action.type || left.item === right.item || type === "decision") {
    relatePair(left, right, reason);
  } else if (rank(left) <= rank(right)) duplicate(left, right, reason);
  else duplicate(right, left, reason);
}

function relatePair(left: PendingRecord, right: PendingRecord, reason: string): void {
  add(left, "related", { to: right, reason });
  add(right, "related", { to: left, reason });
}

function duplicate(better: PendingRecord, lesser: PendingRecord, reason: string): void {
  add(lesser, "duplicateOf", { to: better, reason });
  add(better, "related", { to: lesser, reason });
}

/** The framework's own span knows most of a call, then the server that ran it. */
function rank(record: PendingRecord): number {
  if (!isMcp(record)) return 0;
  return record.item.kind === SERVER ? 1 : 2;
}

function add(record: PendingRecord, kind: "related" | "duplicateOf", relation: Relation): void {
  (record[kind] ??= []).push(relation);
}
