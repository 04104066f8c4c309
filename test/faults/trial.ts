/**
 * One sidecar with a sink in trouble: what senders were told, what the sink got, and what the log
 * says of the rest. Everything that was acknowledged must be in one of the last two.
 */
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { onTestFinished } from "vitest";
import type { TestContext } from "vitest";
import type { Signal } from "../../src/audit/otlp/schema.ts";
import { spanseal } from "../cli/command.ts";
import { startSidecar } from "../service/sidecar-process.ts";
import type { SidecarProcess } from "../service/sidecar-process.ts";
import type { Plain } from "../support/otlp-writer.ts";
import { eventually, expectVerified, metricsOf, readinessOf } from "../system/observation.ts";
import { postTo, signals } from "../system/telemetry.ts";
import { record } from "./outcome.ts";
import { labelled, labelOf } from "./requests.ts";
import type { Sink } from "./sinks.ts";

/** What became of all that was acknowledged. */
export interface Verdict {
  readonly acknowledged: number;
  readonly delivered: number;
  /** Acknowledged, neither delivered nor named by a record. */
  readonly lost: number;
  /** Deliveries beyond the first. */
  readonly duplicates: number;
  readonly outOfOrder: number;
}

export interface ControlSeen {
  readonly index: number;
  readonly body: Readonly<Record<string, unknown>>;
}

export class Trial {
  #sidecar: SidecarProcess;
  #config: Plain;
  #nextId = 1;
  readonly acknowledged: string[] = [];
  /** Sinks that took something, in the order in which they were there. */
  readonly sinks: Sink[] = [];

  private constructor(sidecar: SidecarProcess, config: Plain) {
    this.#sidecar = sidecar;
    this.#config = config;
  }

  static async start(config: Plain, ...sinks: Sink[]): Promise<Trial> {
    const trial = new Trial(await startSidecar({ config }), config);
    // The long ones leave hundreds of megabytes.
    onTestFinished(() => rmSync(trial.sidecar.cwd, { recursive: true, force: true }));
    trial.sinks.push(...sinks);
    return trial;
  }

  get sidecar(): SidecarProcess {
    return this.#sidecar;
  }

