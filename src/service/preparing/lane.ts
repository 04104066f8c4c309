/**
 * One thread with the requests that wait for it. The thread has at most a few at a time, so that
 * little is lost with it; the others wait here, and go to its successor where it ends.
 */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { PreparedBatch } from "../../audit/prepared-batch.ts";
import type { TelemetryRequest } from "../../audit/request.ts";
import { Refusal } from "../../ingest/refusal.ts";
import {
  threadRequestsMax,
  threadRestartMsMax,
  threadRestartMsMin,
  threadYoungGenerationMib,
} from "../../limits.ts";
import type { Log } from "../log.ts";
import { batchOf, ready, taskOf } from "./messages.ts";
import type { Answer, ThreadData } from "./messages.ts";

export interface LaneOptions {
  readonly data: ThreadData;
  /** What the thread runs. */
  readonly script: URL;
  /** A thread that has work and says nothing for so long is ended. */
  readonly silenceMsMax: number;
  /** Old generation of its heap, in MiB; a request that needs more ends the thread. */
  readonly heapMibMax: number;
  readonly log: Log;
}

interface Job {
  readonly request: TelemetryRequest;
  readonly resolve: (batch: PreparedBatch) => void;
  readonly reject: (error: unknown) => void;
}

export class Lane {
  readonly #options: LaneOptions;
  readonly #waiting: Job[] = [];
  /** The thread has them, oldest first. */
  readonly #sent: Job[] = [];
  #worker: Worker | undefined;
  #isReady = false;
  /** Ends since the last answer. */
  #failures = 0;
  #cause: unknown;
  #silence: NodeJS.Timeout | undefined;
  #restart: NodeJS.Timeout | undefined;
  #isClosed = false;
  #bytes = 0;

  private constructor(options: LaneOptions) {
    this.#options = options;
  }

  /** Resolves when the thread is ready. @throws where it ends before that */
  static async open(options: LaneOptions): Promise<Lane> {
    const lane = new Lane(options);
    const worker = lane.#start();
    try {
      await Promise.race([once(worker, "message"), neverReady(worker)]);
      return lane;
    } catch (cause) {
      await lane.close();
      throw new Error("a thread that prepares requests could not start", { cause });
    }
  }

  /** Of the requests that are not prepared. */
  get bytes(): number {
    return this.#bytes;
  }

  prepare(request: TelemetryRequest): Promise<PreparedBatch> {
    if (this.#isClosed) return Promise.reject(draining());
    return new Promise((resolve, reject) => {
      this.#waiting.push({ request, resolve, reject });
      this.#bytes += request.bytes.length;
      this.#send();
    });
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#restart);
    this.#refuse([...this.#sent.splice(0), ...this.#waiting.splice(0)], draining);
    await this.#worker?.terminate();
  }

  #start(): Worker {
    const worker = new Worker(this.#options.script, {
      workerData: this.#options.data,
      env: {},
      resourceLimits: {
        maxYoungGenerationSizeMb: threadYoungGenerationMib,
        maxOldGenerationSizeMb: this.#options.heapMibMax,
      },
    });
    this.#worker = worker;
    worker.on("message", (message: Answer | typeof ready) => {
      if (message === ready) this.#begin();
      else this.#take(message);
    });
    worker.on("messageerror", (error) => this.#end(error));
    // An exit follows.
    worker.on("error", (error) => (this.#cause = error));
    worker.on("exit", (code) => this.#ended(code));
    return worker;
  }

  #begin(): void {
    this.#isReady = true;
    this.#send();
  }

  #send(): void {
    while (this.#isReady && this.#sent.length < threadRequestsMax && this.#waiting.length > 0) {
      const job = this.#waiting.shift()!;
      this.#sent.push(job);
      const { task, transfer } = taskOf(job.request);
      this.#worker!.postMessage(task, transfer);
      this.#silence ??= setTimeout(() => this.#end(silent), this.#options.silenceMsMax).unref();
    }
  }

  #take(answer: Answer): void {
    const job = this.#sent.shift();
    if (job === undefined) return;
    this.#failures = 0;
    this.#bytes -= job.request.bytes.length;
    this.#silence?.refresh();
    if (this.#sent.length + this.#waiting.length === 0) this.#clearSilence();
    this.#send();
    try {
      job.resolve(batchOf(answer));
    } catch (error) {
      job.reject(error);
    }
  }

  #end(cause: unknown): void {
    this.#cause = cause;
    void this.#worker?.terminate();
  }

  /** What the thread had is refused: it was not recorded, and its sender comes again. */
  #ended(code: number): void {
    const cause = this.#cause ?? new Error(`it exited with ${code}`);
    const wasReady = this.#isReady;
    this.#cause = undefined;
    this.#isReady = false;
    this.#worker = undefined;
    this.#clearSilence();
    if (this.#isClosed) return;
    this.#options.log.error({ error: cause }, "a thread that prepares requests ended");
    const lost = this.#sent.splice(0);
    // Where not even a start succeeds, nothing is kept waiting for one.
    if (!wasReady) lost.push(...this.#waiting.splice(0));
    this.#refuse(lost, () => ended(cause));
    const delayMs = threadRestartMsMin * 2 ** Math.min(this.#failures++, 10);
    this.#restart = setTimeout(() => this.#start(), Math.min(delayMs, threadRestartMsMax));
  }

  #refuse(jobs: readonly Job[], refusal: () => Refusal): void {
    for (const { request, reject } of jobs) {
      this.#bytes -= request.bytes.length;
      reject(refusal());
    }
  }

  #clearSilence(): void {
    clearTimeout(this.#silence);
    this.#silence = undefined;
  }
}

async function neverReady(worker: Worker): Promise<never> {
  const [code] = (await once(worker, "exit")) as [number];
  throw new Error(`it exited with ${code}`);
}

const silent = new Error("it had work and said nothing for too long");

function ended(cause: unknown): Refusal {
  const message = "the request could not be prepared: send it again";
  return new Refusal("unavailable", message, cause);
}

function draining(): Refusal {
  return new Refusal("draining", "the receiver is shutting down");
}
