/** Telemetry for a running sidecar: small requests of every signal, and the ways to send them. */
import type { Signal } from "../../src/audit/otlp/schema.ts";
import { grpcClient, LOGS, METRICS, TRACES } from "../ingest/grpc-client.ts";
import type { GrpcClient } from "../ingest/grpc-client.ts";
import type { SidecarProcess } from "../service/sidecar-process.ts";
import { attributes, encodeOtlp } from "../support/otlp-writer.ts";
import type { Plain } from "../support/otlp-writer.ts";

export const signals = ["traces", "logs", "metrics"] as const;

export const requestName: Readonly<Record<Signal, string>> = {
  traces: "ExportTraceServiceRequest",
  logs: "ExportLogsServiceRequest",
  metrics: "ExportMetricsServiceRequest",
};

const servicePath: Readonly<Record<Signal, string>> = {
  traces: TRACES,
  logs: LOGS,
  metrics: METRICS,
};

type Members = Readonly<Record<string, unknown>>;

export interface ToolCall {
  /** Makes the span id, and with it the record's id. */
  readonly id: number;
  readonly name?: string;
  readonly members?: Members;
}

/** A span of a tool call. Its attributes come last, where stamps are appended. */
export function toolCall({ id, name = `call ${id}`, members = {} }: ToolCall): Plain {
  return {
    traceId: Buffer.alloc(16, 0xa1),
    spanId: spanId(id),
    name,
    kind: 1,
    startTimeUnixNano: 1_795_241_720_000_000_001n,
    endTimeUnixNano: 1_795_241_721_000_000_002n,
    attributes: attributes({
      "gen_ai.operation.name": "execute_tool",
      "gen_ai.tool.name": "lookup",
      ...members,
    }),
  };
}

export function spanId(id: number): Buffer {
  const bytes = Buffer.alloc(8, 0xb2);
  bytes.writeUInt32BE(id, 4);
  return bytes;
}

/** One resource with these spans. */
export function resourceSpans(spans: readonly Plain[], resource: Members = {}): Plain {
  return {
    resource: { attributes: attributes({ "service.name": "agent", ...resource }) },
    scopeSpans: [{ scope: { name: "test" }, spans }],
  };
}

export function traceRequest(spans: readonly Plain[], resource: Members = {}): Uint8Array {
  return encodeOtlp(requestName.traces, { resourceSpans: [resourceSpans(spans, resource)] });
}

/** A request with one tool call, which makes one record. */
export function oneCall(call: ToolCall): Uint8Array {
  return traceRequest([toolCall(call)]);
}

export function logRequest(texts: readonly string[]): Uint8Array {
  const logRecords = texts.map((stringValue) => ({
    timeUnixNano: 1_795_241_720_000_000_001n,
    body: { stringValue },
  }));
  return encodeOtlp(requestName.logs, {
    resourceLogs: [{ scopeLogs: [{ scope: { name: "test" }, logRecords }] }],
  });
}

export function metricRequest(names: readonly string[]): Uint8Array {
  const metrics = names.map((description) => ({
    name: "tokens",
    description,
    gauge: { dataPoints: [{ timeUnixNano: 1_795_241_720_000_000_001n, asDouble: 1.5 }] },
  }));
  return encodeOtlp(requestName.metrics, {
    resourceMetrics: [{ scopeMetrics: [{ scope: { name: "test" }, metrics }] }],
  });
}

/** One request of each signal, with `text` in it. */
export function requestsWith(text: string, id: number): Readonly<Record<Signal, Uint8Array>> {
  return {
    traces: oneCall({ id, members: { "gen_ai.tool.call.arguments": text } }),
    logs: logRequest([text]),
    metrics: metricRequest([text]),
  };
}

export function postTo(
  sidecar: SidecarProcess,
  signal: Signal,
  body: Uint8Array | string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Response> {
  const type = typeof body === "string" ? "application/json" : "application/x-protobuf";
  return fetch(`http://${sidecar.ready.endpoints.http}/v1/${signal}`, {
    method: "POST",
    headers: { "content-type": type, ...headers },
    body: typeof body === "string" ? body : Buffer.from(body),
  });
}

/** Sends spans over HTTP and says which status came back. */
export async function send(sidecar: SidecarProcess, body: Uint8Array): Promise<number> {
  const response = await postTo(sidecar, "traces", body);
  await response.arrayBuffer();
  return response.status;
}

type Exported = Awaited<ReturnType<GrpcClient["export"]>>;

/** A gRPC client of the sidecar, closed with the test. */
export function grpcOf(
  sidecar: SidecarProcess,
): (signal: Signal, bytes: Uint8Array) => Promise<Exported> {
  const client = grpcClient(portOf(sidecar.ready.endpoints.grpc));
  return (signal, bytes) => client.export(bytes, { path: servicePath[signal] });
}

export function portOf(endpoint: string): number {
  return Number(endpoint.split(":").at(-1));
}
