/**
 * Whole connections against real listeners: whatever bytes come, the process does not fall, every
 * connection ends within its bounds, all memory is given back, nothing that was planted is in an
 * answer or the log, and the next sender is served, with its bytes as they were.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import type { AuditPolicy } from "../../src/audit/policy.ts";
import type { TelemetryRequest } from "../../src/audit/request.ts";
import {
  type IngestLogEntry,
  type ReceiverOptions,
  type Receivers,
  startReceivers,
} from "../../src/ingest/receivers.ts";
import { describeError } from "../../src/service/logged-error.ts";
import { askHttp, callGrpc, framed } from "../conformance/clients.ts";
import { PROTOBUF, spanProtobuf } from "../conformance/payloads.ts";
import { checkAccepted, redacting } from "./accepted.ts";
import { around, planted } from "./planted.ts";

export type Transport = "http" | "grpc";

const bounds: Partial<ReceiverOptions> = {
  requestBytesMax: 256 * 1024,
  inflightBytesMax: 1024 * 1024,
  requestsMax: 16,
  headerTimeMsMax: 5_000,
  bodyTimeMsMax: 5_000,
  // A busy machine may take long for what is well.
  answerTimeMsMax: 30_000,
  queueTimeMsMax: 30_000,
  standingTimeMsMax: 30_000,
};
/** Far beyond what any connection may take. */
const endMsMax = 60_000;
const quietMs = 4;
const piecesMax = 6;

const healthyName = "a request in good health";
const healthy = Buffer.from(spanProtobuf(healthyName));

/** Listeners that take what `audit` lets through. */
export class Listeners {
  readonly #receivers: Receivers;
  readonly #faults: unknown[];
  readonly #log: string[];

  private constructor(receivers: Receivers, faults: unknown[], log: string[]) {
    this.#receivers = receivers;
    this.#faults = faults;
    this.#log = log;
  }

  static async open(audit: AuditPolicy = redacting): Promise<Listeners> {
    const faults: unknown[] = [];
    const log: string[] = [];
    const loopback = { host: "127.0.0.1", port: 0 };
    const options: ReceiverOptions = {
      ...bounds,
      grpc: loopback,
      http: loopback,
      now: () => 1_795_241_720_486_777_046n,
      log(entry) {
        if (entry.message === "cannot answer") faults.push(entry.cause);
        log.push(asLogged(entry));
      },
      onRequest({ code }) {
        if (code === "unavailable")
          faults.push(new Error("a request failed for no fault of its own"));
      },
    };
    const receivers = await startReceivers(options, async (request) =>
      take(request, audit, faults),
    );
    return new Listeners(receivers, faults, log);
  }

  /** @throws where something does not hold. */
  async meet(transport: Transport, pieces: readonly Buffer[]): Promise<void> {
    const { port } = this.#receivers[transport]!;
    const answered = await converse(port, pieces);
    await this.#untilIdle();
    const said = [answered, ...this.#log.splice(0).map((line) => Buffer.from(line))];
    for (const value of planted) {
      for (const text of said) assert.equal(around(text, value), "");
    }
    await this.#serve();
    const [fault] = this.#faults.splice(0);
    if (fault !== undefined) throw fault;
  }

  close(): Promise<void> {
    return this.#receivers.close(0);
  }

  async #untilIdle(): Promise<void> {
    const end = performance.now() + endMsMax;
    for (;;) {
      const { requests, bytes } = this.#receivers.inFlight();
      if (requests === 0 && bytes === 0) return;
      assert.ok(performance.now() < end, `${requests} requests and ${bytes} bytes are kept`);
      await delay(1);
    }
  }

  async #serve(): Promise<void> {
    const { http, grpc } = this.#receivers;
    const asked = { headers: PROTOBUF, body: healthy };
    const answer = await askHttp(`http://127.0.0.1:${http!.port}`, asked);
    assert.equal(answer.status, 200, "the next sender over HTTP is not served");
    const called = await callGrpc(`127.0.0.1:${grpc!.port}`, { body: framed(healthy) });
    assert.equal(called.code, 0, `the next sender over gRPC is not served: ${called.message}`);
  }
}

function take({ signal, bytes }: TelemetryRequest, audit: AuditPolicy, faults: unknown[]): void {
  try {
    if (Buffer.from(bytes).includes(healthyName)) assert.deepEqual(Buffer.from(bytes), healthy);
    checkAccepted(signal, bytes, audit);
  } catch (error) {
    faults.push(error);
  }
}

/** All that the process would write of it; it has the words of every refusal. */
function asLogged({ message, cause, ...rest }: IngestLogEntry): string {
  return JSON.stringify({
    message,
    ...rest,
    cause: cause === undefined ? null : describeError(cause),
  });
}

/**
 * Sends the pieces, one after another, ends when no more answers come, and waits for the other end.
 *
 * @returns everything that was answered
 */
async function converse(port: number, pieces: readonly Buffer[]): Promise<Buffer> {
  const socket = connect(port, "127.0.0.1");
  const chunks: Buffer[] = [];
  let lastMs = 0;
  socket
    .on("error", () => undefined)
    .on("data", (chunk: Buffer) => {
      lastMs = performance.now();
      chunks.push(chunk);
    });
  const closed = new Promise<true>((resolve) => socket.once("close", () => resolve(true)));
  await once(socket, "connect");
  for (const piece of pieces) {
    if (socket.writable) socket.write(piece);
    await new Promise((resolve) => setImmediate(resolve));
  }
  do {
    lastMs = Math.max(lastMs, performance.now() - quietMs);
    await delay(quietMs / 2);
  } while (performance.now() - lastMs < quietMs);
  socket.end();
  const end = new AbortController();
  const late = delay(endMsMax, false, { signal: end.signal }).catch(() => true);
  const isClosed = await Promise.race([closed, late]);
  end.abort();
  socket.destroy();
  assert.ok(isClosed, `a connection is open ${endMsMax} ms after its sender ended it`);
  return Buffer.concat(chunks);
}

/** The first byte says in how many pieces the others come. */
export function inPieces(input: Buffer): Buffer[] {
  const count = 1 + ((input[0] ?? 0) % piecesMax);
  const bytes = input.subarray(1);
  const size = Math.max(1, Math.ceil(bytes.length / count));
  const pieces: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.subarray(at, at + size));
  return pieces;
}
