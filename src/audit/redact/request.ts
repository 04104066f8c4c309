/**
 * Redaction of a whole request over its bytes: one cheap scan, a walk to the candidates, and a
 * splice of what changed. Unknown fields and all other bytes stay as they came.
 */
import { LENGTH_DELIMITED, WireReader } from "../../bytes/wire.ts";
import { REQUEST, type Message, type Signal } from "../otlp/schema.ts";
import { splice, type Enclosure } from "../otlp/splice.ts";
import { accountOf, newAccount } from "../phi/account.ts";
import { matchTables } from "../phi/match.ts";
import { folded, type PhiTable } from "../phi/tables.ts";
import { RULE, TABLE, type Candidates } from "./candidates.ts";
import { Tally, type Finding, type ItemFindings } from "./findings.ts";
import type { RedactionPolicy } from "./policy.ts";
import { tenantOf, type AttributePlace } from "./tenant.ts";
import { starOut } from "./unknown.ts";
import { findCandidates } from "./value.ts";
import { enclosureOf, visits, type Walk } from "./place.ts";
import { walkMessage } from "./walk.ts";

export type { Finding, ItemFindings, PhiAccount } from "./findings.ts";

export interface RedactedRequest {
  /** The very input where nothing changed. */
  readonly bytes: Uint8Array;
  /** By running ordinal of span, log record or metric in the request. */
  readonly items: ReadonlyMap<number, ItemFindings>;
  /** By running ordinal of ScopeSpans, ScopeLogs or ScopeMetrics in the request. */
  readonly scopes: ReadonlyMap<number, readonly Finding[]>;
  /** By ordinal of ResourceSpans, ResourceLogs or ResourceMetrics. */
  readonly resources: ReadonlyMap<number, readonly Finding[]>;
  readonly countsByClass: Readonly<Record<string, number>>;
}

interface Progress {
  readonly walk: Walk;
  readonly items: Map<number, ItemFindings>;
  readonly scopes: Map<number, readonly Finding[]>;
  readonly resources: Map<number, readonly Finding[]>;
  readonly counts: Record<string, number>;
  itemOrdinal: number;
  scopeOrdinal: number;
  resourceOrdinal: number;
}

/**
 * Applies `policy` to an Export…ServiceRequest.
 *
 * @throws WireError where the bytes on the way to a candidate are no protobuf message
 */
export function redactRequest(
  signal: Signal,
  bytes: Uint8Array,
  policy: RedactionPolicy,
): RedactedRequest {
  if (policy.off) return untouched(bytes);
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const candidates = findCandidates(buffer, policy);
  findTableNames(buffer, policy, candidates);
  if (candidates.count === 0 && !policy.everyValue) return untouched(bytes);
  const progress: Progress = {
    walk: {
      bytes: buffer,
      policy,
      candidates,
      edits: [],
      everyBits: policy.everyValue ? RULE : 0,
      tally: new Tally(),
      tenant: () => policy.tenant.default,
      tables: [],
      mentioned: [],
      account: newAccount(),
    },
    items: new Map(),
    scopes: new Map(),
    resources: new Map(),
    counts: {},
    itemOrdinal: 0,
    scopeOrdinal: 0,
    resourceOrdinal: 0,
  };
  walkRequest(progress, REQUEST[signal]);
  return {
    bytes: splice(bytes, progress.walk.edits),
    items: progress.items,
    scopes: progress.scopes,
    resources: progress.resources,
    countsByClass: progress.counts,
  };
}

/** Marks every mention of a declared tool or collection: an item without one holds no rows. */
function findTableNames(bytes: Buffer, policy: RedactionPolicy, found: Candidates): void {
  if (policy.tableNames.length === 0) return;
  const text = folded(bytes);
  for (const name of policy.tableNames) {
    for (let at = text.indexOf(name); at !== -1; at = text.indexOf(name, at + 1)) {
      found.add(at, TABLE);
    }
  }
}

function untouched(bytes: Uint8Array): RedactedRequest {
  return { bytes, items: new Map(), scopes: new Map(), resources: new Map(), countsByClass: {} };
}

function walkRequest(progress: Progress, request: Message): void {
  const { walk } = progress;
  const reader = new WireReader(walk.bytes);
  const resourceMessage = request.byNumber[1]!.message!;
  while (reader.next()) {
    if (reader.field === 1 && reader.wireType === LENGTH_DELIMITED) {
      walkResource(progress, resourceMessage, enclosureOf(reader, null));
      progress.resourceOrdinal++;
    } else if (visits(walk, reader.start, reader.stop)) {
      starOut(walk, reader.start, reader.stop, "");
      takeFindings(progress);
    }
  }
}

