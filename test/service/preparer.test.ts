/** Requests become the same batches on this thread and on others, and no thread is relied on. */
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { prepare } from "../../src/audit/prepare.ts";
import type { PreparedBatch } from "../../src/audit/prepared-batch.ts";
import type { TelemetryRequest } from "../../src/audit/request.ts";
import { TraceMemory } from "../../src/audit/trace-memory.ts";
import type { KeyRing } from "../../src/ledger/keys.ts";
import { parseConfig } from "../../src/service/config.ts";
import type { Log } from "../../src/service/log.ts";
import { auditPolicy, policyParts } from "../../src/service/policy.ts";
import { Lane } from "../../src/service/preparing/lane.ts";
import { inlinePreparer } from "../../src/service/preparing/preparer.ts";
import type { Preparer } from "../../src/service/preparing/preparer.ts";
import { openThreads } from "../../src/service/preparing/threads.ts";
import { pooledRandomBytes } from "../../src/service/random.ts";
import { agentRequest } from "../support/agent-load.ts";
import { logRequest, metricRequest, oneCall, traceRequest } from "../system/telemetry.ts";

const keys = {
  pepper: { id: "1", key: Buffer.alloc(32, 3) },
} as unknown as KeyRing;

const phi = `phi:
  tables:
    - match: { tools: [lookup] }
      columns: { mrn: { class: mrn, action: [tokenize, "truncate:4"] } }
`;
const data = policyParts(parseConfig(phi).config, keys);
const policy = auditPolicy({ ...data, randomBytes: pooledRandomBytes() });

function requestOf(
  bytes: Uint8Array,
  signal: TelemetryRequest["signal"] = "traces",
): TelemetryRequest {
  const peer = { address: "127.0.0.1", authenticated: true };
  return { signal, bytes, peer, receivedUnixNano: 1_795_241_720_486_777_046n };
}

/** What must be the same: all but the nonce, and the digest of the body that holds it. */
function comparable(batch: PreparedBatch): unknown {
  const { bodies, bodyEnds, digests, ...others } = batch;
  const texts = [...bodyEnds].map((end, at) =>
    Buffer.from(bodies.subarray(bodyEnds[at - 1] ?? 0, end)).toString(),
  );
  return {
    ...Object.fromEntries(
      Object.entries(others).map(([name, value]) => [
        name,
        ArrayBuffer.isView(value) ? [...(value as Uint8Array)].join() : value,
      ]),
    ),
    digests: digests.length,
    texts: texts.map((text) => text.replace(/"nonce":"[0-9a-f]{32}"/, "")),
  };
}

function reference(requests: readonly TelemetryRequest[]): unknown[] {
  const memory = new TraceMemory();
  return requests.map((request) => comparable(prepare(request, policy, memory)));
}

function silentLog(): { log: Log; messages: string[] } {
  const messages: string[] = [];
  const write = (_fields: object, message: string): void => void messages.push(message);
  return { log: { debug: write, info: write, warn: write, error: write }, messages };
}

/** No machine is too busy for a turn within so long. */
const patient = { queueTimeMsMax: 30_000 };

function onThreads(count: number): Promise<Preparer> {
  return openThreads({ count, data, log: silentLog().log, bounds: patient });
}

const ways: readonly [string, () => Preparer | Promise<Preparer>][] = [
  ["on this thread", () => inlinePreparer(policy)],
  ["on one thread", () => onThreads(1)],
  ["on three threads", () => onThreads(3)],
];

