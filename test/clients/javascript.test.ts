/**
 * Both lines of the OpenTelemetry SDK for JavaScript, unchanged, against a real sidecar: what they
 * send becomes records, and goes on to the sink redacted and stamped.
 */
import { SeverityNumber } from "@opentelemetry/api-logs";
import { OTLPLogExporter } from "@opentelemetry/exporter-logs-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchLogRecordProcessor, LoggerProvider } from "@opentelemetry/sdk-logs";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Signal } from "../../src/audit/otlp/schema.ts";
import { spanseal } from "../cli/command.ts";
import { shownLines } from "../cli/recorded.ts";
import type { Shown } from "../cli/recorded.ts";
import { startHttpSink } from "../forward/http-sink-server.ts";
import type { HttpSinkServer } from "../forward/http-sink-server.ts";
import { decodeOtlp, TOP } from "../ingest-json/otlp-proto.ts";
import { launchSidecar } from "../service/sidecar-process.ts";
import type { SidecarProcess } from "../service/sidecar-process.ts";
import { attributes, encodeOtlp, encodeOtlpJson } from "../support/otlp-writer.ts";
import { resourceOf, runAgent } from "./agent.ts";
import type { Protocol } from "./agent.ts";
import { openTracer as openTracer2 } from "./otel-2/tracer.ts";
import { openTracer as openTracer3 } from "./otel-3/tracer.ts";

let sink: HttpSinkServer;
let sidecar: SidecarProcess;
beforeAll(async () => {
  sink = await startHttpSink();
  const exporters = { otlp_http: { endpoint: sink.url } };
  sidecar = await launchSidecar({ config: { exporters } });
});
afterAll(async () => {
  await sidecar?.stop();
  await sink?.close();
});

const personalData = /jane\.roe|bob@example|219-09-9999|4111 1111/;

async function recordsOf(tenant: string): Promise<Shown[]> {
  const parameters = ["query", "--config", "spanseal.yaml", "--tenant", tenant, "--json"];
  const ended = await spanseal(parameters, { cwd: sidecar.cwd });
  expect(ended).toMatchObject({ code: 0, stderr: "" });
  expect(ended.stdout).not.toMatch(personalData);
  return shownLines(ended.stdout);
}

interface Value {
  readonly stringValue?: string;
  readonly intValue?: string;
  readonly doubleValue?: number;
  readonly arrayValue?: { readonly values: readonly Value[] };
}

interface Attribute {
  readonly key: string;
  readonly value: Value;
}

interface Forwarded {
  readonly name?: string;
  readonly spanId?: string;
  readonly attributes?: readonly Attribute[];
  readonly [member: string]: unknown;
}

const itemsOf = { traces: "spans", logs: "logRecords", metrics: "metrics" } as const;

/** What the sink got of one tenant, read by an independent decoder; undefined until it is there. */
function forwarded(signal: Signal, tenant: string): Forwarded[] | undefined {
  const requests = sink.taken.filter(
    (taken) => taken.signal === signal && taken.bytes.includes(tenant),
  );
  if (requests.length === 0) return undefined;
  for (const { bytes } of requests) expect(bytes.toString("latin1")).not.toMatch(personalData);
  return requests.flatMap(({ bytes }) => collect(decodeOtlp(TOP[signal], bytes), itemsOf[signal]));
}

/** The elements of all lists with this name, however deep they stand. */
function collect(value: unknown, name: string): Forwarded[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) =>
    key === name ? (member as Forwarded[]) : collect(member, name),
  );
}

function attributesOf(item: Forwarded): Readonly<Record<string, Value>> {
  return Object.fromEntries((item.attributes ?? []).map(({ key, value }) => [key, value]));
}

const lines = { "2.x": openTracer2, "3.x": openTracer3 } as const;
const protocols: readonly Protocol[] = ["http/protobuf", "http/json", "grpc"];
const combinations = (["2.x", "3.x"] as const).flatMap((line) =>
  protocols.map((protocol) => [line, protocol] as const),
);

