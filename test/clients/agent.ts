/** A small agent, instrumented through whichever line of the SDK it is given. All data is fake. */

export type Protocol = "http/protobuf" | "http/json" | "grpc";

export interface Endpoints {
  readonly grpc: string;
  readonly http: string;
}

export type AttributeValues = Readonly<Record<string, string | number | boolean | string[]>>;

export interface AgentSpan {
  readonly traceId: string;
  readonly spanId: string;
  event(name: string, attributes: AttributeValues): void;
  fail(message: string): void;
  end(): void;
}

/** A tracer of one line of the SDK with one of its exporters behind it. */
export interface AgentTracer {
  start(name: string, attributes: AttributeValues, parent?: AgentSpan): AgentSpan;
  /** Exports what has ended. @returns what the SDK complained about. */
  finish(): Promise<string[]>;
}

export const resourceOf = (tenant: string): AttributeValues => ({
  "service.name": "clinic-assistant",
  "service.namespace": "clinic",
  "tenant.id": tenant,
});

const tool = (name: string, more: AttributeValues): AttributeValues => ({
  "gen_ai.operation.name": "execute_tool",
  "gen_ai.tool.name": name,
  "gen_ai.tool.call.id": `call-${name}`,
  ...more,
});

/** A run with a look-up, a deletion that was denied and a charge that fails. */
export async function runAgent(tracer: AgentTracer): Promise<{ run: AgentSpan; said: string[] }> {
  const run = tracer.start("invoke_agent clerk", {
    "gen_ai.operation.name": "invoke_agent",
    "gen_ai.agent.name": "clerk",
    "user.id": "jane.roe@example.com",
    "app.big": 9_007_199_254_740_991,
    "app.ratio": 0.25,
    "app.names": ["Jürgen", "🏥 bob@example.org"],
  });
  const lookUp = tracer.start(
    "execute_tool lookup",
    tool("lookup", {
      "gen_ai.tool.call.arguments": '{"mail":"jane.roe@example.com"}',
      "gen_ai.tool.call.result": '{"ssn":"219-09-9999","found":true}',
    }),
    run,
  );
  lookUp.end();
  const remove = tracer.start("execute_tool delete", tool("delete", {}), run);
  remove.event("spanseal.decision", {
    "spanseal.decision.outcome": "denied",
    "spanseal.decision.by": "human",
    "spanseal.decision.reason": "jane.roe@example.com is kept ten years",
  });
  remove.end();
  const charge = tracer.start(
    "execute_tool charge",
    tool("charge", { "gen_ai.tool.call.arguments": '{"card":"4111 1111 1111 1111"}' }),
    run,
  );
  charge.fail("the bank declined 4111 1111 1111 1111");
  charge.end();
  tracer.start("GET /health", { "http.request.method": "GET" }, run).end();
  run.end();
  return { run, said: await tracer.finish() };
}
