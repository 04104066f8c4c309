/**
 * The telemetry of busy agents, made from a seed: traces of eight spans (one agent run, three
 * model calls, three tool calls, one decision), about 880 bytes and 13 attributes a span, with
 * personal data in a given share of the spans.
 */
import { attributes, encodeOtlp } from "./otlp-writer.ts";
import type { Plain } from "./otlp-writer.ts";

export interface LoadOptions {
  readonly seed: number;
  readonly spans: number;
  /** Share of spans that hold a person's data, 0 to 1. */
  readonly personalDataShare: number;
  /** Text in a span, relative to the usual 880 bytes. */
  readonly textScale?: number;
  /** Only the first attributes of each span, where small spans are wanted. */
  readonly attributesMax?: number;
}

const WORDS =
  "the customer asked for a refund of order and we checked shipment status with carrier before approving claim because policy allows it within thirty days after delivery when item is damaged agent should summarize quarterly revenue report compare with last year forecast list open incidents in region page on call engineer if severity is high search knowledge base reset procedure".split(
    " ",
  );
const TOOLS = ["search_orders", "refund_payment", "run_sql_query", "send_email", "create_ticket"];
const MODELS = ["gpt-4o-2024-08-06", "claude-sonnet-4-20250514", "gemini-2.5-pro"];
const AGENTS = ["support-triage", "billing-refunds", "sre-copilot", "research-planner"];

interface Trace {
  readonly traceId: Uint8Array;
  readonly root: Uint8Array;
  readonly conversation: string;
  readonly agent: string;
  readonly agentId: string;
  readonly model: string;
}

/** One ExportTraceServiceRequest as protobuf; the same options give the same bytes. */
export function agentRequest(options: LoadOptions): Uint8Array {
  return encodeOtlp("ExportTraceServiceRequest", agentTelemetry(options));
}

/** The same request as an object, for the JSON encoding. */
export function agentTelemetry(options: LoadOptions): Plain {
  const random = new Random(options.seed);
  const scale = options.textScale ?? 1;
  const attributesMax = options.attributesMax ?? Infinity;
  const spans: Plain[] = [];
  const modelSpans: Plain[] = [];
  let trace = newTrace(random);
  for (let index = 0; index < options.spans; index++) {
    const kind = index % 8;
    if (kind === 0) trace = newTrace(random);
    const personal = random.chance(options.personalDataShare) ? personalText(random) : "";
    const make = MAKERS[kind]!;
    const span = make({ trace, random, personal, scale, index, attributesMax });
    (kind === 1 || kind === 3 || kind === 6 ? modelSpans : spans).push(span);
  }
  const scope = (name: string, version: string, members: Plain[]): Plain => ({
    scope: { name, version },
    spans: members,
    schemaUrl: "https://opentelemetry.io/schemas/1.38.0",
  });
  return {
    resourceSpans: [
      {
        resource: {
          attributes: attributes({
            "service.name": `agent-${random.pick(AGENTS)}`,
            "service.version": "1.4.2",
            "service.instance.id": random.hex(16),
            "deployment.environment.name": "production",
            "telemetry.sdk.language": "python",
          }),
        },
        scopeSpans: [
          scope("agent.framework", "0.9.2", spans),
          scope("opentelemetry.instrumentation.openai_v2", "2.3b0", modelSpans),
        ],
      },
    ],
  };
}

interface Making {
  readonly trace: Trace;
  readonly random: Random;
  readonly personal: string;
  readonly scale: number;
  readonly index: number;
  readonly attributesMax: number;
}

const MAKERS: readonly ((making: Making) => Plain)[] = [
  agentRun,
  modelCall,
  toolCall,
  modelCall,
  toolCall,
  toolCall,
  modelCall,
  decision,
];

function newTrace(random: Random): Trace {
  return {
    traceId: random.bytes(16),
    root: random.bytes(8),
    conversation: `conv_${random.hex(12)}`,
    agent: random.pick(AGENTS),
    agentId: `asst_${random.hex(12)}`,
    model: random.pick(MODELS),
  };
}

function span(making: Making, name: string, members: Plain, more: Plain = {}): Plain {
  const start = 1_790_000_000_000_000_000n + BigInt(making.index) * 1_000_000n;
  return {
    traceId: making.trace.traceId,
    spanId: making.random.bytes(8),
    parentSpanId: making.trace.root,
    name,
    kind: 1,
    startTimeUnixNano: start,
    endTimeUnixNano: start + BigInt(making.random.integer(2_000_000_000)),
    attributes: attributes(firstOf(members, making.attributesMax)),
    flags: 257,
    ...more,
  };
}

function firstOf(members: Plain, count: number): Plain {
  return Object.fromEntries(Object.entries(members).slice(0, count));
}

function agentRun(making: Making): Plain {
  const { trace, random, personal, scale } = making;
  const members = {
    "gen_ai.operation.name": "invoke_agent",
    "gen_ai.provider.name": "openai",
    "gen_ai.agent.name": trace.agent,
    "gen_ai.agent.id": trace.agentId,
    "gen_ai.agent.description": random.text(60 * scale),
    "gen_ai.conversation.id": trace.conversation,
    "gen_ai.request.model": trace.model,
    "gen_ai.usage.input_tokens": random.integer(20_000),
    "gen_ai.usage.output_tokens": random.integer(3000),
    "agent.run.id": `run_${random.hex(12)}`,
    "session.id": random.hex(16),
    "agent.steps": random.integer(12),
    "agent.goal": `${random.text(150 * scale)} ${personal}`,
  };
  return span(making, `invoke_agent ${trace.agent}`, members, {
    spanId: trace.root,
    parentSpanId: undefined,
  });
}

