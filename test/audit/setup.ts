/** A policy, a request and readers for tests of the mapping. */
import { prepare } from "../../src/audit/prepare.ts";
import type { AuditPolicy } from "../../src/audit/policy.ts";
import { type MappedRecord, mappedRecords } from "../../src/audit/mapped-record.ts";
import type { Signal } from "../../src/audit/otlp/schema.ts";
import type { PreparedBatch } from "../../src/audit/prepared-batch.ts";
import { compileRedaction } from "../../src/audit/redact/policy.ts";
import { TraceMemory } from "../../src/audit/trace-memory.ts";
import { attributes, encodeOtlp, type Plain } from "../support/otlp-writer.ts";

const pepper = { id: "1", key: new Uint8Array(32).fill(3) };

export const noRedaction = compileRedaction({ packs: [], rules: [], phi: [], pepper });

let drawn = 0;

export function policy(change: Partial<AuditPolicy> = {}): AuditPolicy {
  return {
    namespace: { from: ["service.namespace"], default: "default" },
    tenant: { from: ["tenant.id"], default: "default" },
    dataAccess: "all",
    redaction: noRedaction,
    stamp: false,
    randomBytes: (count) => new Uint8Array(count).fill(++drawn),
    ...change,
  };
}

export const receivedUnixNano = 1_795_241_720_486_777_046n;

export function prepared(
  signal: Signal,
  bytes: Uint8Array,
  options: { policy?: AuditPolicy; memory?: TraceMemory; authenticated?: boolean } = {},
): PreparedBatch {
  const peer = { address: "", authenticated: options.authenticated ?? false };
  const request = { signal, bytes, peer, receivedUnixNano };
  return prepare(request, options.policy ?? policy(), options.memory ?? new TraceMemory());
}

export interface SpanInput {
  readonly name?: string;
  readonly kind?: number;
  readonly trace?: number;
  readonly id?: number;
  readonly parent?: number;
  readonly attributes?: Readonly<Record<string, unknown>>;
  readonly events?: readonly { name: string; attributes?: Readonly<Record<string, unknown>> }[];
  readonly status?: Plain;
  readonly more?: Plain;
}

function id(size: number, value: number): Uint8Array {
  const bytes = Buffer.alloc(size);
  bytes.writeUInt32BE(value, size - 4);
  return bytes;
}

let spans = 0;

export function span(input: SpanInput): Plain {
  return {
    traceId: id(16, input.trace ?? 1),
    spanId: id(8, input.id ?? 1000 + spans++),
    ...(input.parent === undefined ? {} : { parentSpanId: id(8, input.parent) }),
    name: input.name ?? "span",
    kind: input.kind ?? 1,
    startTimeUnixNano: 1_795_241_720_000_000_001n,
    endTimeUnixNano: 1_795_241_721_000_000_002n,
    attributes: attributes(input.attributes ?? {}),
    events: (input.events ?? []).map((event) => ({
      timeUnixNano: 1_795_241_720_500_000_003n,
      name: event.name,
      attributes: attributes(event.attributes ?? {}),
    })),
    ...(input.status === undefined ? {} : { status: input.status }),
    ...input.more,
  };
}

export interface Around {
  readonly resource?: Readonly<Record<string, unknown>>;
  readonly scope?: Plain;
}

export function traces(members: readonly Plain[], around: Around = {}): Uint8Array {
  return encodeOtlp("ExportTraceServiceRequest", {
    resourceSpans: [
      {
        resource: { attributes: attributes(around.resource ?? {}) },
        scopeSpans: [{ scope: around.scope ?? { name: "test" }, spans: members }],
      },
    ],
  });
}

export function logs(members: readonly Plain[], around: Around = {}): Uint8Array {
  return encodeOtlp("ExportLogsServiceRequest", {
    resourceLogs: [
      {
        resource: { attributes: attributes(around.resource ?? {}) },
        scopeLogs: [{ scope: around.scope ?? { name: "test" }, logRecords: members }],
      },
    ],
  });
}

// oxlint-disable-next-line typescript/no-explicit-any -- tests look into bodies by member name
export type Body = any;

export interface Mapped extends Omit<MappedRecord, "body"> {
  readonly body: Body;
}

/** The records of one request with these spans. */
export function map(
  members: readonly SpanInput[],
  options: Around & Parameters<typeof prepared>[2] = {},
): Mapped[] {
  return mappedRecords(prepared("traces", traces(members.map(span), options), options));
}

/** The body of the one record that a span makes. */
export function mapOne(input: SpanInput, options: Parameters<typeof map>[1] = {}): Body {
  const records = map([input], options);
  if (records.length !== 1) throw new Error(`expected 1 record, received ${records.length}`);
  return records[0]!.body;
}
