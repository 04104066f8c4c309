/** A small agent, instrumented with the OpenTelemetry SDK as any agent would be. All data is fake. */
import { SpanKind, SpanStatusCode, context, trace } from "@opentelemetry/api";
import type { Attributes, Span, Tracer } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BasicTracerProvider, BatchSpanProcessor } from "@opentelemetry/sdk-trace-base";

const conversation = "conv-2231";
const question =
  "What did we bill Jane Roe? Her card is 4111 1111 1111 1111, mail jane.roe@example.com";
const patient = {
  rows: [{ mrn: "MRN 4471932", name: "Jane Roe", dob: "1975-04-12", ssn: "219-09-9999" }],
};

/** Runs the agent once and returns when all its spans are acknowledged. */
export async function runAgent(endpoint: string): Promise<void> {
  const provider = new BasicTracerProvider({
    resource: resourceFromAttributes({
      "service.name": "clinic-assistant",
      "service.version": "2.3.0",
      "service.namespace": "demo",
      "tenant.id": "north-clinic",
    }),
    spanProcessors: [
      new BatchSpanProcessor(new OTLPTraceExporter({ url: `${endpoint}/v1/traces` })),
    ],
  });
  const agent = new Agent(provider.getTracer("clinic-assistant"));
  agent.run();
  await provider.forceFlush();
  await provider.shutdown();
}

class Agent {
  readonly #tracer: Tracer;
  #run: Span | undefined;

  constructor(tracer: Tracer) {
    this.#tracer = tracer;
  }

  run(): void {
    this.#run = this.#span("invoke_agent billing-clerk", {
      "gen_ai.operation.name": "invoke_agent",
      "gen_ai.agent.name": "billing-clerk",
      "gen_ai.agent.id": "agent-7",
      "user.id": "dr.miller",
    });
    this.#askModel();
    this.#lookUpPatient();
    this.#deleteRecord();
    this.#chargeCard();
    this.#run.end();
  }

  #askModel(): void {
    this.#span("chat demo-model", {
      "gen_ai.operation.name": "chat",
      "gen_ai.provider.name": "demo",
      "gen_ai.request.model": "demo-model",
      "gen_ai.response.model": "demo-model-1",
      "gen_ai.response.finish_reasons": ["tool_calls"],
      "gen_ai.usage.input_tokens": 412,
      "gen_ai.usage.output_tokens": 58,
      "gen_ai.input.messages": JSON.stringify([
        { role: "user", parts: [{ type: "text", content: question }] },
      ]),
    }).end();
  }

  #lookUpPatient(): void {
    this.#tool("lookup_patient", "call-1", {
      "gen_ai.tool.call.arguments": JSON.stringify({ query: "Jane Roe" }),
      "gen_ai.tool.call.result": JSON.stringify(patient),
    }).end();
  }

  /** A person refused: the decision is an event on the span of the call that never ran. */
  #deleteRecord(): void {
    const call = this.#tool("delete_record", "call-2", {
      "gen_ai.tool.call.arguments": JSON.stringify({ mrn: "MRN 4471932" }),
    });
    call.addEvent("spanseal.decision", {
      "spanseal.decision.outcome": "denied",
      "spanseal.decision.by": "human",
      "spanseal.decision.approver": "dr.miller",
      "spanseal.decision.reason": "records of jane.roe@example.com are kept ten years",
      "spanseal.decision.policy": "retention-7",
    });
    call.end();
  }

  #chargeCard(): void {
    const call = this.#tool("charge_card", "call-3", {
      "gen_ai.tool.call.arguments": JSON.stringify({ card: "4111 1111 1111 1111", amount: 120 }),
      "error.type": "CardDeclined",
    });
    call.setStatus({ code: SpanStatusCode.ERROR, message: "the bank declined the card" });
    call.end();
  }

  #tool(name: string, callId: string, attributes: Attributes): Span {
    return this.#span(`execute_tool ${name}`, {
      "gen_ai.operation.name": "execute_tool",
      "gen_ai.tool.name": name,
      "gen_ai.tool.call.id": callId,
      "gen_ai.tool.type": "function",
      ...attributes,
    });
  }

  #span(name: string, attributes: Attributes): Span {
    const parent =
      this.#run === undefined ? context.active() : trace.setSpan(context.active(), this.#run);
    const kind = name.startsWith("chat") ? SpanKind.CLIENT : SpanKind.INTERNAL;
    const shared = { "gen_ai.conversation.id": conversation };
    return this.#tracer.startSpan(name, { kind, attributes: { ...shared, ...attributes } }, parent);
  }
}
