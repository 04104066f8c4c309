/** Small OTLP requests, written and read by an independent protobuf library. */
import protobuf from "protobufjs";
import type { Signal } from "../../src/audit/otlp/schema.ts";

const { root } = protobuf.parse(`
  syntax = "proto3";
  message Traces { repeated ResourceSpans resource_spans = 1; }
  message ResourceSpans { repeated ScopeSpans scope_spans = 2; }
  message ScopeSpans { repeated Span spans = 2; }
  message Span { bytes name = 5; bytes padding = 99; }
  message Metrics { repeated ResourceMetrics resource_metrics = 1; }
  message ResourceMetrics { repeated ScopeMetrics scope_metrics = 2; }
  message ScopeMetrics { repeated Metric metrics = 2; }
  message Metric { string name = 1; Gauge gauge = 5; }
  message Gauge { repeated Point data_points = 1; }
  message Point { uint64 flags = 8; }
  message Response { Partial partial_success = 1; }
  message Partial { int64 rejected = 1; string error_message = 2; }
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  message Any { string type_url = 1; bytes value = 2; }
  message RetryInfo { Duration retry_delay = 1; }
  message Duration { int64 seconds = 1; int32 nanos = 2; }
`);

/**
 * One request with a span for each name. Logs have the same shape in the numbers used here, but for
 * their body in place of the name, which is no text.
 */
export function traceRequest(names: readonly string[], paddingBytes = 0): Uint8Array {
  const padding = Buffer.alloc(paddingBytes, 0x61);
  const spans = names.map((name) => ({ name: Buffer.from(name), padding }));
  return encode("Traces", { resourceSpans: [{ scopeSpans: [{ spans }] }] });
}

export function metricsRequest(points: readonly number[]): Uint8Array {
  const metrics = points.map((count, at) => ({
    name: `metric ${at}`,
    gauge: { dataPoints: Array.from({ length: count }, () => ({ flags: 1 })) },
  }));
  return encode("Metrics", { resourceMetrics: [{ scopeMetrics: [{ metrics }] }] });
}

/** Names of the spans of a trace request, or of the metrics of a metrics request. */
export function namesIn(signal: Signal, bytes: Uint8Array): string[] {
  const names: string[] = [];
  const walk = (value: unknown): void => {
    if (Array.isArray(value)) for (const element of value) walk(element);
    else if (typeof value === "object" && value !== null) {
      if ("name" in value) names.push(String(value.name));
      else for (const member of Object.values(value)) walk(member);
    }
  };
  const type = root.lookupType(signal === "metrics" ? "Metrics" : "Traces");
  walk(type.toObject(type.decode(bytes)));
  return names;
}

export function partialSuccess(rejected: number, errorMessage: string): Uint8Array {
  return encode("Response", { partialSuccess: { rejected, errorMessage } });
}

/** A google.rpc.Status, with a RetryInfo where a delay is given. */
export function rpcStatus(message: string, retryDelayMs?: number): Uint8Array {
  const delayMs = retryDelayMs ?? 0;
  const retryDelay = { seconds: Math.trunc(delayMs / 1000), nanos: (delayMs % 1000) * 1e6 };
  const value = encode("RetryInfo", { retryDelay });
  const any = { typeUrl: "type.googleapis.com/google.rpc.RetryInfo", value };
  return encode("Status", { code: 8, message, details: retryDelayMs === undefined ? [] : [any] });
}

function encode(type: string, value: object): Uint8Array {
  const message = root.lookupType(type);
  return message.encode(message.fromObject(value)).finish();
}
