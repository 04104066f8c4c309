/**
 * Marks the forwarded spans that became records. What a sender put under the same keys on such a
 * span is replaced, because only we can say it; on any other span it stays as it came, and nowhere
 * is it believed. Log records and metrics are never changed.
 */
import { pool } from "../bytes/pool.ts";
import { encodeUtf8 } from "../bytes/utf8.ts";
import { toHex, writeHex } from "../bytes/hex.ts";
import { varintSize, writeVarint } from "../bytes/wire.ts";
import type { Enclosure } from "./otlp/splice.ts";
import { recordIdBytes } from "./prepared-batch.ts";
import type { ItemFindings } from "./redact/request.ts";
import type { PendingRecord } from "./survey.ts";
import { keyId } from "./walk/keys.ts";
import type { Item } from "./walk/items.ts";
import type { RequestWalk } from "./walk/request-walk.ts";
import type { View } from "./walk/view.ts";

export const STAMPS = {
  recordId: "spanseal.record.id",
  redactionCount: "spanseal.redaction.count",
  phiColumnsReturned: "spanseal.phi.columns_returned",
  phiColumns: "spanseal.phi.columns",
} as const;

const STAMP_KEYS: readonly number[] = Object.values(STAMPS).map((name) => keyId(name));

/** A span that gets a stamp, and what of the sender's it loses. */
interface Mark {
  readonly item: Item;
  /** Its first record. */
  readonly position: number;
  /** The ids of its records: where there is one, that is still to be written into it. */
  readonly ids: Buffer;
  /** What else there is to say. */
  readonly findings: Buffer;
  readonly removals: readonly { start: number; stop: number }[];
  /** Bytes that the span's content grows by. */
  readonly growth: number;
}

/** The request with stamps on its spans; `bytes` itself where no span became a record. */
export function stampSpans(
  records: readonly PendingRecord[],
  ids: Uint8Array,
  findings: ReadonlyMap<number, ItemFindings>,
  { walk, view }: { readonly walk: RequestWalk; readonly view: View },
): Uint8Array {
  if (records.length === 0) return view.bytes;
  const marks: Mark[] = [];
  for (let index = 0; index < records.length;) {
    const { item, position } = records[index]!;
    while (index < records.length && records[index]!.item === item) index++;
    const stamp = {
      ids: index === position + 1 ? ONE_ID : idsStamp(ids, position, index),
      findings: findingsStamp(findings.get(item.ordinal)),
    };
    const removals = senderStamps(item, walk, view);
    let growth = stamp.ids.length + stamp.findings.length;
    for (const { start, stop } of removals) growth -= stop - start;
    marks.push({ item, position, ...stamp, removals, growth });
  }
  return rewrite(view.bytes, marks, ids);
}

/**
 * Like `splice`, for marks in the order of the request: each enclosing length is settled by one
 * pass, and everything is copied once.
 */
function rewrite(bytes: Uint8Array, marks: readonly Mark[], ids: Uint8Array): Uint8Array {
  const ofScopes = growthOfScopes(marks);
  const ofResources = new Map<Enclosure, number>();
  for (const [scope, growth] of ofScopes) {
    add(ofResources, scope.parent!, growth + prefixGrowth(scope, growth));
  }
  let bytesMore = 0;
  for (const [field, growth] of ofResources) bytesMore += growth + prefixGrowth(field, growth);
  const copy = new Copy(bytes, bytes.length + bytesMore);
  let scope: Enclosure | undefined;
  let resource: Enclosure | undefined;
  for (const mark of marks) {
    const { item, removals, growth } = mark;
    const { enclosure } = item.scope;
    if (enclosure.parent !== resource) {
      resource = enclosure.parent!;
      copy.length(resource, ofResources.get(resource)!);
    }
    if (enclosure !== scope) copy.length((scope = enclosure), ofScopes.get(scope)!);
    copy.length(item, growth);
    for (const { start, stop } of removals) copy.leaveOut(start, stop);
    copy.insert(item.stop, mark.ids);
    if (mark.ids === ONE_ID) copy.endHex(ids, mark.position * recordIdBytes, recordIdBytes);
    copy.insert(item.stop, mark.findings);
  }
  return copy.finish();
}

/** The spans of a scope stand together. */
function growthOfScopes(marks: readonly Mark[]): Map<Enclosure, number> {
  const sums = new Map<Enclosure, number>();
  let scope = marks[0]!.item.scope;
  let sum = 0;
  for (const { item, growth } of marks) {
    if (item.scope !== scope) {
      sums.set(scope.enclosure, sum);
      scope = item.scope;
      sum = 0;
    }
    sum += growth + prefixGrowth(item, growth);
  }
  return sums.set(scope.enclosure, sum);
}

function add(sums: Map<Enclosure, number>, field: Enclosure, growth: number): void {
  sums.set(field, (sums.get(field) ?? 0) + growth);
}

