/**
 * From a request to everything the ledger commits, in named steps whose order is the argument:
 * redaction first, so that nothing behind it can see what was removed; then a survey of the whole
 * request, because children come before their parents; then identities, which relations need; then
 * the bodies, which need both; and last the stamps, which carry the identities.
 */
import { hash } from "node:crypto";
import { fromHex, toHex } from "../bytes/hex.ts";
import { batchBytesMax } from "../limits.ts";
import { Ancestry } from "./ancestry.ts";
import { ChainResolver } from "./chains.ts";
import { Composer, type Desk } from "./composer.ts";
import { eventFilter } from "./conventions/index.ts";
import { FormDrawer } from "./draw-form.ts";
import { fingerprintDomain } from "./fingerprint.ts";
import { Identifier } from "./identity.ts";
import { JsonWriter } from "./json-writer.ts";
import { countDataPoints } from "./metrics.ts";
import type { AuditPolicy } from "./policy.ts";
import { digestBytes, fingerprintBytes, type PreparedBatch } from "./prepared-batch.ts";
import { redactRequest, type RedactedRequest } from "./redact/request.ts";
import { relate } from "./relations.ts";
import { RequestError } from "./request-error.ts";
import type { TelemetryRequest } from "./request.ts";
import { stampSpans } from "./stamp.ts";
import { type PendingRecord, Survey } from "./survey.ts";
import type { TraceMemory } from "./trace-memory.ts";
import { AttributeReader } from "./walk/attributes.ts";
import { Columns } from "./walk/columns.ts";
import { RequestWalk } from "./walk/request-walk.ts";
import { ShapeTree } from "./walk/shapes.ts";
import { View } from "./walk/view.ts";

export const bodyDomain = "spanseal body v1\n";
const nonceBytes = 16;

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
  identify(records, walk, new Identifier(view, chains.chains, request.signal));
  relate(records, walk, view);
  if (request.signal === "traces") {
    for (const record of records) record.above = ancestry.above(record.item, { walk, view });
  }
  const bodies = encode(request, records, policy, { redacted, walk, view, desk });
  const stamped = policy.stamp && request.signal === "traces";
  const batch: PreparedBatch = {
    signal: request.signal,
    count: records.length,
    ids: fromHex(records.map(({ id }) => id).join("")),
    ...bodies,
    chains: chains.chains,
    chainOf: Uint32Array.from(records, ({ chain }) => chain),
    forward: stamped ? stampSpans(records, redacted.items, walk, view) : redacted.bytes,
    unrecorded: walk.items - new Set(records.map(({ item }) => item)).size,
    statistics: { items: walk.items, redactionsByClass: redacted.countsByClass },
  };
  chains.remember();
  return batch;
}

/** One that a large batch has made large is not kept. */
function workspaceOf(policy: AuditPolicy): Workspace {
  let workspace = workspaces.get(policy);
  const keep =
    workspace !== undefined &&
    workspace.columns.kind.length <= keptRowsMax &&
    workspace.writer.bytes.length <= keptBytesMax;
  if (workspace === undefined || !keep) {
    const columns = new Columns();
    const writer = new JsonWriter(scratchBytes);
    const shapes = workspace?.shapes ?? new ShapeTree();
    workspace = { shapes, columns, writer, drawer: new FormDrawer() };
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
    fingerprints: nothing,
    bodies: nothing,
    bodyEnds: new Uint32Array(0),
    chains: [],
    chainOf: new Uint32Array(0),
    forward: redacted.bytes,
    unrecorded: items,
    statistics: { items, redactionsByClass: redacted.countsByClass },
  };
}

function identify(records: readonly PendingRecord[], walk: RequestWalk, by: Identifier): void {
  for (const record of records) {
    walk.lend(record.item);
    record.id = by.idOf(record);
  }
}

interface Parts {
  readonly redacted: RedactedRequest;
  readonly walk: RequestWalk;
  readonly view: View;
  readonly desk: Desk;
}

type Bodies = Pick<PreparedBatch, "bodies" | "bodyEnds" | "digests" | "fingerprints">;

const FINGERPRINT_DOMAIN = Buffer.from(fingerprintDomain, "latin1");
const BODY_DOMAIN = Buffer.from(bodyDomain, "latin1");

/**
 * Each body is first written with zeros where nonce and time of observation belong, behind the
 * prefix of the fingerprint: so it is fingerprinted as it lies there. Then the two are filled in,
 * the prefix becomes the digest's, and the finished body is copied behind the others.
 */
function encode(
  request: TelemetryRequest,
  records: readonly PendingRecord[],
  policy: AuditPolicy,
  { redacted, walk, view, desk }: Parts,
): Bodies {
  const { writer } = desk;
  const observed = request.receivedUnixNano.toString();
  const authenticated = request.peer.authenticated;
  const observedChars = observed.length;
  const composer = new Composer(view, redacted, desk, { authenticated, observedChars });
  const prefix = Buffer.concat([FINGERPRINT_DOMAIN, policy.fingerprintKey]);
  const nonces = toHex(policy.randomBytes(nonceBytes * records.length));
  const digests = new Uint8Array(digestBytes * records.length);
  const fingerprints = new Uint8Array(fingerprintBytes * records.length);
  const digestView = Buffer.from(digests.buffer);
  const fingerprintView = Buffer.from(fingerprints.buffer);
  const bodyEnds = new Uint32Array(records.length);
  const bodies = new JsonWriter(records.length * bodyBytesGuess + bodyBytesGuess);
  for (const [index, record] of records.entries()) {
    writer.at = prefix.length;
    walk.lend(record.item);
    composer.write(record);
    const { at, bytes } = writer;
    bytes.set(prefix, 0);
    const print = hash("sha256", bytes.subarray(0, at), "latin1");
    fingerprintView.write(print, index * fingerprintBytes, fingerprintBytes, "latin1");
    overwrite(bytes, composer.nonceAt, nonces.slice(index * 32, index * 32 + 32));
    overwrite(bytes, composer.observedAt, observed);
    bytes.set(BODY_DOMAIN, prefix.length - BODY_DOMAIN.length);
    const message = bytes.subarray(prefix.length - BODY_DOMAIN.length, at);
    digestView.write(hash("sha256", message, "latin1"), index * digestBytes, "latin1");
    bodies.raw(bytes.subarray(prefix.length, at));
    bodyEnds[index] = bodies.at;
    if (bodies.at > batchBytesMax) {
      throw new RequestError(
        "too_large",
        `the request's records exceed ${batchBytesMax} bytes: send fewer spans per request`,
      );
    }
  }
  writer.clear();
  return { bodies: bodies.bytes.subarray(0, bodies.at), bodyEnds, digests, fingerprints };
}

/** Room for a typical body, so that the buffer of a batch seldom grows. */
const bodyBytesGuess = 1536;
const scratchBytes = 64 * 1024;
const keptBytesMax = 1024 * 1024;
const keptRowsMax = 65_536;

function overwrite(bytes: Uint8Array, at: number, text: string): void {
  for (let index = 0; index < text.length; index++) bytes[at + index] = text.charCodeAt(index);
}
