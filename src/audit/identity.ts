/**
 * A record's id: the first 16 bytes of SHA-256 over its source, each part preceded by its length as
 * four bytes, big-endian. The parts are a domain, namespace, tenant and signal, then one of
 *
 * - `event`, the emitter's own id of a log record (`event.id`, `log.record.uid`, `audit.record.id`);
 * - `span`, trace id and span id of a span;
 * - `digest`, SHA-256 of the redacted span or log record, where it has neither;
 *
 * and last the phase of the action and its ordinal. A retried export gives the same ids.
 */
import { hash } from "node:crypto";
import { Sha256Lanes } from "../bytes/sha256-lanes.ts";
import { type ChainName, digestBytes, recordIdBytes } from "./prepared-batch.ts";
import type { PendingRecord } from "./survey.ts";
import { keyId } from "./walk/keys.ts";
import type { Item } from "./walk/items.ts";
import type { RequestWalk } from "./walk/request-walk.ts";
import type { View } from "./walk/view.ts";

export const idDomain = "spanseal id v1\n";

const EVENT_IDS: readonly number[] = ["event.id", "log.record.uid", "audit.record.id"].map((name) =>
  keyId(name),
);

/** Messages of up to this many blocks are hashed side by side. */
const blocksMax = 5;
const blockBytes = 64;
/** A bit and the length, behind the message. */
const paddingBytes = 9;
const capacity = 32;

/** Those of one number of blocks that wait for their hash. */
interface Waiting {
  readonly hashes: Sha256Lanes;
  /** Positions of the records. */
  readonly positions: Uint32Array;
  count: number;
}

const waiting: (Waiting | undefined)[] = [];

function waitingFor(blocks: number): Waiting {
  return (waiting[blocks] ??= {
    hashes: new Sha256Lanes(new Uint8Array(0), blocks * blockBytes - paddingBytes, capacity),
    positions: new Uint32Array(capacity),
    count: 0,
  });
}

/** One for each request. */
export class Identifier {
  readonly #view: View;
  readonly #walk: RequestWalk;
  readonly #prefixes: readonly Uint8Array[];
  readonly #message: Buffer = Buffer.allocUnsafe(sourceBytesMax);

  constructor(view: View, walk: RequestWalk, chains: readonly ChainName[]) {
    this.#view = view;
    this.#walk = walk;
    this.#prefixes = chains.map(({ namespace, tenant }) =>
      Buffer.concat([idDomain, namespace, tenant, walk.signal].map((part) => prefixed(part))),
    );
  }

  /** @returns the ids of all records, 16 bytes each */
  identify(records: readonly PendingRecord[]): Uint8Array {
    const ids = new Uint8Array(records.length * recordIdBytes);
    // A request that was refused may have left some behind.
    for (const some of waiting) if (some !== undefined) some.count = 0;
    for (const record of records) this.#add(record, ids);
    for (const some of waiting) if (some !== undefined) finish(some, ids);
    return ids;
  }

  #add(record: PendingRecord, ids: Uint8Array): void {
    const prefix = this.#prefixes[record.chain]!;
    const suffix = suffixOf(record.action.phase, record.ordinal);
    const source = this.#message;
    const sourceBytes = this.#source(record);
    const length = prefix.length + sourceBytes + suffix.length;
    const blocks = Math.ceil((length + paddingBytes) / blockBytes);
    if (blocks > blocksMax) {
      const message = Buffer.concat([prefix, source.subarray(0, sourceBytes), suffix]);
      const digest = hash("sha256", message, "buffer");
      append(ids, record.position * recordIdBytes, digest, recordIdBytes);
      return;
    }
    const some = waitingFor(blocks);
    const { hashes } = some;
    let at = some.count * hashes.stride;
    at = append(hashes.messages, at, prefix, prefix.length);
    at = append(hashes.messages, at, source, sourceBytes);
    append(hashes.messages, at, suffix, suffix.length);
    hashes.end(some.count, length);
    some.positions[some.count++] = record.position;
    if (some.count === capacity) finish(some, ids);
  }

  /** Writes the part that tells one source from another. @returns its length */
  #source({ item }: PendingRecord): number {
    const { bytes } = this.#view;
    const message = this.#message;
    if (item.signal === "traces" && item.traceAt >= 0 && item.spanAt >= 0) {
      let at = append(message, 0, SPAN_PART, SPAN_PART.length);
      for (let index = 0; index < 16; index++) message[at++] = bytes[item.traceAt + index]!;
      at = append(message, at, LENGTH_8, LENGTH_8.length);
      for (let index = 0; index < 8; index++) message[at++] = bytes[item.spanAt + index]!;
      return at;
    }
    const own = item.signal === "logs" ? this.#eventId(item) : undefined;
    if (own !== undefined) return put(message, put(message, 0, "event"), own);
    const digest = hash("sha256", bytes.subarray(item.start, item.stop), "hex");
    return put(message, put(message, 0, "digest"), digest);
  }

  #eventId(item: Item): string | undefined {
    this.#walk.lend(item);
    const view = this.#view.use(item);
    for (const key of EVENT_IDS) {
      const text = view.text(key);
      if (text !== undefined && text !== "" && text.length <= eventIdCharsMax) return text;
    }
    return undefined;
  }
}

const eventIdCharsMax = 256;
/** Of the longest event id in UTF-8, and what stands before it. */
const sourceBytesMax = 1024;

function finish(some: Waiting, ids: Uint8Array): void {
  const { digests } = some.hashes;
  some.hashes.digest(some.count);
  for (let index = 0; index < some.count; index++) {
    const to = some.positions[index]! * recordIdBytes;
    for (let byte = 0; byte < recordIdBytes; byte++) {
      ids[to + byte] = digests[index * digestBytes + byte]!;
    }
  }
  some.count = 0;
}

function append(target: Uint8Array, start: number, source: Uint8Array, count: number): number {
  for (let index = 0; index < count; index++) target[start + index] = source[index]!;
  return start + count;
}

function prefixed(text: string): Buffer {
  const part = Buffer.from(text, "utf8");
  const length = Buffer.alloc(4);
  length.writeUInt32BE(part.length);
  return Buffer.concat([length, part]);
}

function put(message: Buffer, at: number, text: string): number {
  const length = message.write(text, at + 4, "utf8");
  message.writeUInt32BE(length, at);
  return at + 4 + length;
}

/** The parts `span` and the length of a trace id. */
const SPAN_PART = Buffer.from("\0\0\0\u0004span\0\0\0\u0010", "latin1");
const LENGTH_8 = Buffer.from("\0\0\0\u0008", "latin1");

const suffixes = new Map<string, Buffer>();

function suffixOf(phase: string, ordinal: number): Buffer {
  if (ordinal > 0) return Buffer.concat([prefixed(phase), prefixed(String(ordinal))]);
  let suffix = suffixes.get(phase);
  if (suffix === undefined) {
    suffix = Buffer.concat([prefixed(phase), prefixed("0")]);
    suffixes.set(phase, suffix);
  }
  return suffix;
}
