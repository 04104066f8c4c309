/**
 * Marks the forwarded spans that became records. What a sender put under the same keys on such a
 * span is replaced, because only we can say it; on any other span it stays as it came, and nowhere
 * is it believed. Log records and metrics are never changed.
 */
import { encodeUtf8 } from "../bytes/utf8.ts";
import { varintSize, writeVarint } from "../bytes/wire.ts";
import type { Enclosure, Edit } from "./otlp/splice.ts";
import { splice } from "./otlp/splice.ts";
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

/** The request with stamps on its spans; `bytes` itself where no span became a record. */
export function stampSpans(
  records: readonly PendingRecord[],
  findings: ReadonlyMap<number, ItemFindings>,
  walk: RequestWalk,
  view: View,
): Uint8Array {
  const edits: Edit[] = [];
  for (let index = 0; index < records.length;) {
    const { item } = records[index]!;
    const ids: string[] = [];
    for (; index < records.length && records[index]!.item === item; index++) {
      ids.push(records[index]!.id);
    }
    const within: Enclosure = {
      lengthStart: item.lengthStart,
      start: item.start,
      stop: item.stop,
      parent: item.scope.enclosure,
    };
    for (const { start, stop } of senderStamps(item, walk, view)) {
      edits.push({ start, stop, replacement: NOTHING, within });
    }
    const replacement = stampOf(ids, findings.get(item.ordinal));
    edits.push({ start: item.stop, stop: item.stop, replacement, within });
  }
  return splice(view.bytes, edits);
}

const NOTHING = new Uint8Array(0);

/** What the sender put under our keys. */
function senderStamps(
  item: Item,
  walk: RequestWalk,
  view: View,
): readonly { start: number; stop: number }[] {
  const some = walk.borrow(item, () => {
    const { positions } = view.use(item).layout;
    return STAMP_KEYS.some((key) => (positions[key] ?? -1) >= 0);
  });
  return some ? walk.attributePlaces(item, STAMP_NAMES) : [];
}

const STAMP_NAMES: ReadonlySet<string> = new Set(Object.values(STAMPS));

/** The attributes as bytes: fields 9 of a Span. */
export function stampOf(ids: readonly string[], findings: ItemFindings | undefined): Uint8Array {
  const parts = [attribute(STAMPS.recordId, list(ids))];
  const count = (findings?.findings ?? []).reduce((sum, finding) => sum + finding.count, 0);
  if (count > 0) parts.push(attribute(STAMPS.redactionCount, integer(count)));
  const phi = findings?.phi;
  if (phi !== undefined) {
    parts.push(attribute(STAMPS.phiColumnsReturned, integer(phi.columnsReturned)));
    parts.push(attribute(STAMPS.phiColumns, list(phi.columns)));
  }
  return parts.length === 1 ? parts[0]! : Buffer.concat(parts);
}

function attribute(key: string, value: Uint8Array): Uint8Array {
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
function field(number: number, payload: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(1 + varintSize(payload.length) + payload.length);
  bytes[0] = (number << 3) | 2;
  bytes.set(payload, writeVarint(bytes, 1, payload.length));
  return bytes;
}
