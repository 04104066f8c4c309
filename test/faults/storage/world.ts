/** A ledger, its senders and its sink over many real processes. */
import { setTimeout as delay } from "node:timers/promises";
import { onTestFinished } from "vitest";
import { startHttpSink } from "../../forward/http-sink-server.ts";
import type { HttpSinkServer } from "../../forward/http-sink-server.ts";
import { startSidecar, temporaryFolder } from "../../service/sidecar-process.ts";
import type { SidecarProcess, StartOptions } from "../../service/sidecar-process.ts";
import { recordsIn } from "../../system/observation.ts";
import { oneCall, postTo } from "../../system/telemetry.ts";
import { spanseal } from "../../cli/command.ts";
import { addCounts, countRun, countStuck } from "./counts.ts";
import type { Counts } from "./counts.ts";

const senders = 4;
const answerMsMax = 30_000;
const drainMsMax = 60_000;

export class World {
  readonly cwd = temporaryFolder();
  readonly acknowledged: string[] = [];
  readonly sent = new Set<string>();
  readonly sink: HttpSinkServer;
  #next = 0;

  private constructor(sink: HttpSinkServer) {
    this.sink = sink;
  }

  static async open(): Promise<World> {
    const sink = await startHttpSink();
    onTestFinished(() => sink.close());
    return new World(sink);
  }

  get config(): Readonly<Record<string, unknown>> {
    const retry = { initial_interval: "20ms", max_interval: "200ms" };
    return {
      publish: { interval: "1s" },
      exporters: { otlp_http: { endpoint: this.sink.url, retry_on_failure: retry } },
    };
  }

  start(options: Pick<StartOptions, "env" | "under"> = {}): Promise<SidecarProcess> {
    return startSidecar({ cwd: this.cwd, config: this.config, ...options });
  }

  /** One record; the status of its answer, 0 without one. */
  async send(sidecar: SidecarProcess, bulk = ""): Promise<number> {
    const id = this.#next++;
    const name = `call ${id}`;
    this.sent.add(name);
    const members = { "gen_ai.tool.call.result": bulk };
    try {
      const signal = AbortSignal.timeout(answerMsMax);
      const body = oneCall({ id, name, members });
      const response = await Promise.race([
        postTo(sidecar, "traces", body),
        new Promise<never>((_, reject) => signal.addEventListener("abort", reject)),
      ]);
      await response.arrayBuffer();
      if (response.status === 200) this.acknowledged.push(name);
      return response.status;
    } catch {
      return 0;
    }
  }

  async sendAll(sidecar: SidecarProcess, count: number): Promise<void> {
    for (let at = 0; at < count; at++) {
      const status = await this.send(sidecar);
      if (status !== 200) throw new Error(`a request was answered with ${status}`);
    }
  }

  /** Senders that send as fast as they are answered, until the returned function is called. */
  load(sidecar: SidecarProcess, bulk = ""): () => Promise<void> {
    const over = new AbortController();
    const one = async (): Promise<void> => {
      while (!over.signal.aborted) {
        const status = await this.send(sidecar, bulk);
        // Killed, or refused for a while.
        if (status !== 200) await delay(10);
      }
    };
    const running = Promise.all(Array.from({ length: senders }, one));
    return async () => {
      over.abort();
      await running;
    };
  }

  /** Starts once more without faults; what is there then is counted. */
  async judge(counts: Counts): Promise<void> {
    try {
      const sidecar = await this.start();
      await this.sendAll(sidecar, 1);
      await this.drained();
      await sidecar.stop();
      addCounts(counts, await this.#count(sidecar.ready.ledger));
    } catch (error) {
      addCounts(counts, countStuck(error));
    }
  }

  async drained(): Promise<void> {
    const end = performance.now() + drainMsMax;
    const isMissing = (): boolean => {
      const there = new Set(this.sink.names);
      return this.acknowledged.some((name) => !there.has(name));
    };
    while (isMissing() && performance.now() < end) await delay(50);
  }

  async #count(ledger: string): Promise<Counts> {
    const records = await recordsIn(ledger, "action");
    const parameters = ["verify", "--config", "spanseal.yaml", "--json"];
    const { code, stdout, stderr } = await spanseal(parameters, { cwd: this.cwd });
    const failures = code === 0 ? [] : [`verify ended with ${code}: ${stdout}${stderr}`];
    return countRun({
      acknowledged: this.acknowledged,
      sent: this.sent,
      recorded: records.map(({ body }) => body.trace.name as string),
      forwarded: new Set(this.sink.names),
      failures,
    });
  }
}