test.for(combinations)("SDK %s over %s: records and forwarded spans", async ([line, protocol]) => {
  const tenant = `tenant-${line}-${protocol.replace("/", "-")}`;
  const tracer = lines[line](protocol, tenant, sidecar.ready.endpoints);
  const { run, said } = await runAgent(tracer);
  expect(said).toEqual([]);

  const records = await recordsOf(tenant);
  const summary = records.map(({ namespace, body }) => {
    const { action, tool, outcome } = body;
    return `${namespace}: ${action.type} ${tool?.name ?? action.name} ${outcome.status}`;
  });
  expect(new Set(summary)).toEqual(
    new Set([
      "clinic: agent_run clerk unknown",
      "clinic: tool_call lookup success",
      "clinic: tool_call delete denied",
      "clinic: decision delete denied",
      "clinic: tool_call charge failure",
    ]),
  );
  expect(summary).toHaveLength(5);
  const find = (type: string, name: string): Shown =>
    records.find(
      ({ body }) => body.action.type === type && (body.tool?.name ?? body.action.name) === name,
    )!;
  for (const { body } of records) expect(body.trace.trace_id).toBe(run.traceId);
  expect(find("agent_run", "clerk").body).toMatchObject({
    actor: { agent: { name: "clerk" }, user: { id: expect.stringMatching(/^tok_email_/) } },
    attributes: { "app.big": 9_007_199_254_740_991, "app.ratio": 0.25 },
  });
  expect(find("tool_call", "lookup").body).toMatchObject({
    tool: { name: "lookup", call_id: "call-lookup" },
    content: {
      arguments: '{"mail":"[REDACTED:email]"}',
      result: '{"ssn":"[REDACTED:us_ssn]","found":true}',
    },
    trace: { parent_span_id: run.spanId },
  });
  expect(find("decision", "delete").body.decision).toMatchObject({
    outcome: "denied",
    by: "human",
    reason: "[REDACTED:email] is kept ten years",
  });
  expect(find("tool_call", "charge").body.outcome).toMatchObject({
    error: { message: expect.stringMatching(/^the bank declined \[REDACTED:/) },
  });

  await expect.poll(() => forwarded("traces", tenant)?.length, { timeout: 20_000 }).toBe(5);
  const spans = forwarded("traces", tenant)!;
  for (const span of spans) {
    const ids = records
      .filter(({ body }) => body.trace.name === span.name)
      .map(({ id }) => ({ stringValue: id }));
    const stamp = attributesOf(span)["spanseal.record.id"]?.arrayValue?.values ?? [];
    expect([span.name, stamp]).toEqual([span.name, ids]);
  }
  const ofRun = attributesOf(spans.find(({ name }) => name === "invoke_agent clerk")!);
  expect(ofRun["app.names"]?.arrayValue?.values).toEqual([
    { stringValue: "Jürgen" },
    { stringValue: "🏥 [REDACTED:email]" },
  ]);
  expect(ofRun["user.id"]?.stringValue).toBe(find("agent_run", "clerk").body.actor.user.id);
  expect(ofRun["spanseal.redaction.count"]).toEqual({ intValue: "2" });
});

test("a log exporter: a decision becomes a record, any other record is forwarded alone", async () => {
  const url = `http://${sidecar.ready.endpoints.http}/v1/logs`;
  const provider = new LoggerProvider({
    resource: resourceFromAttributes({ ...resourceOf("tenant-logs") }),
    processors: [new BatchLogRecordProcessor({ exporter: new OTLPLogExporter({ url }) })],
  });
  const logger = provider.getLogger("clinic-agent");
  logger.emit({
    eventName: "spanseal.decision",
    severityNumber: SeverityNumber.INFO,
    body: "asked about jane.roe@example.com",
    attributes: {
      "spanseal.decision.outcome": "allowed",
      "spanseal.decision.by": "policy",
      "gen_ai.tool.name": "lookup",
    },
  });
  logger.emit({ body: { text: "plain words to bob@example.org" } });
  await provider.forceFlush();
  await provider.shutdown();
  const records = await recordsOf("tenant-logs");
  expect(records).toMatchObject([
    {
      body: {
        action: { type: "decision" },
        decision: { outcome: "allowed", by: "policy" },
        source: { signal: "log", event_name: "spanseal.decision" },
        content: { input: "asked about [REDACTED:email]" },
      },
    },
  ]);
  await expect.poll(() => forwarded("logs", "tenant-logs")?.length, { timeout: 20_000 }).toBe(2);
  const bodies = forwarded("logs", "tenant-logs")!.map((record) => JSON.stringify(record["body"]));
  expect(bodies[0]).toContain("asked about [REDACTED:email]");
  expect(bodies[1]).toContain("plain words to [REDACTED:email]");
});

test.for(["application/x-protobuf", "application/json"])(
  "metrics as %s are redacted and forwarded, and make no record",
  async (contentType) => {
    const tenant = `tenant-metrics-${contentType.split("/")[1]}`;
    const point = {
      timeUnixNano: 1_795_241_722_000_000_000n,
      asInt: 3n,
      attributes: attributes({ user: "jane.roe@example.com", route: "/charge" }),
    };
    const metric = { name: "requests", sum: { dataPoints: [point], aggregationTemporality: 2 } };
    const request = {
      resourceMetrics: [
        {
          resource: { attributes: attributes(resourceOf(tenant)) },
          scopeMetrics: [{ metrics: [metric] }],
        },
      ],
    };
    const name = "ExportMetricsServiceRequest";
    const body = contentType.endsWith("json")
      ? encodeOtlpJson(name, request)
      : Buffer.from(encodeOtlp(name, request));
    const response = await fetch(`http://${sidecar.ready.endpoints.http}/v1/metrics`, {
      method: "POST",
      headers: { "content-type": contentType },
      body,
    });
    expect(response.status).toBe(200);
    await expect.poll(() => forwarded("metrics", tenant)?.length, { timeout: 20_000 }).toBe(1);
    const [got] = forwarded("metrics", tenant)!;
    const [gotPoint] = collect(got, "dataPoints");
    expect(got!.name).toBe("requests");
    expect(gotPoint).toMatchObject({ asInt: "3", timeUnixNano: "1795241722000000000" });
    expect(attributesOf(gotPoint!)).toEqual({
      user: { stringValue: "[REDACTED:email]" },
      route: { stringValue: "/charge" },
    });
    const parameters = ["query", "--config", "spanseal.yaml", "--tenant", tenant, "--json"];
    const ended = await spanseal(parameters, { cwd: sidecar.cwd });
    expect(ended).toEqual({ code: 1, stdout: "", stderr: "" });
  },
);
