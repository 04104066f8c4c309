/** The bodies of a batch one after the other, each hashed as soon as it is written. */
import { pool } from "../bytes/pool.ts";
import { sha256Latin1 } from "../bytes/sha256.ts";
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
/** Room beside twice the request, so that the bodies of a batch seldom need more. */
const roomBytes = 4096;

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
  const prefixAt = memory.take(view.bytes, nonces);
  const bodyAt = prefixAt + BODY_DOMAIN.length;
  memory.bytes.set(BODY_DOMAIN, prefixAt);
  memory.setContext(PLACE.observed, encodeUtf8(`"${observed}"`));
  const writer = new JsonWriter(memory.bytes, bodyAt, (_, end) => memory.reserve(end));
  const composer = new Composer({ view, redacted, ids, memory, writer, ...desk }, authenticated);
  const digests = pool.acquire(digestBytes * records.length);
  const digestText = Buffer.from(digests.buffer, 0, digests.length);
  const bodies = new BodyBuffer(2 * view.bytes.length + roomBytes);
  const bodyEnds = new Uint32Array(records.length);
  for (let index = 0; index < records.length; index++) {
    const record = records[index]!;
    // Each is written in the same place, so that it is still at hand when it is hashed and copied.
    writer.at = bodyAt;
    walk.lend(record.item);
    memory.set(PLACE.nonce, view.bytes.length + index * nonceBytes, 0);
    composer.write(record);
    const digest = sha256Latin1(writer.bytes.subarray(prefixAt, writer.at));
    digestText.write(digest, index * digestBytes, "latin1");
    bodies.add(writer, bodyAt);
    bodyEnds[index] = bodies.size;
    if (bodies.size > batchBytesMax) {
      throw new RequestError(
        "too_large",
        `the request's records exceed ${batchBytesMax} bytes: send fewer spans per request`,
      );
    }
  }
  return { bodies: bodies.finish(), bodyEnds, digests };
}

/** Those of a batch, one after the other. */
class BodyBuffer {
  #bytes: Uint8Array;
  size = 0;

  constructor(bytesExpected: number) {
    this.#bytes = pool.acquire(bytesExpected);
  }

  /** Adds what was written from `start` on. */
  add(writer: JsonWriter, start: number): void {
    const end = this.size + writer.at - start;
    if (end > this.#bytes.length) this.#grow(2 * end);
    writer.copy(start, this.#bytes, this.size);
    this.size = end;
  }

  #grow(bytesExpected: number): void {
    const bytes = pool.acquire(bytesExpected);
    bytes.set(this.#bytes.subarray(0, this.size));
    pool.release(this.#bytes);
    this.#bytes = bytes;
  }

  finish(): Uint8Array {
    return pool.compact(this.#bytes, this.size);
  }
}
