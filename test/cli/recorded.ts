/** A ledger that a real sidecar wrote and closed, small enough to know every record of it. */
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { logs, span, traces } from "../audit/setup.ts";
import { launchSidecar } from "../service/sidecar-process.ts";
import type { StartOptions } from "../service/sidecar-process.ts";
import { anyValue, attributes } from "../support/otlp-writer.ts";
import { spanseal } from "./command.ts";
import type { Ended, RunOptions } from "./command.ts";

export interface Shown {
  readonly id: string;
  readonly index: number;
  readonly sequence: number;
  readonly time: string;
  readonly kind: string;
  readonly namespace: string;
  readonly tenant: string;
  // oxlint-disable-next-line typescript/no-explicit-any -- tests look into bodies by member name
  readonly body: any;
}

export function shownLines(stdout: string): Shown[] {
  return stdout
    .split("\n")
    .slice(0, -1)
    .map((line) => JSON.parse(line) as Shown);
}

const tool = (name: string, more: Readonly<Record<string, unknown>> = {}) => ({
  name: `execute_tool ${name}`,
  attributes: {
    "gen_ai.operation.name": "execute_tool",
    "gen_ai.tool.name": name,
    ...more,
  },
});

/** Trace 1, of the tenant north: an agent run, a model call, a look-up and a refused deletion. */
export const north: Uint8Array = traces(
  [
    span({
      name: "invoke_agent billing-clerk",
      trace: 1,
      id: 1,
      attributes: {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.agent.name": "billing-clerk",
        "gen_ai.agent.id": "agent-7",
        "user.id": "jane@example.com",
      },
    }),
    span({
      name: "chat demo-model",
      trace: 1,
      id: 2,
      parent: 1,
      attributes: { "gen_ai.operation.name": "chat", "gen_ai.request.model": "demo-model" },
    }),
    span({
      ...tool("lookup_patient", {
        "gen_ai.tool.call.arguments": '{"query":"Ünïcode Zürich"}',
        "gen_ai.tool.call.result": '{"rows":1,"mail":"jane@example.com"}',
        "user.id": "dr.miller",
      }),
      trace: 1,
      id: 3,
      parent: 1,
    }),
    span({
      ...tool("delete_record"),
      trace: 1,
      id: 4,
      parent: 1,
      events: [
        {
          name: "spanseal.decision",
          attributes: {
            "spanseal.decision.outcome": "denied",
            "spanseal.decision.by": "human",
            "spanseal.decision.reason": "kept ten years",
          },
        },
      ],
    }),
  ],
  { resource: { "service.namespace": "clinic", "tenant.id": "north" } },
);

/** Trace 2, of the tenant south: a charge that failed. */
export const south: Uint8Array = traces(
  [
    span({
      ...tool("charge_card", { "error.type": "CardDeclined", "user.id": "jane@example.com" }),
      trace: 2,
      id: 5,
      status: { code: 2, message: "the bank declined" },
    }),
  ],
  { resource: { "service.namespace": "shop", "tenant.id": "south" } },
);

/** A decision as a log record, without a namespace and of the tenant south. */
export const pendingLog: Uint8Array = logs(
  [
    {
      timeUnixNano: 1_795_241_722_000_000_000n,
      body: anyValue("waiting for a person"),
      eventName: "spanseal.decision",
      attributes: attributes({
        "spanseal.decision.outcome": "pending",
        "spanseal.decision.by": "policy",
        "gen_ai.tool.name": "wire_transfer",
      }),
    },
  ],
  { resource: { "tenant.id": "south" } },
);

export async function post(
  endpoint: string,
  signal: "traces" | "logs" | "metrics",
  body: Uint8Array,
): Promise<void> {
  const headers = { "content-type": "application/x-protobuf" };
  const url = `http://${endpoint}/v1/${signal}`;
  const response = await fetch(url, { method: "POST", headers, body: Buffer.from(body) });
  const text = await response.text();
  if (response.status !== 200) throw new Error(`${url}: ${response.status} ${text}`);
}

export interface Recorded {
  readonly cwd: string;
  readonly ledger: string;
  readonly publicKey: string;
  /** All records in order, by `query --json`. */
  readonly records: readonly Shown[];
  /** `spanseal` with the configuration of this ledger. */
  run(parameters: readonly string[], options?: RunOptions): Promise<Ended>;
  /** The records that a command prints with `--json`. */
  rows(...parameters: readonly string[]): Promise<Shown[]>;
  /** The one record of this kind or action type (and tool). */
  find(type: string, toolName?: string): Shown;
}

/** Starts a sidecar, sends what stands above, and stops it. */
export async function recordLedger(options: StartOptions = {}): Promise<Recorded> {
  const sidecar = await launchSidecar(options);
  const { cwd, ready } = sidecar;
  try {
    await post(ready.endpoints.http, "traces", north);
    await post(ready.endpoints.http, "traces", south);
    await post(ready.endpoints.http, "logs", pendingLog);
  } finally {
    await sidecar.stop();
  }
  const run: Recorded["run"] = (parameters, given = {}) =>
    spanseal([...parameters, "--config", "spanseal.yaml"], { cwd, ...given });
  const rows: Recorded["rows"] = async (...parameters) =>
    shownLines((await run([...parameters, "--json"])).stdout);
  const records = await rows("query");
  return {
    cwd,
    ledger: resolve(cwd, ready.ledger),
    publicKey: ready.public_key,
    records,
    run,
    rows,
    find: (type, toolName) => {
      const found = records.filter(
        ({ kind, body }) =>
          (kind === type || body.action?.type === type) &&
          (toolName === undefined || body.tool?.name === toolName),
      );
      if (found.length !== 1) throw new Error(`${found.length} records of ${type}`);
      return found[0]!;
    },
  };
}

/** The lines of the ledger as they stand on disk. */
export function ledgerLines(ledger: string, segment = "0000000000000000.jsonl"): string[] {
  return readFileSync(join(ledger, "segments", segment), "utf8")
    .split("\n")
    .slice(0, -1);
}