/** Where a length-delimited field stands: its length varint, then its payload. */
type Delimited = Pick<Enclosure, "lengthStart" | "start" | "stop">;

/** By how much the length varint itself changes. */
function prefixGrowth(field: Delimited, growth: number): number {
  return varintSize(field.stop - field.start + growth) - (field.start - field.lengthStart);
}

/** A call costs more than a short loop. */
const loopBytesMax = 64;

class Copy {
  readonly #from: Buffer;
  readonly #to: Uint8Array;
  #read = 0;
  #written = 0;

  constructor(from: Uint8Array, size: number) {
    this.#from = Buffer.from(from.buffer, from.byteOffset, from.length);
    this.#to = pool.acquire(size);
  }

  /** Copies up to `end` of the input. */
  #upTo(end: number): void {
    this.#put(this.#from, this.#read, end);
    this.#read = end;
  }

  #put(source: Buffer, start: number, end: number): void {
    const count = end - start;
    const to = this.#to;
    const at = this.#written;
    if (count > loopBytesMax) source.copy(to, at, start, end);
    else for (let index = 0; index < count; index++) to[at + index] = source[start + index]!;
    this.#written = at + count;
  }

  length(field: Delimited, growth: number): void {
    this.#upTo(field.lengthStart);
    this.#written = writeVarint(this.#to, this.#written, field.stop - field.start + growth);
    this.#read = field.start;
  }

  leaveOut(start: number, stop: number): void {
    this.#upTo(start);
    this.#read = stop;
  }

  insert(at: number, bytes: Buffer): void {
    this.#upTo(at);
    this.#put(bytes, 0, bytes.length);
  }

  /** Replaces the end of what was inserted last by hexadecimal digits. */
  endHex(source: Uint8Array, start: number, count: number): void {
    writeHex(this.#to, this.#written - 2 * count, source, start, count);
  }

  finish(): Uint8Array {
    this.#upTo(this.#from.length);
    return this.#to;
  }
}

/** What the sender put under our keys. */
function senderStamps(
  item: Item,
  walk: RequestWalk,
  view: View,
): readonly { start: number; stop: number }[] {
  walk.lend(item);
  const { positions } = view.use(item).layout;
  for (const key of STAMP_KEYS) {
    if ((positions[key] ?? -1) >= 0) return walk.attributePlaces(item, STAMP_NAMES);
  }
  return NOTHING;
}

const NOTHING: readonly { start: number; stop: number }[] = [];
const STAMP_NAMES: ReadonlySet<string> = new Set(Object.values(STAMPS));

/** The ids of records as an attribute, which is field 9 of a Span. */
function idsStamp(ids: Uint8Array, start: number, end: number): Buffer {
  const texts: string[] = [];
  for (let at = start * recordIdBytes; at < end * recordIdBytes; at += recordIdBytes) {
    texts.push(toHex(ids.subarray(at, at + recordIdBytes)));
  }
  return attribute(STAMPS.recordId, list(texts));
}

/** What was found in a span, as attributes. */
function findingsStamp(found: ItemFindings | undefined): Buffer {
  if (found === undefined) return NO_BYTES;
  const { findings, phi } = found;
  const count = findings.reduce((sum, finding) => sum + finding.count, 0);
  const counted = count === 0 ? NO_BYTES : (COUNTS[count] ?? countStamp(count));
  if (phi === undefined) return counted;
  return Buffer.concat([
    counted,
    attribute(STAMPS.phiColumnsReturned, integer(phi.columnsReturned)),
    attribute(STAMPS.phiColumns, list(phi.columns)),
  ]);
}

function attribute(key: string, value: Uint8Array): Buffer {
  return field(9, Buffer.concat([field(1, encodeUtf8(key)), field(2, value)]));
}

/** AnyValue with an array of strings. */
function list(texts: readonly string[]): Uint8Array {
  return field(5, Buffer.concat(texts.map((text) => field(1, field(1, encodeUtf8(text))))));
}

/** AnyValue with an integer. */
function integer(value: number): Uint8Array {
  const bytes = new Uint8Array(1 + varintSize(value));
  bytes[0] = 0x18;
  writeVarint(bytes, 1, value);
  return bytes;
}

/** A length-delimited field. */
function field(number: number, payload: Uint8Array): Buffer {
  const bytes = Buffer.alloc(1 + varintSize(payload.length) + payload.length);
  bytes[0] = (number << 3) | 2;
  bytes.set(payload, writeVarint(bytes, 1, payload.length));
  return bytes;
}

const NO_BYTES = Buffer.alloc(0);

/** The stamp of one id, which stands at its end. */
const ONE_ID = attribute(STAMPS.recordId, list(["0".repeat(32)]));

const countStamp = (count: number): Buffer => attribute(STAMPS.redactionCount, integer(count));

/** Those of the counts that most spans have. */
const COUNTS = Array.from({ length: 32 }, (_, count) => countStamp(count));
