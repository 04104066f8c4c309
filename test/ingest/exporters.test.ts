/** The exporters of the OpenTelemetry JavaScript SDK, as agents use them. */
import { diag, type DiagLogger, DiagLogLevel, SpanKind, SpanStatusCode } from "@opentelemetry/api";
import { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-http";
import { OTLPTraceExporter as GrpcExporter } from "@opentelemetry/exporter-trace-otlp-grpc";
import { OTLPTraceExporter as JsonExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { OTLPTraceExporter as ProtobufExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import {
  BasicTracerProvider,
  BatchSpanProcessor,
  type SpanExporter,
} from "@opentelemetry/sdk-trace-base";
import { describe, expect, onTestFinished, test } from "vitest";
import { Refusal } from "../../src/ingest/refusal.ts";
import { decodeOtlp, TOP } from "../ingest-json/otlp-proto.ts";
import { type Rig, startRig } from "./receiver.ts";

const resource = resourceFromAttributes({ "service.name": "agent" });

/** What the SDK complains about while a test runs. */
function complaints(): string[] {
  const said: string[] = [];
  const say = (message: string, ...rest: unknown[]): void =>
    void said.push([message, ...rest].map(String).join(" "));
  const logger: DiagLogger = { error: say, warn: say, info: say, debug: say, verbose: say };
  diag.setLogger(logger, { logLevel: DiagLogLevel.WARN, suppressOverrideMessage: true });
  onTestFinished(() => diag.disable());
  return said;
}

/** Two spans by a real tracer, exported at once. */
async function trace(exporter: SpanExporter): Promise<void> {
  const processor = new BatchSpanProcessor(exporter);
  const provider = new BasicTracerProvider({ resource, spanProcessors: [processor] });
  const tracer = provider.getTracer("agent", "1.2.3");
  const attributes = { "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "look_up" };
  const span = tracer.startSpan("execute_tool look_up", { kind: SpanKind.INTERNAL, attributes });
  span.addEvent("asked", { "user.name": "Jürgen" });
  span.setStatus({ code: SpanStatusCode.ERROR, message: "no such row" });
  span.end();
  tracer.startSpan("chat").end();
  await provider.forceFlush();
  await provider.shutdown();
}

type HttpOptions = NonNullable<ConstructorParameters<typeof JsonExporter>[0]>;
const GZIP = "gzip" as NonNullable<HttpOptions["compression"]>;

const EXPORTERS: Readonly<Record<string, (rig: Rig) => SpanExporter>> = {
  "HTTP JSON": ({ httpPort }) => new JsonExporter({ url: http(httpPort) }),
  "HTTP JSON, gzip": ({ httpPort }) => new JsonExporter({ url: http(httpPort), compression: GZIP }),
  "HTTP protobuf": ({ httpPort }) => new ProtobufExporter({ url: http(httpPort) }),
  "HTTP protobuf, gzip": ({ httpPort }) =>
    new ProtobufExporter({ url: http(httpPort), compression: GZIP }),
  gRPC: ({ grpcPort }) => new GrpcExporter({ url: `http://127.0.0.1:${grpcPort}` }),
  "gRPC, gzip": ({ grpcPort }) =>
    new GrpcExporter({
      url: `http://127.0.0.1:${grpcPort}`,
      compression: GZIP,
    }),
};
const names = Object.keys(EXPORTERS);
const overHttp = names.filter((name) => name.startsWith("HTTP"));
const overGrpc = names.filter((name) => name.startsWith("gRPC"));

function http(port: number, signal = "traces"): string {
  return `http://127.0.0.1:${port}/v1/${signal}`;
}

interface Traces {
  resourceSpans: { scopeSpans: { spans: { name: string; events?: unknown[] }[] }[] }[];
}

function spanNames(rig: Rig): string[] {
  return rig.requests.flatMap(({ bytes }) => {
    const { resourceSpans } = decodeOtlp(TOP.traces, bytes) as Traces;
    return resourceSpans.flatMap(({ scopeSpans }) =>
      scopeSpans.flatMap(({ spans }) => spans.map(({ name }) => name)),
    );
  });
}

describe("traces", () => {
  test.each(names)("%s: arrives whole, without a warning", async (name) => {
    const said = complaints();
    const rig = await startRig();
    await trace(EXPORTERS[name]!(rig));
    expect(spanNames(rig)).toEqual(["execute_tool look_up", "chat"]);
    expect(rig.events).toMatchObject([{ signal: "traces", code: "ok", items: 2 }]);
    expect(said).toEqual([]);
  });

  test.each(overHttp)(
    "%s: a refusal that may pass is repeated by the SDK until it does",
    async (name) => {
      const said = complaints();
      const rig = await startRig();
      let refused = 0;
      rig.handle = () => {
        if (refused++ > 0) return Promise.resolve();
        return Promise.reject(new Refusal("unavailable", "not now"));
      };
      await trace(EXPORTERS[name]!(rig));
      expect(rig.events.map(({ code }) => code)).toEqual(["unavailable", "ok"]);
      const [first, second] = rig.requests;
      expect(Buffer.from(second!.bytes).equals(first!.bytes)).toBe(true);
      expect(said).toEqual([]);
    },
  );

  // This exporter repeats nothing by itself, whatever a receiver answers.
  test.each(overGrpc)("%s: a refusal that may pass is UNAVAILABLE to the SDK", async (name) => {
    complaints();
    const rig = await startRig();
    rig.handle = () => Promise.reject(new Refusal("unavailable", "not now"));
    await trace(EXPORTERS[name]!(rig)).catch(() => undefined);
    rig.handle = () => Promise.resolve();
    await trace(EXPORTERS[name]!(rig));
    expect(rig.events.map(({ code }) => code)).toEqual(["unavailable", "ok"]);
  });

  test.each(names)("%s: bad data is not repeated", async (name) => {
    complaints();
    const rig = await startRig();
    rig.handle = () => Promise.reject(new Refusal("malformed", "no"));
    await trace(EXPORTERS[name]!(rig)).catch(() => undefined);
    expect(rig.events.map(({ code }) => code)).toEqual(["malformed"]);
  });
});

test("logs over HTTP JSON", async () => {
  const said = complaints();
  const rig = await startRig();
  const exporter = new OTLPLogExporter({ url: http(rig.httpPort, "logs") });
  const processor = new BatchLogRecordProcessor({ exporter });
  const provider = new LoggerProvider({ resource, processors: [processor] });
  const body = { text: "hello", nested: [1, 2.5, true] };
  provider.getLogger("agent").emit({ severityNumber: 9, body });
  await provider.forceFlush();
  await provider.shutdown();
  expect(rig.events).toMatchObject([{ signal: "logs", code: "ok", items: 1 }]);
  expect(said).toEqual([]);
});
