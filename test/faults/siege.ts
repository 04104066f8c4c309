/**
 * A sidecar under attack: honest senders go on meanwhile, its memory and the time that its health
 * takes to answer are sampled, and what it closed and refused is counted.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { Agent, request as httpRequest } from "node:http";
import type { ClientHttp2Session } from "node:http2";
import { setTimeout as delay } from "node:timers/promises";
import { callOn, framed, openHttp2, openRaw, type RawConnection } from "../conformance/clients.ts";
import { launchSidecar, type SidecarProcess } from "../service/sidecar-process.ts";
import { expectVerified, metricsOf, recordsOf } from "../system/observation.ts";
import { oneCall } from "../system/telemetry.ts";

/** Stands in every hostile body: nothing of it may reach the log of the process. */
export const marker = "planted-by-a-hostile-sender";

/** As exporters repeat: each delay is twice the one before it. The SDKs begin with a second. */
const repeatsMax = 5;
const firstRepeatDelayMs = 250;

export interface Report {
  /** Requests of honest senders, all of them acknowledged, and how often one was sent again. */
  readonly honest: number;
  readonly repeats: number;
  readonly honestMsMax: number;
  /** The slowest answer of /healthz. */
  readonly healthMsMax: number;
  readonly memoryMiBMax: number;
  /** Connections that it closed for what their senders do, and requests that it refused. */
  readonly closed: number;
  readonly refused: number;
}

export class Siege {
  readonly sidecar: SidecarProcess;
  #nextId = 1;
  readonly #acknowledged: string[] = [];
  readonly #open: RawConnection[] = [];

  private constructor(sidecar: SidecarProcess) {
    this.sidecar = sidecar;
  }

  static async start(): Promise<Siege> {
    const service = { telemetry: { logs: { level: "debug" } } };
    return new Siege(await launchSidecar({ config: { service } }));
  }

  get http(): string {
    return `http://${this.sidecar.ready.endpoints.http}`;
  }

  get grpc(): string {
    return this.sidecar.ready.endpoints.grpc;
  }

  /** Hostile connections, closed after the attack. */
  async connect(address: string, count = 1): Promise<RawConnection[]> {
    const opened: RawConnection[] = [];
    for (let left = count; left > 0; left -= 50) {
      const some = Array.from({ length: Math.min(left, 50) }, () => openRaw(address));
      opened.push(...(await Promise.all(some)));
    }
    this.#open.push(...opened);
    return opened;
  }

