/**
 * The members of a record body (design: audit record) as data, in canonical order: an encoder that
 * goes through this list once writes RFC 8785 JSON without sorting anything.
 */

/**
 * How a value is written. `text`: a string, scalars coerced. `texts`: a list of strings. `integer`
 * and `boolean`: also from their text. `any`: as it came. `made`: not from an attribute, but
 * composed by the encoder as JSON text.
 */
export type MemberType = "text" | "texts" | "integer" | "boolean" | "any" | "made";

const TYPES = {
  "action.name": "text",
  "action.operation": "text",
  "action.type": "made",
  "actor.agent.id": "text",
  "actor.agent.name": "text",
  "actor.agent.version": "text",
  "actor.assurance": "made",
  "actor.client_address": "text",
  "actor.conversation": "text",
  "actor.on_behalf_of": "text",
  "actor.service": "made",
  "actor.session": "text",
  "actor.turn": "text",
  "actor.user.id": "text",
  "actor.user.roles": "texts",
  attributes: "made",
  "content.arguments": "any",
  "content.capture": "made",
  "content.input": "any",
  "content.output": "any",
  "content.result": "any",
  "content.system": "any",
  "content.truncated": "boolean",
  "data.collection": "text",
  "data.documents": "texts",
  "data.kind": "made",
  "data.namespace": "text",
  "data.operation": "text",
  "data.phi": "made",
  "data.query": "text",
  "data.resource": "text",
  "data.rows": "integer",
  "data.system": "text",
  "decision.approver": "text",
  "decision.basis": "made",
  "decision.by": "text",
  "decision.mode": "text",
  "decision.outcome": "text",
  "decision.policies": "texts",
  "decision.raw": "made",
  "decision.reason": "text",
  "decision.scope": "text",
  "decision.would_deny": "boolean",
  duplicate_of: "made",
  flags: "made",
  "guardrail.name": "text",
  "guardrail.reason": "text",
  "guardrail.target": "text",
  "guardrail.verdict": "text",
  "handoff.from": "text",
  "handoff.to": "text",
  "model.finish_reasons": "texts",
  "model.provider": "text",
  "model.request": "text",
  "model.response": "text",
  "model.response_id": "text",
  "model.usage.cache_read": "integer",
  "model.usage.cache_write": "integer",
  "model.usage.input": "integer",
  "model.usage.output": "integer",
  "model.usage.reasoning": "integer",
  nonce: "made",
  "outcome.basis": "made",
  "outcome.error.message": "text",
  "outcome.error.type": "text",
  "outcome.executed": "made",
  "outcome.status": "made",
  "outcome.status_code": "text",
  provenance: "made",
  redaction: "made",
  related: "made",
  repeated_attributes: "made",
  schema: "made",
  "source.convention": "made",
  "source.event_name": "made",
  "source.schema_url": "made",
  "source.scope": "made",
  "source.sequence": "integer",
  "source.signal": "made",
  "time.end": "made",
  "time.observed": "made",
  "time.start": "made",
  "tool.call_id": "text",
  "tool.name": "text",
  "tool.server": "text",
  "tool.type": "text",
  "trace.kind": "made",
  "trace.links": "made",
  "trace.name": "made",
  "trace.parent_span_id": "made",
  "trace.span_id": "made",
  "trace.trace_id": "made",
} as const;

export type MemberPath = keyof typeof TYPES;

export interface Member {
  readonly index: number;
  readonly path: MemberPath;
  readonly type: MemberType;
  /** Numbers of the objects that hold it, outermost first; -1 where there is none. */
  readonly outer: number;
  readonly inner: number;
  /**
   * What stands before its value, in UTF-8, by how many of those objects it has to open: the
   * comma, `"object":{` for each, and `"name":`.
   */
  readonly labels: readonly [Uint8Array, Uint8Array, Uint8Array];
}

const groupNumbers = new Map<string, number>();

function groupNumber(path: readonly string[]): number {
  const key = path.join(".");
  const known = groupNumbers.get(key);
  if (known !== undefined) return known;
  groupNumbers.set(key, groupNumbers.size);
  return groupNumbers.size - 1;
}

function label(names: readonly string[], opened: number): Uint8Array {
  const objects = names.slice(names.length - 1 - opened, -1).map((name) => `"${name}":{`);
  return new Uint8Array(Buffer.from(`,${objects.join("")}"${names.at(-1)!}":`, "latin1"));
}

export const MEMBERS: readonly Member[] = Object.entries<MemberType>(TYPES).map(
  ([path, type], index) => {
    const names = path.split(".");
    const depth = names.length - 1;
    return {
      index,
      path: path as MemberPath,
      type,
      outer: depth > 0 ? groupNumber(names.slice(0, 1)) : -1,
      inner: depth > 1 ? groupNumber(names.slice(0, 2)) : -1,
      labels: [label(names, 0), label(names, Math.min(1, depth)), label(names, depth)],
    };
  },
);

/** The number of a member. */
export const MEMBER: Readonly<Record<MemberPath, number>> = Object.fromEntries(
  MEMBERS.map(({ path, index }) => [path, index]),
) as Record<MemberPath, number>;

export const ACTION_TYPES = [
  "agent_run",
  "model_call",
  "tool_call",
  "decision",
  "guardrail",
  "handoff",
  "retrieval",
  "data_access",
  "memory",
  "evaluation",
  "workflow",
  "message",
  "config_change",
  "session",
  "error",
  "other",
] as const;
export type ActionType = (typeof ACTION_TYPES)[number];

const COMMON = ["action", "actor", "outcome", "source"];
const MODEL = ["model", "content.input", "content.output", "content.system"];

/**
 * Which members an action of a type can have, by path prefix. What is not here stays among the
 * attributes: the token totals of an agent run, say, would count its model calls twice.
 */
const SCOPE_OF_TYPE: Readonly<Record<ActionType, readonly string[]>> = {
  agent_run: MODEL,
  model_call: MODEL,
  tool_call: ["tool", "content.arguments", "content.result", "data"],
  decision: ["decision", "tool", "content.arguments", "content.input"],
  guardrail: ["guardrail", "decision", "content.input", "content.output"],
  handoff: ["handoff", "tool", "content.arguments", "content.result"],
  retrieval: ["data", "model.provider", "model.request"],
  data_access: ["data"],
  memory: ["data"],
  evaluation: ["model.provider", "model.response_id", "content.output"],
  workflow: ["content.input", "content.output"],
  message: ["content.input"],
  config_change: ["model", "content.system"],
  session: [],
  error: [],
  other: ["content.input", "tool.server"],
};

/** Whether an action of this type has a member of this path. */
export function belongs(type: ActionType, path: MemberPath): boolean {
  if (path.startsWith("model.usage.")) return type === "model_call";
  return [...COMMON, ...SCOPE_OF_TYPE[type]].some(
    (prefix) => path === prefix || path.startsWith(`${prefix}.`),
  );
}
