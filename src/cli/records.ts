/** Records as readers print them. */
import type { JsonValue } from "../bytes/canonical-json.ts";
import { toHex } from "../bytes/hex.ts";
import { decodeUtf8 } from "../bytes/utf8.ts";
import type { ParsedLine } from "../ledger/line.ts";

/** A record's body as parsed JSON: a record of an agent's action or a control record. */
export type Body = { readonly [member: string]: JsonValue | undefined };

export interface ReadableRecord {
  readonly id: string;
  readonly index: number;
  readonly sequence: number;
  /** RFC 3339 with nanoseconds, UTC. */
  readonly time: string;
  readonly kind: string;
  readonly namespace: string;
  readonly tenant: string;
  /** Null where it is missing. */
  readonly body: Body | null;
}

export function readable({ head, body }: ParsedLine): ReadableRecord {
  return {
    id: toHex(head.id),
    index: head.index,
    sequence: head.sequence,
    time: formatTime(head.time),
    kind: head.kind,
    namespace: head.namespace,
    tenant: head.tenant,
    body: body === undefined ? null : (JSON.parse(decodeUtf8(body)) as Body),
  };
}

/** Nanoseconds since 1970 as RFC 3339 in UTC, all nine digits. */
export function formatTime(unixNano: string): string {
  const nanoseconds = BigInt(unixNano);
  const milliseconds = Number(nanoseconds / 1_000_000n);
  if (milliseconds > 8.64e15) return unixNano;
  const fraction = (nanoseconds % 1_000_000_000n).toString().padStart(9, "0");
  return `${new Date(milliseconds).toISOString().slice(0, 19)}.${fraction}Z`;
}

/** A member by its path, `actor.agent.name`; undefined where any part is missing. */
export function memberOf(body: Body | null, path: string): JsonValue | undefined {
  let value: JsonValue | undefined = body ?? undefined;
  for (const name of path.split(".")) {
    if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
    value = (value as Body)[name];
  }
  return value;
}

export const tableHeader: readonly string[] = [
  "INDEX",
  "TIME",
  "TENANT",
  "TYPE",
  "AGENT",
  "NAME",
  "OUTCOME",
  "ID",
];

export function tableRow(record: ReadableRecord): string[] {
  const { body } = record;
  const isAction = record.kind === "action";
  const text = (...paths: string[]): string => {
    const found = paths.map((path) => memberOf(body, path)).find((value) => value !== undefined);
    return typeof found === "string" ? found : "";
  };
  return [
    String(record.index),
    `${record.time.slice(0, 23)}Z`,
    record.tenant,
    isAction ? text("action.type") : record.kind,
    text("actor.agent.name", "actor.agent.id"),
    text("action.name"),
    text("decision.outcome", "outcome.status"),
    record.id,
  ];
}
