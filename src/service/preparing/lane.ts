/**
 * One thread with the requests that wait for it. The thread has a few at a time, so that it is
 * never idle and little is lost with it; the others wait their turn, senders by how little they had.
 */
import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { PreparedBatch } from "../../audit/prepared-batch.ts";
import type { TelemetryRequest } from "../../audit/request.ts";
import { Refusal } from "../../ingest/refusal.ts";
import { Turns } from "../../ingest/turns.ts";
import type { Sender } from "../../ingest/turns.ts";
import {
  threadRequestsMax,
  threadRestartMsMax,
  threadRestartMsMin,
  threadYoungGenerationMib,
} from "../../limits.ts";
import type { Log } from "../log.ts";
import { batchOf, ready, taskOf } from "./messages.ts";
import type { Answer, ThreadData } from "./messages.ts";

export interface LaneBounds {
  /** A request that waited so long for its turn is refused. */
  readonly queueTimeMsMax: number;
  /** A thread that has work and says nothing for so long is ended. */
  readonly silenceMsMax: number;
  /** Old generation of the thread's heap, in MiB; a request that needs more ends the thread. */
  readonly heapMibMax: number;
}

export interface LaneOptions {
  readonly data: ThreadData;
  /** What the thread runs. */
  readonly script: URL;
  readonly bounds: LaneBounds;
  readonly log: Log;
}

interface Job {
  readonly request: TelemetryRequest;
  readonly resolve: (batch: PreparedBatch) => void;
  readonly reject: (error: unknown) => void;
}

export class Lane {
  readonly #options: LaneOptions;
  readonly #turns: Turns;
  /** Have their turn, oldest first: the thread has those before `#unsent`. */
  readonly #jobs: Job[] = [];
  #unsent = 0;
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
    const { queueTimeMsMax } = options.bounds;
    // The work costs this thread nothing, so it is not cut into slices.
    this.#turns = new Turns({ queueTimeMsMax, workSliceMs: Infinity, atOnce: threadRequestsMax });
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

  async prepare(request: TelemetryRequest, sender: Sender): Promise<PreparedBatch> {
    // Then the thread has them.
    const { length } = request.bytes;
    this.#bytes += length;
    try {
      const turn = await this.#turns.take(sender);
      return await this.#hand(request).finally(() => turn.end());
    } finally {
      this.#bytes -= length;
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    clearTimeout(this.#restart);
    this.#refuse(this.#jobs.length, draining);
    await this.#worker?.terminate();
  }

  #hand(request: TelemetryRequest): Promise<PreparedBatch> {
    if (this.#isClosed) return Promise.reject(draining());
    return new Promise((resolve, reject) => {
      this.#jobs.push({ request, resolve, reject });
      this.#unsent++;
      if (this.#isReady) this.#send();
    });
  }

  #start(): Worker {
    const worker = new Worker(this.#options.script, {
      workerData: this.#options.data,
      env: {},
      resourceLimits: {
        maxYoungGenerationSizeMb: threadYoungGenerationMib,
        maxOldGenerationSizeMb: this.#options.bounds.heapMibMax,
      },
    });
    this.#worker = worker;
    worker.on("message", (message: Answer | typeof ready) => {
      if (message !== ready) return this.#take(message);
      this.#isReady = true;
      this.#send();
    });
    worker.on("messageerror", (error) => this.#end(error));
    // An exit follows.
    worker.on("error", (error) => (this.#cause = error));
    worker.on("exit", (code) => this.#ended(code));
    return worker;
  }

  #send(): void {
    for (; this.#unsent > 0; this.#unsent--) {
      const { task, transfer } = taskOf(this.#jobs.at(-this.#unsent)!.request);
      this.#worker!.postMessage(task, transfer);
      const { silenceMsMax } = this.#options.bounds;
      this.#silence ??= setTimeout(() => this.#end(silent), silenceMsMax).unref();
    }
  }

  #take(answer: Answer): void {
    const job = this.#jobs.shift();
    if (job === undefined) return;
    this.#failures = 0;
    this.#silence?.refresh();
    if (this.#jobs.length === 0) this.#clearSilence();
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
    // Where not even a start succeeds, nothing is kept waiting for one.
    const lost = wasReady ? this.#jobs.length - this.#unsent : this.#jobs.length;
    this.#refuse(lost, () => ended(cause));
    const delayMs = threadRestartMsMin * 2 ** Math.min(this.#failures++, 10);
    this.#restart = setTimeout(() => this.#start(), Math.min(delayMs, threadRestartMsMax));
  }

  /** The oldest ones. */
  #refuse(count: number, refusal: () => Refusal): void {
    for (const { reject } of this.#jobs.splice(0, count)) reject(refusal());
    this.#unsent = Math.min(this.#unsent, this.#jobs.length);
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
