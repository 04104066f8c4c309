/** Killed without warning under load, again and again: what was acknowledged is there. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { gunzipSync } from "node:zlib";
import { expect, onTestFinished, test } from "vitest";
import { readRecords } from "../../src/ledger/read.ts";
import { spanseal } from "../cli/command.ts";
import { startSidecar, temporaryFolder } from "../service/sidecar-process.ts";
import { agentRequest, Random } from "../support/agent-load.ts";
import { eventually } from "../system/observation.ts";
import { UniqueSpans, spanIdText, spanIdsOf } from "../support/unique-spans.ts";

const rounds = 20;
const senders = 4;

test("SIGKILL under load loses nothing that was acknowledged", { timeout: 280_000 }, async () => {
  const seed = Number(process.env["SPANSEAL_TEST_SEED"] ?? Date.now() % 1_000_000);
  console.log(`seed ${seed}: repeat with SPANSEAL_TEST_SEED=${seed}`);
  const random = new Random(seed);
  const cwd = temporaryFolder();
  const sink = await startCountingSink();
  const config = { exporters: { otlp_http: { endpoint: sink.endpoint } } };
  const load = new Load();
  for (let round = 0; round < rounds; round++) {
    const sidecar = await startSidecar({ cwd, config });
    // Every other time only when it has acknowledged something: a busy machine may take that long.
    const wanted = load.acknowledged.size + (round % 2);
    const stop = load.start(`http://${sidecar.ready.endpoints.http}/v1/traces`);
    await eventually(() => expect(load.acknowledged.size).toBeGreaterThanOrEqual(wanted));
    await sleep(50 + random.integer(500));
    await sidecar.stop("SIGKILL");
    await stop();
  }
  expect(load.acknowledged.size).toBeGreaterThanOrEqual((rounds / 2) * 64);

  const last = await startSidecar({ cwd, config });
  await eventually(() => expect(sink.missing(load.acknowledged)).toEqual([]));
  expect(await last.stop()).toBe(0);

  const recorded = new Set<string>();
  let recoveries = 0;
  for await (const { head, body } of readRecords(last.ready.ledger)) {
    if (head.kind === "recovered") recoveries++;
    if (head.kind !== "action") continue;
    recorded.add(JSON.parse(Buffer.from(body!).toString()).trace.span_id);
  }
  expect([...load.acknowledged].filter((id) => !recorded.has(id))).toEqual([]);
  expect([...recorded].filter((id) => !load.sent.has(id))).toEqual([]);
  expect(recoveries).toBe(rounds);
  const verified = await spanseal(["verify", "--config", "spanseal.yaml", "--json"], { cwd });
  expect(JSON.parse(verified.stdout)).toMatchObject({ verdict: "ok", failureCount: 0 });
});

/** Several senders that send as fast as they are answered, and note what was acknowledged. */
class Load {
  readonly acknowledged = new Set<string>();
  readonly sent = new Set<string>();
  readonly #spans = new UniqueSpans(agentRequest({ seed: 7, spans: 64, personalDataShare: 0.02 }));
  #next = 1n;

  start(url: string): () => Promise<void> {
    const abort = new AbortController();
    const running = Array.from({ length: senders }, () => this.#send(url, abort.signal));
    return async () => {
      abort.abort();
      await Promise.all(running);
    };
  }

  async #send(url: string, signal: AbortSignal): Promise<void> {
    const headers = { "content-type": "application/x-protobuf" };
    while (!signal.aborted) {
      const first = this.#next;
      this.#next += BigInt(this.#spans.count);
      const ids = Array.from({ length: this.#spans.count }, (_, at) =>
        spanIdText(first + BigInt(at)),
      );
      ids.forEach((id) => this.sent.add(id));
      const body = this.#spans.stamped(first);
      try {
        const response = await fetch(url, { method: "POST", headers, body, signal });
        if (response.status === 200) ids.forEach((id) => this.acknowledged.add(id));
      } catch {
        // Killed in the middle: not acknowledged, and nothing to send to until the next round.
        return;
      }
    }
  }
}

interface CountingSink {
  readonly endpoint: string;
  /** At most a few of the ids that were not received. */
  missing(ids: ReadonlySet<string>): string[];
}

async function startCountingSink(): Promise<CountingSink> {
  const received = new Set<string>();
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      for (const id of spanIdsOf(gunzipSync(Buffer.concat(chunks)))) received.add(id);
      response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
    });
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return {
    endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    missing: (ids) => [...ids].filter((id) => !received.has(id)).slice(0, 5),
  };
}
