/** The 3.x line of the OpenTelemetry SDK for JavaScript. */
import { context, diag, DiagLogLevel, SpanStatusCode, trace } from "@opentelemetry/api";
import type { Span } from "@opentelemetry/api";
import { OTLPTraceExporter as GrpcExporter } from "@opentelemetry/exporter-trace-otlp-grpc";
import { OTLPTraceExporter as JsonExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as ProtobufExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import type { SpanExporter } from "@opentelemetry/sdk-trace";
import { resourceOf } from "../agent.ts";
import type { AgentSpan, AgentTracer, Endpoints, Protocol } from "../agent.ts";

function exporterOf(protocol: Protocol, { grpc, http }: Endpoints): SpanExporter {
  const url = `http://${http}/v1/traces`;
  switch (protocol) {
    case "grpc":
      return new GrpcExporter({ url: `http://${grpc}` });
    case "http/json":
      return new JsonExporter({ url });
    case "http/protobuf":
      return new ProtobufExporter({ url });
    default:
      return protocol satisfies never;
  }
}

export function openTracer(protocol: Protocol, tenant: string, endpoints: Endpoints): AgentTracer {
  const said: string[] = [];
  const say = (...words: unknown[]): void => void said.push(words.map(String).join(" "));
  const logger = { error: say, warn: say, info: say, debug: say, verbose: say };
  diag.setLogger(logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  const provider = new TracerProvider({
    resource: resourceFromAttributes({ ...resourceOf(tenant) }),
    spanProcessors: [new BatchSpanProcessor({ exporter: exporterOf(protocol, endpoints) })],
  });
  const tracer = provider.getTracer("clinic-agent", "1.2.3");
  const spans = new Map<string, Span>();
  return {
    start(name, attributes, parent) {
      const active = context.active();
      const around =
        parent === undefined ? active : trace.setSpan(active, spans.get(parent.spanId)!);
      const span = tracer.startSpan(name, { attributes: { ...attributes } }, around);
      const agentSpan = wrap(span);
      spans.set(agentSpan.spanId, span);
      return agentSpan;
    },
    async finish() {
      await provider.forceFlush();
      await provider.shutdown();
      diag.disable();
      return said;
    },
  };
}

function wrap(span: Span): AgentSpan {
  const { traceId, spanId } = span.spanContext();
  return {
    traceId,
    spanId,
    event: (name, attributes) => void span.addEvent(name, { ...attributes }),
    fail: (message) => void span.setStatus({ code: SpanStatusCode.ERROR, message }),
    end: () => span.end(),
  };
}