describe.each(ways)("%s", (_name, open) => {
  let preparer: Preparer;
  beforeAll(async () => {
    preparer = await open();
  });
  afterAll(() => preparer.close());

  const all = (requests: readonly TelemetryRequest[], connection: object): Promise<unknown[]> =>
    Promise.all(
      requests.map(async (request) => comparable(await preparer.prepare(request, connection))),
    );

  test("every signal, with and without personal data, empty, small and large", async () => {
    const requests = [
      requestOf(agentRequest({ seed: 1, spans: 512, personalDataShare: 0.02 })),
      requestOf(agentRequest({ seed: 2, spans: 1, personalDataShare: 0 })),
      requestOf(agentRequest({ seed: 3, spans: 64, personalDataShare: 1, textScale: 16 })),
      requestOf(new Uint8Array(0)),
      requestOf(logRequest(["mail jane.roe@example.com", "nothing"]), "logs"),
      requestOf(metricRequest(["jane.roe@example.com"]), "metrics"),
      requestOf(oneCall({ id: 7, members: { "gen_ai.tool.call.arguments": '{"mrn":"123"}' } })),
    ];
    const wanted = reference(requests);
    expect(await all(requests, {})).toEqual(wanted);
  });

  test("one memory for one connection: a data access finds the agent of an earlier request", async () => {
    const traceId = Buffer.alloc(16, 5);
    const spanOf = (id: number, names: Record<string, string>): Uint8Array =>
      traceRequest([
        {
          traceId,
          spanId: Buffer.alloc(8, id),
          name: "one",
          attributes: Object.entries(names).map(([key, value]) => ({
            key,
            value: { stringValue: value },
          })),
        },
      ]);
    const requests = [
      requestOf(spanOf(1, { "db.system.name": "postgresql", "db.query.text": "select 1" })),
      requestOf(spanOf(2, { "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "a" })),
      requestOf(spanOf(3, { "db.system.name": "postgresql", "db.query.text": "select 1" })),
    ];
    const wanted = reference(requests);
    const prepared = await all(requests, {});
    expect(prepared).toEqual(wanted);
    expect(prepared.map((batch) => JSON.stringify(batch).includes("orphan"))).toEqual([
      true,
      false,
      false,
    ]);
  });

  test("what lies beside a request's bytes is left alone", async () => {
    const body = agentRequest({ seed: 4, spans: 8, personalDataShare: 1 });
    const shared = Buffer.concat([Buffer.from("before"), body, Buffer.from("after")]);
    const before = Buffer.from(shared);
    await all([requestOf(shared.subarray(6, 6 + body.length))], {});
    expect(shared).toEqual(before);
  });

  test("what is refused is refused with the same words", async () => {
    const badName = oneCall({ id: 9, members: { "tenant.id": "bad\u0001name" } });
    for (const bytes of [Buffer.from([0x0a, 0xff]), badName]) {
      const request = requestOf(new Uint8Array(bytes));
      let wanted: unknown;
      try {
        prepare(request, policy, new TraceMemory());
      } catch (error) {
        wanted = error;
      }
      const caught = await Promise.resolve()
        .then(() => preparer.prepare(request, {}))
        .catch((error: unknown) => error);
      expect(caught).toBeInstanceOf(Error);
      expect(caught).toEqual(wanted);
      expect((caught as Error).constructor).toBe((wanted as Error).constructor);
    }
  });
});

describe("a thread that fails", () => {
  const script = new URL("hostile-thread.ts", import.meta.url);

  async function openHostile(): Promise<{ preparer: Preparer; messages: string[] }> {
    const { log, messages } = silentLog();
    const preparer = await openThreads({
      count: 1,
      data,
      log,
      script,
      bounds: { ...patient, silenceMsMax: 1500, heapMibMax: 64 },
    });
    onTestFinished(() => preparer.close());
    return { preparer, messages };
  }

  const order = (text: string): TelemetryRequest => requestOf(Buffer.from(text));
  const outcome = (done: PreparedBatch | Promise<PreparedBatch>): Promise<unknown> =>
    Promise.resolve(done).then(
      ({ unrecorded }) => unrecorded,
      (error: { code: string }) => error.code,
    );

  test.each(["exit", "throw", "hang", "exhaust"])(
    "%s: what it had is refused for a repeat, what waits goes to the next one",
    async (fault) => {
      const { preparer, messages } = await openHostile();
      const connection = {};
      expect(await outcome(preparer.prepare(order("1"), connection))).toBe(1);
      // The thread has the first two at a time.
      const texts = [fault, "lost with it", "22", "333"];
      const outcomes = await Promise.all(
        texts.map((text) => outcome(preparer.prepare(order(text), connection))),
      );
      expect(outcomes).toEqual(["unavailable", "unavailable", 2, 3]);
      expect(messages).toEqual(["a thread that prepares requests ended"]);
      expect(await outcome(preparer.prepare(order("4444"), connection))).toBe(4);
    },
  );

  test("a thread that works for long, answer after answer, is not taken for a silent one", async () => {
    const { preparer, messages } = await openHostile();
    const connection = {};
    const requests = Array.from({ length: 5 }, () => preparer.prepare(order("slow"), connection));
    expect(await Promise.all(requests.map(outcome))).toEqual(Array(5).fill(4));
    expect(messages).toEqual([]);
  });

  test("a sender of little is not behind the queue of one that sends much", async () => {
    const { preparer } = await openHostile();
    const order: string[] = [];
    const send = async (name: string, connection: object): Promise<void> => {
      await preparer.prepare(requestOf(Buffer.from("brief")), connection);
      order.push(name);
    };
    const greedy = {};
    const sent = Array.from({ length: 12 }, (_, at) => send(`greedy ${at}`, greedy));
    await sent[3];
    await Promise.all([...sent, send("small", {})]);
    expect(order.indexOf("small")).toBeLessThan(9);
  });

  test("one that did its work has nothing left to do", async () => {
    const bounds = { ...patient, silenceMsMax: 1500, heapMibMax: 64 };
    const lane = await Lane.open({ data, script, bounds, log: silentLog().log });
    onTestFinished(() => lane.close());
    const requests = ["1", "22"].map((text) =>
      lane.prepare(requestOf(Buffer.from(text)), { served: 0 }),
    );
    expect(lane.bytes).toBe(3);
    await Promise.all(requests);
    const whole = new Uint8Array(30_000).fill(0x31);
    await lane.prepare(requestOf(whole), { served: 0 });
    expect(lane.bytes).toBe(0);
  });

  test("closing refuses what is not done", async () => {
    const { preparer } = await openHostile();
    const done = ["hang", "1", "22"].map((text) => outcome(preparer.prepare(order(text), {})));
    await preparer.close();
    expect(await Promise.all(done)).toEqual(["draining", "draining", "draining"]);
    expect(await outcome(preparer.prepare(order("1"), {}))).toBe("draining");
  });

  test("one that cannot start is an error of the start, and nothing is left running", async () => {
    const missing = new URL("no-such-thread.ts", import.meta.url);
    const { log } = silentLog();
    await expect(openThreads({ count: 2, data, log, script: missing })).rejects.toThrow(
      "a thread that prepares requests could not start",
    );
  });
});
