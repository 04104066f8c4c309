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
import type { ChainName } from "./prepared-batch.ts";
import type { PendingRecord } from "./survey.ts";
import { keyId } from "./walk/keys.ts";
import type { View } from "./walk/view.ts";

export const idDomain = "spanseal id v1\n";

const EVENT_IDS: readonly number[] = ["event.id", "log.record.uid", "audit.record.id"].map((name) =>
  keyId(name),
);

export class Identifier {
  readonly #view: View;
  readonly #prefixes: readonly Uint8Array[];
  readonly #message: Buffer = Buffer.alloc(4096);

  constructor(view: View, chains: readonly ChainName[], signal: string) {
    this.#view = view;
    this.#prefixes = chains.map(({ namespace, tenant }) =>
      Buffer.concat([idDomain, namespace, tenant, signal].map((part) => prefixed(part))),
    );
  }

  /** The id as hexadecimal. */
  idOf(record: PendingRecord): string {
    const message = this.#message;
    const prefix = this.#prefixes[record.chain]!;
    message.set(prefix, 0);
    const at = this.#source(record, prefix.length);
    const suffix = suffixOf(record.action.phase, record.ordinal);
    message.set(suffix, at);
    return hash("sha256", message.subarray(0, at + suffix.length), "hex").slice(0, 32);
  }

  #source(record: PendingRecord, start: number): number {
    const { item } = record;
    const { bytes } = this.#view;
    const message = this.#message;
    if (item.signal === "traces" && item.traceAt >= 0 && item.spanAt >= 0) {
      message.set(SPAN_PART, start);
      let at = start + SPAN_PART.length;
      for (let index = 0; index < 16; index++) message[at++] = bytes[item.traceAt + index]!;
      message.set(LENGTH_8, at);
      at += LENGTH_8.length;
      for (let index = 0; index < 8; index++) message[at++] = bytes[item.spanAt + index]!;
      return at;
    }
    const own = item.signal === "logs" ? this.#eventId(record) : undefined;
    if (own !== undefined) return put(message, put(message, start, "event"), own);
    const digest = hash("sha256", bytes.subarray(item.start, item.stop), "hex");
    return put(message, put(message, start, "digest"), digest);
  }

  #eventId(record: PendingRecord): string | undefined {
    const view = this.#view.use(record.item);
    for (const key of EVENT_IDS) {
      const text = view.text(key);
      if (text !== undefined && text !== "" && text.length <= 256) return text;
    }
    return undefined;
  }
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
