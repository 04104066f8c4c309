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
import { copyWords, dataViewOf } from "../bytes/copy.ts";
import { sha256, sha256Hex } from "../bytes/sha256.ts";
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
  /** The messages of `hashes`. */
  readonly words: DataView;
  /** Positions of the records. */
  readonly positions: Uint32Array;
  count: number;
}

const waiting: (Waiting | undefined)[] = [];

function waitingFor(blocks: number): Waiting {
  return (waiting[blocks] ??= waitingAnew(blocks));
}

function waitingAnew(blocks: number): Waiting {
  const none = new Uint8Array(0);
  const hashes = new Sha256Lanes(none, blocks * blockBytes - paddingBytes, capacity);
  const words = dataViewOf(hashes.messages);
  return { hashes, words, positions: new Uint32Array(capacity), count: 0 };
}

/** The message of a span with zeros for its ids, padded: chain and phase alone tell them apart. */
interface SpanMessage {
  readonly words: DataView;
  readonly length: number;
  readonly traceAt: number;
}

/** One for each request. */
export class Identifier {
  readonly #view: View;
  readonly #words: DataView;
  readonly #walk: RequestWalk;
  readonly #prefixes: readonly Uint8Array[];
  /** By chain, then by phase: those of the first action. Of others there may be any number. */
  readonly #ofSpans: Map<string, SpanMessage>[];
  readonly #source: Buffer = Buffer.allocUnsafe(sourceBytesMax);

  constructor(view: View, walk: RequestWalk, chains: readonly ChainName[]) {
    const { bytes } = view;
    this.#view = view;
    this.#words = dataViewOf(bytes);
    this.#walk = walk;
    this.#prefixes = chains.map(({ namespace, tenant }) =>
      Buffer.concat([idDomain, namespace, tenant, walk.signal].map((part) => prefixed(part))),
    );
    this.#ofSpans = chains.map(() => new Map());
  }

  /** @returns the ids of all records, 16 bytes each */
  identify(records: readonly PendingRecord[]): Uint8Array {
    const ids = new Uint8Array(records.length * recordIdBytes);
    // A request that was refused may have left some behind.
    for (const some of waiting) if (some !== undefined) some.count = 0;
    for (const record of records) {
      const { item } = record;
      if (item.signal === "traces" && item.traceAt >= 0 && item.spanAt >= 0) {
        this.#addSpan(record, ids);
      } else this.#addOther(record, ids);
    }
    for (const some of waiting) if (some !== undefined) finish(some, ids);
    return ids;
  }

  #addSpan(record: PendingRecord, ids: Uint8Array): void {
    const { traceAt, spanAt } = record.item;
    const { words, length, traceAt: at } = this.#messageOf(record);
    const blocks = words.byteLength / blockBytes;
    if (blocks > blocksMax) {
      copyWords(this.#words, traceAt, words, at, 16);
      copyWords(this.#words, spanAt, words, at + 16 + LENGTH_8.length, 8);
      hashAlone(new Uint8Array(words.buffer, 0, length), record.position, ids);
      return;
    }
    const some = waitingFor(blocks);
    const to = some.count * words.byteLength;
    copyWords(words, 0, some.words, to, words.byteLength);
    copyWords(this.#words, traceAt, some.words, to + at, 16);
    copyWords(this.#words, spanAt, some.words, to + at + 16 + LENGTH_8.length, 8);
    add(some, record.position, ids);
  }

  #messageOf({ chain, action: { phase }, ordinal }: PendingRecord): SpanMessage {
    const known = ordinal === 0 ? this.#ofSpans[chain]!.get(phase) : undefined;
    if (known !== undefined) return known;
    const message = spanMessage(this.#prefixes[chain]!, suffixOf(phase, ordinal));
    if (ordinal === 0) this.#ofSpans[chain]!.set(phase, message);
    return message;
  }

  #addOther(record: PendingRecord, ids: Uint8Array): void {
    const source = this.#source.subarray(0, this.#writeSource(record.item));
    const suffix = suffixOf(record.action.phase, record.ordinal);
    const message = Buffer.concat([this.#prefixes[record.chain]!, source, suffix]);
    hashAlone(message, record.position, ids);
  }

  /** Writes the part that tells one source from another. @returns its length */
  #writeSource(item: Item): number {
    const { bytes } = this.#view;
    const source = this.#source;
    const own = item.signal === "logs" ? this.#eventId(item) : undefined;
    if (own !== undefined) return put(source, put(source, 0, "event"), own);
    const digest = sha256Hex(bytes.subarray(item.start, item.stop));
    return put(source, put(source, 0, "digest"), digest);
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

function add(some: Waiting, position: number, ids: Uint8Array): void {
  some.positions[some.count++] = position;
  if (some.count === capacity) finish(some, ids);
}

function hashAlone(message: Uint8Array, position: number, ids: Uint8Array): void {
  const digest = sha256(message);
  ids.set(digest.subarray(0, recordIdBytes), position * recordIdBytes);
}

function spanMessage(prefix: Uint8Array, suffix: Uint8Array): SpanMessage {
  const ids = Buffer.concat([SPAN_PART, Buffer.alloc(16), LENGTH_8, Buffer.alloc(8)]);
  const message = Buffer.concat([prefix, ids, suffix]);
  const { length } = message;
  const padded = new Uint8Array(Math.ceil((length + paddingBytes) / blockBytes) * blockBytes);
  padded.set(message);
  padded[length] = 0x80;
  const words = new DataView(padded.buffer);
  words.setUint32(padded.length - 4, length * 8);
  return { words, length, traceAt: prefix.length + SPAN_PART.length };
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

function suffixOf(phase: string, ordinal: number): Buffer {
  return Buffer.concat([prefixed(phase), prefixed(String(ordinal))]);
}
