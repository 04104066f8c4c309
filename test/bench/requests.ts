/** What the stages are measured on: requests of 512 spans, and prepared batches of them. */
import { compileRedaction } from "../../src/audit/redact/policy.ts";
import type { AuditPolicy } from "../../src/audit/policy.ts";
import { prepare } from "../../src/audit/prepare.ts";
import type { PreparedBatch } from "../../src/audit/prepared-batch.ts";
import { TraceMemory } from "../../src/audit/trace-memory.ts";
import { pooledRandomBytes } from "../../src/service/random.ts";
import { agentTelemetry } from "../support/agent-load.ts";
import { encodeOtlp } from "../support/otlp-writer.ts";
import { sizes } from "./sizes.ts";
import type { Size } from "./sizes.ts";

export const spansPerRequest = 512;
export const distinctRequests = 8;

export interface Requests {
  readonly bodies: readonly Uint8Array[];
  readonly bytesPerSpan: number;
}

export function telemetryOf(
  size: Size,
  personalDataShare: number,
): ReturnType<typeof agentTelemetry>[] {
  return Array.from({ length: distinctRequests }, (_, seed) =>
    agentTelemetry({ ...sizes[size], seed, spans: spansPerRequest, personalDataShare }),
  );
}

export function requestsOf(size: Size, personalDataShare: number): Requests {
  const name = "ExportTraceServiceRequest";
  return asRequests(telemetryOf(size, personalDataShare).map((one) => encodeOtlp(name, one)));
}

export function asRequests(bodies: readonly Uint8Array[]): Requests {
  const bytes = bodies.reduce((sum, { length }) => sum + length, 0);
  return { bodies, bytesPerSpan: bytes / (bodies.length * spansPerRequest) };
}

const pepper = { id: "bench", key: Buffer.alloc(32, 7) };

export const redaction: AuditPolicy["redaction"] = compileRedaction({
  packs: ["core", "secrets", "us"],
  rules: [],
  phi: [],
  pepper,
});

export const noRedaction: AuditPolicy["redaction"] = compileRedaction({
  packs: [],
  rules: [],
  phi: [],
  pepper,
});

/** `prepare` as the sidecar calls it, request after request. */
export function prepareWith(rules: AuditPolicy["redaction"]): (body: Uint8Array) => PreparedBatch {
  const memory = new TraceMemory();
  const policy: AuditPolicy = {
    namespace: { from: ["service.namespace"], default: "default" },
    tenant: { from: ["tenant.id"], default: "default" },
    dataAccess: "all",
    redaction: rules,
    stamp: true,
    randomBytes: pooledRandomBytes(),
  };
  return (bytes) => {
    const peer = { address: "127.0.0.1", authenticated: false };
    const receivedUnixNano = 1_790_000_000_000_000_000n;
    return prepare({ signal: "traces", bytes, peer, receivedUnixNano }, policy, memory);
  };
}
