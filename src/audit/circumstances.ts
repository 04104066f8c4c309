/** What is there around the attributes of a record, as bits: records that differ in them have other forms. */
import type { PendingRecord } from "./survey.ts";
import type { ContextBytes } from "./context-bytes.ts";

export const THERE = {
  name: 0x1,
  trace: 0x2,
  span: 0x4,
  parent: 0x8,
  start: 0x10,
  end: 0x20,
  links: 0x40,
  /** A status of ERROR says why. */
  statusMessage: 0x80,
  logBody: 0x100,
  log: 0x200,
  eventName: 0x400,
  scope: 0x800,
  schemaUrl: 0x1000,
  service: 0x2000,
  related: 0x4000,
  duplicateOf: 0x8000,
  findings: 0x10000,
  phi: 0x20000,
  orphan: 0x40000,
  ambiguous: 0x80000,
  /** A text that stands for nothing was passed over on the resource. */
  sentinel: 0x100000,
  inferred: 0x200000,
  /** A value changed its type, which is known only once it is written. */
  coerced: 0x400000,
  scopeCoerced: 0x800000,
  authenticated: 0x1000000,
} as const;

/** Three bits for the kind of the span. */
const kindShift = 25;
const KINDS: readonly string[] = ["", "internal", "server", "client", "producer", "consumer"];

export function kindOf(bits: number): string {
  return KINDS[(bits >> kindShift) & 7]!;
}

/** What the record's item and its relations show; the rest is added by who knows it. */
export function bitsOf(record: PendingRecord, context: ContextBytes): number {
  const { item, event } = record;
  let bits = item.kind < KINDS.length ? item.kind << kindShift : 0;
  if (item.nameStop > item.nameStart) bits |= THERE.name;
  if (item.traceAt >= 0) bits |= THERE.trace;
  if (item.spanAt >= 0) bits |= THERE.span;
  if (item.parentAt >= 0) bits |= THERE.parent;
  if (item.startAt >= 0 || item.observedAt >= 0 || event !== undefined) bits |= THERE.start;
  if (item.endAt >= 0 && event === undefined) bits |= THERE.end;
  if (item.links.length > 0) bits |= THERE.links;
  if (item.scope.coerced) bits |= THERE.scopeCoerced;
  if ((event?.name ?? item.eventName) !== "") bits |= THERE.eventName;
  if (item.signal === "logs") bits |= THERE.log;
  if (item.messageStop > item.messageStart) {
    if (item.signal === "logs") bits |= THERE.logBody;
    else if (item.statusCode === 2) bits |= THERE.statusMessage;
  }
  if (context.scope !== undefined) bits |= THERE.scope;
  if (context.schemaUrl !== undefined) bits |= THERE.schemaUrl;
  if (context.service !== undefined) bits |= THERE.service;
  if (record.related !== undefined) bits |= THERE.related;
  if (record.duplicateOf !== undefined) bits |= THERE.duplicateOf;
  if (record.orphan) bits |= THERE.orphan;
  if (record.ambiguous) bits |= THERE.ambiguous;
  if (record.action.inferred) bits |= THERE.inferred;
  return bits;
}