  /** @returns the answer's status; where it is 200 the request counts as acknowledged. */
  async trySend(signal: Signal, byteCount?: number): Promise<number> {
    const id = this.#nextId++;
    const response = await postTo(this.#sidecar, signal, labelled(signal, id, byteCount));
    await response.arrayBuffer();
    if (response.status === 200) this.acknowledged.push(labelOf(signal, id));
    return response.status;
  }

  /** Sends so many requests of a signal one after another; all must be acknowledged. */
  async send(count: number, signal: Signal = "traces", byteCount?: number): Promise<void> {
    for (let sent = 0; sent < count; sent++) {
      assert.equal(await this.trySend(signal, byteCount), 200);
    }
  }

  /** Some of each signal. */
  async sendAll(count: number): Promise<void> {
    await Promise.all(signals.map((signal) => this.send(count, signal)));
  }

  /** Ends the process without a warning and starts it again. */
  async kill(config: Plain = this.#config): Promise<void> {
    assert.equal(await this.#sidecar.stop("SIGKILL"), null);
    await this.#startAgain(config);
  }

  /** Ends the process in order and starts it again. */
  async restart(config: Plain = this.#config): Promise<void> {
    assert.equal(await this.#sidecar.stop(), 0);
    await this.#startAgain(config);
  }

  async #startAgain(config: Plain): Promise<void> {
    this.#config = config;
    this.#sidecar = await startSidecar({ cwd: this.#sidecar.cwd, config });
  }

  /** Waits until readiness says that `signal` is in that state for that reason. */
  async waitUntil(state: "retrying" | "held", reason: RegExp): Promise<void> {
    await eventually(async () => {
      const seen = await readinessOf(this.#sidecar);
      const told = state === "held" ? seen.reasons : seen.warnings;
      assert.match(told, new RegExp(`forwarding of traces is ${state}: .*(?:${reason.source})`));
      assert.equal(seen.code, state === "held" ? 503 : 200);
    });
    const words = state === "held" ? "its queue is held" : "retrying";
    await eventually(() => assert.ok(this.#sidecar.stderr().includes(words)));
    const queued = (await metricsOf(this.#sidecar)).get(queueBytes);
    assert.ok(queued !== undefined && queued > 0);
  }

  /** Control records of one kind, as an operator finds them. */
  async query(kind: string): Promise<ControlSeen[]> {
    const parameters = ["query", "--kind", kind, "--json", "--config", "spanseal.yaml"];
    const { code, stdout } = await spanseal(parameters, { cwd: this.#sidecar.cwd });
    assert.equal(code, stdout === "" ? 1 : 0);
    const lines = stdout.split("\n").filter((line) => line !== "");
    return lines.map((line) => JSON.parse(line) as ControlSeen);
  }

  delivered(): string[] {
    return this.sinks.flatMap((sink) => sink.labels());
  }

  /** Waits until all that was acknowledged is delivered, but for what the sink refused. */
  async settle(refused: readonly string[] = []): Promise<void> {
    const wanted = new Set(this.acknowledged.filter((label) => !refused.includes(label)));
    await eventually(() => {
      const seen = new Set(this.delivered());
      const missing = [...wanted].filter((label) => !seen.has(label));
      assert.deepEqual(missing, []);
    });
    await eventually(async () => {
      const seen = await readinessOf(this.#sidecar);
      assert.deepEqual(seen, { code: 200, reasons: "", warnings: "" });
      assert.equal((await metricsOf(this.#sidecar)).get(queueBytes), 0);
    });
  }

  /** Ends the sidecar in order, verifies its log, and counts. */
  async judge(refused: readonly string[] = []): Promise<Verdict> {
    assert.equal(await this.#sidecar.stop(), 0);
    await expectVerified(this.#sidecar.cwd);
    const all = this.delivered();
    const first = [...new Set(all)];
    const unrefused = this.acknowledged.filter((label) => !refused.includes(label));
    return {
      acknowledged: this.acknowledged.length,
      delivered: first.length,
      lost: unrefused.filter((label) => !first.includes(label)).length,
      duplicates: all.length - first.length,
      outOfOrder: signals
        .map((signal) => outOfOrder(first.filter((label) => label.startsWith(signal))))
        .reduce((sum, count) => sum + count, 0),
    };
  }
}

/** Nothing that was acknowledged is missing, and each signal came in its order. */
export const kept = { lost: 0, outOfOrder: 0 };

export interface Conclusion {
  /** Labels that a record says were not delivered. */
  readonly refused?: readonly string[];
  /** What the log says, in a few words. */
  readonly recordedAs?: string;
}

/** Waits until everything has arrived, ends the sidecar, and makes the row of the table. */
export async function conclude(
  trial: Trial,
  context: TestContext,
  { refused = [], recordedAs = "-" }: Conclusion = {},
): Promise<Verdict> {
  await trial.settle(refused);
  const verdict = await trial.judge(refused);
  const { acknowledged, delivered, lost, duplicates, outOfOrder } = verdict;
  record(context, {
    table: "SINK",
    cells: {
      acknowledged,
      delivered,
      lost,
      duplicates,
      "out of order": outOfOrder,
      "recorded as": recordedAs,
    },
  });
  return verdict;
}

/** Retries that a test can wait for. */
export const quick = { initial_interval: "10ms", max_interval: "100ms" };

const queueBytes = 'spanseal_forward_queue_bytes{signal="traces"}';

/** Labels that come after one that was sent later. */
function outOfOrder(labels: readonly string[]): number {
  let highest = 0;
  let count = 0;
  for (const label of labels) {
    const id = Number(label.split("-")[1]);
    if (id < highest) count++;
    highest = Math.max(highest, id);
  }
  return count;
}