  /**
   * Runs the attack beside honest senders, which repeat what they are asked to repeat.
   *
   * @throws where an honest sender is refused for good
   */
  async during(attack: () => Promise<void>): Promise<Report> {
    const before = await this.#counts();
    const watch = new AbortController();
    const honest = [this.#sendHttp(watch.signal), this.#sendGrpc(watch.signal)];
    const samples = this.#sample(watch.signal);
    const others = Promise.all([...honest, samples]);
    try {
      // Whoever fails first: what others met tells more than what the attack did then.
      await Promise.race([attack(), others]);
      // A little longer, so that what comes after an attack is seen as well.
      await delay(200);
    } finally {
      watch.abort();
      for (const { socket } of this.#open.splice(0)) socket.destroy();
      await Promise.allSettled([others]);
    }
    const sent = await Promise.all(honest);
    const { healthMsMax, memoryMiBMax } = await samples;
    const after = await this.#counts();
    return {
      honest: sent.reduce((sum, { count }) => sum + count, 0),
      repeats: sent.reduce((sum, { repeats }) => sum + repeats, 0),
      honestMsMax: Math.max(...sent.map(({ msMax }) => msMax)),
      healthMsMax,
      memoryMiBMax,
      closed: after.closed - before.closed,
      refused: after.refused - before.refused,
    };
  }

  /** Ends it: in order, with a sound log that has every honest record, and a log without payloads. */
  async lift(): Promise<void> {
    assert.equal(await this.sidecar.stop(), 0, this.sidecar.stderr().slice(-4_000));
    await expectVerified(this.sidecar.cwd);
    const records = await recordsOf(this.sidecar);
    const names = new Set(records.map(({ body }) => (body as Named).trace?.name));
    const lost = this.#acknowledged.filter((name) => !names.has(name));
    assert.deepEqual(lost, []);
    assert.ok(!this.sidecar.stderr().includes(marker));
  }

  async #counts(): Promise<{ closed: number; refused: number }> {
    const counts = { closed: 0, refused: 0 };
    for (const [name, value] of await metricsOf(this.sidecar)) {
      if (name.startsWith("spanseal_closed_connections_total")) counts.closed += value;
      if (name.startsWith("spanseal_rejected_requests_total")) counts.refused += value;
    }
    return counts;
  }

  /** Every other request on a connection of its own, as short-lived agents send. */
  async #sendHttp(signal: AbortSignal): Promise<Sent> {
    const kept = new Agent({ keepAlive: true, maxSockets: 1 });
    const sent = await this.#repeat(signal, async (body, count) => {
      const status = await this.#post(body, count % 2 === 0 ? kept : false);
      assert.ok(status === 200 || status === 503, `status ${status}`);
      return status === 200;
    });
    kept.destroy();
    return sent;
  }

  #post(body: Uint8Array, agent: Agent | false): Promise<number> {
    const headers = { "content-type": "application/x-protobuf" };
    return new Promise((resolve, reject) => {
      const target = new URL("/v1/traces", this.http);
      const request = httpRequest(target, { method: "POST", headers, agent }, (response) => {
        response.resume().on("end", () => resolve(response.statusCode!));
      });
      request.on("error", reject);
      request.end(body);
    });
  }

  async #sendGrpc(signal: AbortSignal): Promise<Sent> {
    let session: ClientHttp2Session = openHttp2(this.grpc);
    const sent = await this.#repeat(signal, async (body, count) => {
      if (count % 8 === 0) {
        session.destroy();
        session = openHttp2(this.grpc);
      }
      const { code, message } = await callOn(session, { body: framed(body) });
      assert.ok(code === 0 || code === 14, message);
      return code === 0;
    });
    session.destroy();
    return sent;
  }

  async #repeat(
    signal: AbortSignal,
    send: (body: Uint8Array, count: number) => Promise<boolean>,
  ): Promise<Sent> {
    let count = 0;
    let repeats = 0;
    let msMax = 0;
    while (!signal.aborted) {
      const name = `honest ${this.#nextId}`;
      const body = oneCall({ id: this.#nextId++, name });
      const started = performance.now();
      for (let repeat = 0; !(await send(body, count)); repeat++) {
        assert.ok(repeat < repeatsMax, "an honest sender gave up");
        repeats++;
        await delay(firstRepeatDelayMs * 2 ** repeat);
      }
      msMax = Math.max(msMax, performance.now() - started);
      this.#acknowledged.push(name);
      count++;
      await delay(20);
    }
    return { count, repeats, msMax };
  }

  async #sample(signal: AbortSignal): Promise<Pick<Report, "healthMsMax" | "memoryMiBMax">> {
    let healthMsMax = 0;
    let memoryMiBMax = 0;
    while (!signal.aborted) {
      const started = performance.now();
      const response = await this.sidecar.operations("/healthz");
      await response.arrayBuffer();
      assert.equal(response.status, 200);
      healthMsMax = Math.max(healthMsMax, performance.now() - started);
      memoryMiBMax = Math.max(memoryMiBMax, await this.#memoryMiB());
      await delay(50);
    }
    return { healthMsMax, memoryMiBMax };
  }

  /** Resident memory, from the kernel where there is /proc. */
  async #memoryMiB(): Promise<number> {
    try {
      const status = readFileSync(`/proc/${this.sidecar.child.pid}/status`, "utf8");
      return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)![1]) / 1024;
    } catch {
      const metrics = await metricsOf(this.sidecar);
      return metrics.get("process_resident_memory_bytes")! / 2 ** 20;
    }
  }
}

interface Sent {
  readonly count: number;
  readonly repeats: number;
  readonly msMax: number;
}

interface Named {
  readonly trace?: { readonly name?: string };
}
