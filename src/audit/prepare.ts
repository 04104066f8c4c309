/**
 * From a request to everything the ledger commits, in named steps whose order is the argument:
 * redaction first, so that nothing behind it can see what was removed; then a survey of the whole
 * request, because children come before their parents; then identities, which relations need; then
 * the bodies, which need both; and last the stamps, which carry the identities.
 */
import { pool } from "../bytes/pool.ts";
import { Ancestry } from "./ancestry.ts";
import { ChainResolver } from "./chains.ts";
import { encodeBodies } from "./bodies.ts";
import type { Desk } from "./composer.ts";
import { eventFilter } from "./conventions/index.ts";
import { FormDrawer } from "./draw-form.ts";
import { Identifier } from "./identity.ts";
import { countDataPoints } from "./metrics.ts";
import type { AuditPolicy } from "./policy.ts";
import type { PreparedBatch } from "./prepared-batch.ts";
import { redactRequest, type RedactedRequest } from "./redact/request.ts";
import { relate } from "./relations.ts";
import type { TelemetryRequest } from "./request.ts";
import { stampSpans } from "./stamp.ts";
import { type PendingRecord, Survey } from "./survey.ts";
import type { TraceMemory } from "./trace-memory.ts";
import { AttributeReader } from "./walk/attributes.ts";
import { Columns } from "./walk/columns.ts";
import type { Item } from "./walk/items.ts";
import { RequestWalk } from "./walk/request-walk.ts";
import { ShapeTree } from "./walk/shapes.ts";
import { View } from "./walk/view.ts";

/** What is made once and used for batch after batch, so that a batch leaves little to collect. */
interface Workspace extends Desk {
  readonly columns: Columns;
}

const workspaces = new WeakMap<AuditPolicy, Workspace>();

/**
 * Pure but for `memory`, which afterwards knows what the request showed; a request that is refused
 * leaves it alone.
 *
 * @throws WireError where the request is no protobuf
 * @throws RequestError where it is refused: a bad name, or more than one commit can hold
 */
export function prepare(
  request: TelemetryRequest,
  policy: AuditPolicy,
  memory: TraceMemory,
): PreparedBatch {
  const redacted = redactRequest(request.signal, request.bytes, policy.redaction);
  if (request.signal === "metrics") return passThrough(request, redacted);
  const desk = workspaceOf(policy);
  const reader = new AttributeReader(redacted.bytes, desk.shapes, desk.columns);
  const walk = new RequestWalk(request.signal, reader, eventFilter);
  const view = new View(reader);
  const chains = new ChainResolver(policy, memory, new View(reader));
  const ancestry = new Ancestry(redacted.bytes);
  const records = new Survey(walk, view, chains, ancestry).run(policy);
  const ids = new Identifier(view, walk, chains.chains).identify(records);
  relate(records, walk, view);
  const reading = { walk, view };
  if (request.signal === "traces") {
    for (const record of records) record.above = ancestry.above(record.item, reading);
  }
  const bodies = encodeBodies(
    records,
    { redacted, walk, view, desk, ids },
    {
      policy,
      authenticated: request.peer.authenticated,
      observed: request.receivedUnixNano.toString(),
    },
  );
  const stamped = policy.stamp && request.signal === "traces";
  const batch: PreparedBatch = {
    signal: request.signal,
    count: records.length,
    ids,
    ...bodies,
    chains: chains.chains,
    chainOf: chainsOf(records),
    forward: stamped ? stampSpans(records, ids, redacted.items, reading) : redacted.bytes,
    unrecorded: walk.items - recordedItems(records),
    statistics: { items: walk.items, redactionsByClass: redacted.countsByClass },
  };
  chains.remember();
  const isOwn = redacted.bytes !== request.bytes;
  if (isOwn && batch.forward !== redacted.bytes) pool.release(redacted.bytes);
  return batch;
}

/** One that a large batch has made large is not kept. */
function workspaceOf(policy: AuditPolicy): Workspace {
  let workspace = workspaces.get(policy);
  if (workspace === undefined || workspace.columns.kind.length > keptRowsMax) {
    const shapes = workspace?.shapes ?? new ShapeTree();
    workspace = { shapes, columns: new Columns(), drawer: new FormDrawer() };
    workspaces.set(policy, workspace);
  }
  workspace.columns.size = 0;
  return workspace;
}

/** Metrics make no records. */
function passThrough(request: TelemetryRequest, redacted: RedactedRequest): PreparedBatch {
  const nothing = new Uint8Array(0);
  const items = countDataPoints(redacted.bytes);
  return {
    signal: request.signal,
    count: 0,
    ids: nothing,
    digests: nothing,
    bodies: nothing,
    bodyEnds: new Uint32Array(0),
    chains: [],
    chainOf: new Uint32Array(0),
    forward: redacted.bytes,
    unrecorded: items,
    statistics: { items, redactionsByClass: redacted.countsByClass },
  };
}

function chainsOf(records: readonly PendingRecord[]): Uint32Array {
  const chains = new Uint32Array(records.length);
  for (let index = 0; index < records.length; index++) chains[index] = records[index]!.chain;
  return chains;
}

/** Records of one item stand together. */
function recordedItems(records: readonly PendingRecord[]): number {
  let count = 0;
  let latest: Item | undefined;
  for (const { item } of records) {
    if (item !== latest) count++;
    latest = item;
  }
  return count;
}

const keptRowsMax = 65_536;