function modelCall(making: Making): Plain {
  const { trace, random, personal, scale } = making;
  const message = (role: string, text: string): string =>
    JSON.stringify([{ role, parts: [{ type: "text", content: text }] }]);
  const content = random.chance(0.25) || personal !== "";
  const members = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": trace.model,
    "gen_ai.request.temperature": 0.7,
    "gen_ai.request.max_tokens": 4096,
    "gen_ai.response.id": `chatcmpl-${random.hex(14)}`,
    "gen_ai.response.model": trace.model,
    "gen_ai.response.finish_reasons": [random.chance(0.3) ? "stop" : "tool_calls"],
    "gen_ai.usage.input_tokens": random.integer(20_000),
    "gen_ai.usage.output_tokens": random.integer(3000),
    "gen_ai.usage.cache_read.input_tokens": random.integer(9000),
    "gen_ai.conversation.id": trace.conversation,
    "server.address": "api.openai.com",
    "server.port": 443,
    ...(content && {
      "gen_ai.input.messages": message("user", `${random.text(150 * scale)} ${personal}`),
      "gen_ai.output.messages": message("assistant", random.text(120 * scale)),
    }),
  };
  return span(making, `chat ${trace.model}`, members, { kind: 3 });
}

function toolCall(making: Making): Plain {
  const { trace, random, personal, scale } = making;
  const tool = random.pick(TOOLS);
  const failed = random.chance(0.05);
  const members = {
    "gen_ai.operation.name": "execute_tool",
    "gen_ai.tool.name": tool,
    "gen_ai.tool.type": "function",
    "gen_ai.tool.call.id": `call_${random.hex(12)}`,
    "gen_ai.tool.description": random.text(50 * scale),
    "gen_ai.tool.call.arguments": JSON.stringify({
      query: `${random.text(110 * scale)} ${personal}`,
      limit: random.integer(100),
      order_id: `ORD-${random.integer(9_999_999)}`,
      filters: { region: "eu-west", status: ["open", "pending"], since: "2026-10-01" },
      dry_run: random.chance(0.5),
    }),
    "gen_ai.conversation.id": trace.conversation,
    "gen_ai.agent.id": trace.agentId,
    "gen_ai.agent.name": trace.agent,
    "agent.step": making.index % 8,
    "agent.tool.approved": true,
    ...(random.chance(0.33) && {
      "gen_ai.tool.call.result": JSON.stringify({ ok: true, summary: random.text(120 * scale) }),
    }),
    ...(failed && { "error.type": "TimeoutError" }),
  };
  const status = { status: { code: 2, message: `tool failed: ${random.text(40)}` } };
  return span(making, `execute_tool ${tool}`, members, failed ? status : {});
}

function decision(making: Making): Plain {
  const { trace, random, personal, scale } = making;
  return span(making, "agent.decision", {
    "spanseal.decision.outcome": random.pick(["allowed", "denied"]),
    "spanseal.decision.by": "policy",
    "spanseal.decision.reason": `${random.text(140 * scale)} ${personal}`,
    "spanseal.decision.policy": `policy-${random.pick(TOOLS)}`,
    "agent.decision.id": `dec_${random.hex(12)}`,
    "agent.decision.confidence": random.unit(),
    "agent.policy.version": "2026.10.3",
    "agent.risk.score": random.integer(100),
    "gen_ai.conversation.id": trace.conversation,
    "gen_ai.agent.id": trace.agentId,
    "gen_ai.agent.name": trace.agent,
    "agent.decision.options": ["allow", "deny", "escalate"],
  });
}

function personalText(random: Random): string {
  const digits = (count: number): string =>
    Array.from({ length: count }, () => random.integer(10)).join("");
  switch (random.integer(6)) {
    case 0:
      return `ssn on file ${100 + random.integer(500)}-${10 + random.integer(89)}-${1000 + random.integer(8999)}`;
    case 1:
      return "charged card 4111 1111 1111 1111";
    case 2:
      return `call back (${200 + random.integer(700)}) 555-${1000 + random.integer(8999)}`;
    case 3:
      return `patient MRN ${digits(7)} born 0${1 + random.integer(9)}/1${random.integer(9)}/1975`;
    default:
      return `contact maria.garcia${digits(2)}@example.com about it`;
  }
}

/** A small deterministic generator (mulberry32): loads must be the same for the same seed. */
export class Random {
  private state: number;

  constructor(seed: number) {
    this.state = seed >>> 0;
  }

  unit(): number {
    this.state = (this.state + 0x6d2b79f5) >>> 0;
    let mixed = this.state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  integer(below: number): number {
    return Math.floor(this.unit() * below);
  }

  chance(share: number): boolean {
    return this.unit() < share;
  }

  pick<T>(values: readonly T[]): T {
    return values[this.integer(values.length)]!;
  }

  bytes(count: number): Uint8Array {
    return Uint8Array.from({ length: count }, () => this.integer(256));
  }

  hex(byteCount: number): string {
    return Buffer.from(this.bytes(byteCount)).toString("hex");
  }

  text(chars: number): string {
    let text = this.pick(WORDS);
    while (text.length < chars) text += ` ${this.pick(WORDS)}`;
    return text;
  }
}
