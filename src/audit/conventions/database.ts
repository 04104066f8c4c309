/**
 * OpenTelemetry's database conventions, current and before 1.33. A database span says nothing of
 * agents: whether one stands behind it is known from its trace.
 */
import type { Sources } from "../plan.ts";
import { keyId } from "../walk/keys.ts";
import type { View } from "../walk/view.ts";
import { baseSources, exceptionSources } from "./base.ts";
import { type Action, type Convention, lastingAction, NONE } from "./convention.ts";

const sources: Sources = {
  ...baseSources,
  "action.name": ["db.query.summary"],
  "data.collection": [
    "db.collection.name",
    "db.sql.table",
    "db.mongodb.collection",
    "db.cassandra.table",
    "db.cosmosdb.container",
  ],
  "data.namespace": ["db.namespace", "db.name", "db.redis.database_index"],
  "data.operation": ["db.operation.name", "db.operation"],
  "data.query": ["db.query.text", "db.statement", "db.query.summary"],
  "data.rows": ["db.response.returned_rows"],
  "data.system": ["db.system.name", "db.system"],
  "outcome.status_code": ["db.response.status_code"],
};

const OPERATION = keyId("db.operation.name");
const OLD_OPERATION = keyId("db.operation");
const TEXT = keyId("db.query.text");
const OLD_TEXT = keyId("db.statement");
const SUMMARY = keyId("db.query.summary");

const PLAIN = {
  type: "data_access",
  phase: "main",
  named: "action.name",
  constants: { "data.kind": "database" },
} as const;
const PLAIN_ACTIONS: readonly Action[] = [lastingAction(PLAIN)];

/** A statement's first word is its operation where no attribute names it. */
const VERB =
  /^\s*(?<verb>select|insert|update|delete|merge|call|copy|create|alter|drop|truncate|grant|revoke)\b/i;

/** By verb and the key whose text begins with it: there are few. */
const VERB_ACTIONS = new Map<string, readonly Action[]>();

function verbActions(verb: string, key: string): readonly Action[] {
  const name = `${verb} ${key}`;
  let actions = VERB_ACTIONS.get(name);
  if (actions === undefined) {
    const constants = { ...PLAIN.constants, "data.operation": verb };
    const provenance = { "data.operation": key };
    VERB_ACTIONS.set(name, (actions = [lastingAction({ ...PLAIN, constants, provenance })]));
  }
  return actions;
}

function classify(view: View): readonly Action[] {
  if (view.has(OPERATION) || view.has(OLD_OPERATION)) return PLAIN_ACTIONS;
  for (const [key, name] of [
    [SUMMARY, "db.query.summary"],
    [TEXT, "db.query.text"],
    [OLD_TEXT, "db.statement"],
  ] as const) {
    const verb = VERB.exec(view.text(key) ?? "")?.groups?.verb;
    if (verb !== undefined) return verbActions(verb.toUpperCase(), name);
  }
  return isDatabase(view) ? PLAIN_ACTIONS : NONE;
}

const SYSTEM = keyId("db.system.name");
const OLD_SYSTEM = keyId("db.system");

function isDatabase(view: View): boolean {
  return view.has(SYSTEM) || view.has(OLD_SYSTEM) || view.has(TEXT) || view.has(OLD_TEXT);
}

export const database: Convention = {
  name: "otel.db",
  signals: ["span"],
  keys: [
    "db.system.name",
    "db.system",
    "db.operation.name",
    "db.operation",
    "db.query.text",
    "db.query.summary",
    "db.statement",
  ],
  sources,
  eventSources: { exception: exceptionSources },
  classify,
};