/** Field number of ScopeX in ResourceX, and of span, log record or metric in ScopeX. */
const contents = 2;

/** ResourceX: its own strings first, then scope by scope. Every item is counted, visited or not. */
function walkResource(progress: Progress, message: Message, resource: Enclosure): void {
  const { walk, resources, resourceOrdinal } = progress;
  if (visits(walk, resource.start, resource.stop)) {
    walk.tenant = tenantOf(walk, () => [resourcePlace(resource)]);
    walkMessage(walk, message, { enclosure: resource, path: "", depth: 0 }, contents);
    const own = takeFindings(progress);
    if (own.length > 0) resources.set(resourceOrdinal, own);
  }
  const scopeMessage = message.byNumber[contents]!.message!;
  const reader = new WireReader(walk.bytes, resource.start, resource.stop);
  while (reader.next()) {
    if (reader.field !== contents || reader.wireType !== LENGTH_DELIMITED) continue;
    walkScope(progress, scopeMessage, enclosureOf(reader, resource));
    progress.scopeOrdinal++;
  }
}

function walkScope(progress: Progress, message: Message, scope: Enclosure): void {
  const { walk, scopes, scopeOrdinal } = progress;
  const visited = visits(walk, scope.start, scope.stop);
  if (visited) {
    walk.tenant = tenantOf(walk, () => [scopePlace(scope), resourcePlace(scope.parent!)]);
    walkMessage(walk, message, { enclosure: scope, path: "", depth: 0 }, contents);
    const own = takeFindings(progress);
    if (own.length > 0) scopes.set(scopeOrdinal, own);
  }
  const itemMessage = message.byNumber[contents]!.message!;
  const reader = new WireReader(walk.bytes, scope.start, scope.stop);
  while (reader.next()) {
    if (reader.field !== contents || reader.wireType !== LENGTH_DELIMITED) continue;
    if (visited && visits(walk, reader.start, reader.stop)) {
      walkItem(progress, itemMessage, enclosureOf(reader, scope));
    }
    progress.itemOrdinal++;
  }
}

/** Resource.attributes and InstrumentationScope.attributes, from ResourceX and ScopeX. */
const resourcePlace = (bounds: Enclosure): AttributePlace => ({ bounds, fields: [1, 1] });
const scopePlace = (bounds: Enclosure): AttributePlace => ({ bounds, fields: [1, 3] });

/** A metric has none of its own: its points have. */
function itemAttributes(message: Message): readonly number[] {
  const field = message.byName.get("attributes");
  return field === undefined ? [] : [field.number];
}

function walkItem(progress: Progress, message: Message, item: Enclosure): void {
  const { walk, items, itemOrdinal } = progress;
  const scope = item.parent!;
  walk.tenant = tenantOf(walk, () => [
    { bounds: item, fields: itemAttributes(message) },
    scopePlace(scope),
    resourcePlace(scope.parent!),
  ]);
  const mentioned = mentionedTables(walk, item);
  if (mentioned.length > 0) {
    walk.mentioned = mentioned;
    walk.tables = tablesOf(walk, message, item);
    walk.account = newAccount();
  }
  walkMessage(walk, message, { enclosure: item, path: "", depth: 0 });
  const phi = mentioned.length > 0 ? accountOf(walk.account) : undefined;
  walk.tables = [];
  walk.mentioned = [];
  const findings = takeFindings(progress);
  if (phi !== undefined) items.set(itemOrdinal, { findings, phi });
  else if (findings.length > 0) items.set(itemOrdinal, { findings });
}

/** The declared tables with a name anywhere in the item. */
function mentionedTables(walk: Walk, { start, stop }: Enclosure): readonly PhiTable[] {
  const { policy, candidates, bytes } = walk;
  if (policy.tables.length === 0 || (candidates.between(start, stop) & TABLE) === 0) return [];
  const text = folded(bytes.subarray(start, stop));
  return policy.tables.filter(({ names }) => names.some((name) => text.includes(name)));
}

/** Those of them that a span or log record is about. */
function tablesOf(walk: Walk, message: Message, item: Enclosure): readonly PhiTable[] {
  if (walk.mentioned.length === 0) return [];
  const name = message.byName.get("name") ?? message.byName.get("eventName");
  const attributes = message.byName.get("attributes");
  if (name === undefined || attributes === undefined) return [];
  const fields = { name: name.number, attributes: attributes.number };
  return matchTables(walk.bytes, item, fields, walk.mentioned);
}

/** The findings since the last call, counted by class as well. */
function takeFindings(progress: Progress): readonly Finding[] {
  const { walk, counts } = progress;
  const findings = walk.tally.take();
  for (const { class: what, count } of findings) counts[what] = (counts[what] ?? 0) + count;
  return findings;
}
