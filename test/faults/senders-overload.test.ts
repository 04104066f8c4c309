/** More than can be done: what cannot be taken is refused, early, and who sends little is served. */
import { Agent, request as httpRequest } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { agentRequest } from "../support/agent-load.ts";
import { UniqueSpans } from "../support/unique-spans.ts";
import { metricsOf } from "../system/observation.ts";
import { harms } from "./senders.ts";
import { Siege } from "./siege.ts";

/** The shortest attack, and what must have come of it, however long that takes on a busy machine. */
const attackMsMin = 6_000;
const answersMin = 20;

let siege: Siege;

beforeAll(async () => {
  siege = await Siege.start();
});

afterAll(() => siege.lift());

interface Tally {
  accepted: number;
  refused: number;
  /** Status and Retry-After of the refusals. */
  readonly answers: Set<string>;
  /** Of those that were accepted. */
  readonly ms: number[];
}

const large = new UniqueSpans(agentRequest({ seed: 3, spans: 512, personalDataShare: 0.02 }));
let nextSpan = 1n << 40n;

function stamped(): Uint8Array {
  const body = large.stamped(nextSpan);
  nextSpan += BigInt(large.count);
  return body;
}

/** Sends large requests one after another, and repeats nothing. */
async function greedy(agent: Agent, tally: Tally, isOver: () => boolean): Promise<void> {
  while (!isOver()) {
    const started = performance.now();
    // Who is refused and goes on sending for too long is cut off: exporters repeat that, too.
    const answer = await post(agent, stamped()).catch(() => undefined);
    if (answer === undefined) continue;
    const { status, retryAfter } = answer;
    if (status === 200) {
      tally.accepted++;
      tally.ms.push(performance.now() - started);
    } else {
      tally.refused++;
      tally.answers.add(`${status} ${retryAfter}`);
      // Sooner than it was asked to.
      await delay(50);
    }
  }
}

function post(agent: Agent, body: Uint8Array): Promise<{ status: number; retryAfter?: string }> {
  const headers = { "content-type": "application/x-protobuf", "content-length": body.length };
  return new Promise((resolve, reject) => {
    const target = new URL("/v1/traces", siege.http);
    const request = httpRequest(target, { method: "POST", headers, agent }, (response) => {
      const retryAfter = response.headers["retry-after"];
      const status = response.statusCode!;
      response.resume().on("end", () => {
        resolve({ status, ...(retryAfter === undefined ? {} : { retryAfter }) });
      });
    });
    request.on("error", reject);
    request.end(body);
  });
}

function percentile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((left, right) => left - right);
  return sorted[Math.floor(share * (sorted.length - 1))] ?? 0;
}

describe("overload", () => {
  test.for([64, 256])("%i connections that send 512 spans at a time", async (count, context) => {
    const tally: Tally = { accepted: 0, refused: 0, answers: new Set(), ms: [] };
    const agents = Array.from(
      { length: count },
      () => new Agent({ keepAlive: true, maxSockets: 1 }),
    );
    const report = await siege.during(async () => {
      const least = performance.now() + attackMsMin;
      const isOver = (): boolean =>
        performance.now() > least && Math.min(tally.accepted, tally.refused) > answersMin;
      await Promise.all(agents.map((agent) => greedy(agent, tally, isOver)));
    });
    for (const agent of agents) agent.destroy();

    // Two that send one span at a time go on beside them: one that gives up would have ended it.
    expect([...tally.answers]).toEqual(["503 1"]);
    const p99 = Math.ceil(percentile(tally.ms, 0.99) / 100) * 100;
    const part = Math.round((100 * tally.accepted) / (tally.accepted + tally.refused));
    const answer = `${part} % of requests accepted (p99 < ${p99} ms), 503 to the others`;
    expect(harms(context, answer, report)).toEqual([]);

    const metrics = await metricsOf(siege.sidecar);
    const overloaded = 'spanseal_rejected_requests_total{code="overloaded",transport="http"}';
    expect(metrics.get(overloaded)).toBeGreaterThanOrEqual(tally.refused);
    // And when it is over, nothing of it is left.
    expect((await post(new Agent(), stamped())).status).toBe(200);
  });
});
