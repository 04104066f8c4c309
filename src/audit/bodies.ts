/** The bodies of a batch one after the other, each hashed where it lies. */
import { hash } from "node:crypto";
import { pool } from "../bytes/pool.ts";
import { encodeUtf8 } from "../bytes/utf8.ts";
import { batchBytesMax } from "../limits.ts";
import { Composer, type Desk } from "./composer.ts";
import { PLACE } from "./form.ts";
import { type FormMemory, inFormMemory } from "./form-memory.ts";
import { JsonWriter } from "./json-writer.ts";
import type { AuditPolicy } from "./policy.ts";
import { digestBytes, type PreparedBatch } from "./prepared-batch.ts";
import type { RedactedRequest } from "./redact/request.ts";
import { RequestError } from "./request-error.ts";
import type { PendingRecord } from "./survey.ts";
import type { RequestWalk } from "./walk/request-walk.ts";
import type { View } from "./walk/view.ts";

const BODY_DOMAIN = Buffer.from("spanseal body v1\n", "latin1");
const nonceBytes = 16;

interface Parts {
  readonly redacted: RedactedRequest;
  readonly walk: RequestWalk;
  readonly view: View;
  readonly desk: Desk;
  /** Those of all records, 16 bytes each. */
  readonly ids: Uint8Array;
}

interface Origin {
  readonly policy: AuditPolicy;
  readonly authenticated: boolean;
  /** Unix time in nanoseconds, in decimal. */
  readonly observed: string;
}

type Bodies = Pick<PreparedBatch, "bodies" | "bodyEnds" | "digests">;

export function encodeBodies(
  records: readonly PendingRecord[],
  parts: Parts,
  origin: Origin,
): Bodies {
  if (records.length === 0)
    return { bodies: NOTHING, bodyEnds: new Uint32Array(0), digests: NOTHING };
  return inFormMemory((memory) => encodeIn(memory, records, parts, origin));
}

const NOTHING = new Uint8Array(0);

function encodeIn(
  memory: FormMemory,
  records: readonly PendingRecord[],
  { redacted, walk, view, desk, ids }: Parts,
  { policy, authenticated, observed }: Origin,
): Bodies {
  const nonces = policy.randomBytes(nonceBytes * records.length);
  const bodiesAt = memory.take(view.bytes, nonces) + BODY_DOMAIN.length;
  memory.setContext(PLACE.observed, encodeUtf8(`"${observed}"`));
  const writer = new JsonWriter(memory.bytes, bodiesAt, (_, end) => memory.reserve(end));
  const composer = new Composer({ view, redacted, ids, memory, writer, ...desk }, authenticated);
  const digests = Buffer.from(new ArrayBuffer(digestBytes * records.length));
  const bodyEnds = new Uint32Array(records.length);
  for (let index = 0; index < records.length; index++) {
    const record = records[index]!;
    const start = writer.at;
    walk.lend(record.item);
    memory.set(PLACE.nonce, view.bytes.length + index * nonceBytes, 0);
    composer.write(record);
    const { bytes, at } = writer;
    digests.write(digestOf(bytes, start, at), index * digestBytes, "latin1");
    bodyEnds[index] = at - bodiesAt;
    if (at - bodiesAt > batchBytesMax) {
      throw new RequestError(
        "too_large",
        `the request's records exceed ${batchBytesMax} bytes: send fewer spans per request`,
      );
    }
  }
  return {
    bodies: pooled(writer.bytes.subarray(bodiesAt, writer.at)),
    bodyEnds,
    digests: new Uint8Array(digests.buffer),
  };
}

function pooled(bytes: Uint8Array): Uint8Array {
  const copy = pool.acquire(bytes.length);
  copy.set(bytes);
  return copy;
}

const before = new Uint8Array(BODY_DOMAIN.length);

/** The digest of a body where it lies, as latin1: the prefix stands in front of it for a moment. */
function digestOf(bytes: Uint8Array, start: number, stop: number): string {
  const prefixAt = start - BODY_DOMAIN.length;
  for (let index = 0; index < before.length; index++) before[index] = bytes[prefixAt + index]!;
  for (let index = 0; index < before.length; index++) bytes[prefixAt + index] = BODY_DOMAIN[index]!;
  const digest = hash("sha256", bytes.subarray(prefixAt, stop), "latin1");
  for (let index = 0; index < before.length; index++) bytes[prefixAt + index] = before[index]!;
  return digest;
}
