/**
 * The load: a process of its own, so that its CPU time is not the sidecar's. Without a rate each
 * sender has one request in flight, which saturates; with one, requests leave when they are due
 * whatever became of those before. Prints one line of JSON.
 *
 *   node test/bench/load.ts --port N [--protocol grpc|http|json] [--compression none|gzip|zstd]
 *     [--spans N] [--batch 512] [--size "880 B"] [--share 0.02] [--senders 4] [--rate spans/s]
 */
import http from "node:http";
import http2 from "node:http2";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { agentTelemetry } from "../support/agent-load.ts";
import { encodeOtlp, encodeOtlpJson } from "../support/otlp-writer.ts";
import { UniqueSpans } from "../support/unique-spans.ts";
import { sizes } from "./sizes.ts";
import type { Size } from "./sizes.ts";

const distinctRequests = 48;

const { values } = parseArgs({
  options: {
    port: { type: "string" },
    protocol: { type: "string", default: "grpc" },
    compression: { type: "string", default: "none" },
    spans: { type: "string", default: "100000" },
    batch: { type: "string", default: "512" },
    size: { type: "string", default: "880 B" },
    share: { type: "string", default: "0.02" },
    senders: { type: "string", default: "4" },
    rate: { type: "string", default: "0" },
    seed: { type: "string", default: "1" },
  },
});

const port = Number(values.port);
const batch = Number(values.batch);
const requests = Math.ceil(Number(values.spans) / batch);
const rate = Number(values.rate);
const json = values.protocol === "json";

/** `refused`: to be sent again. */
type Answer = "accepted" | "refused" | "failed";
type Send = (body: Uint8Array) => Promise<Answer>;

export interface Latencies {
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
}

/** Latencies are those of accepted requests. */
export interface LoadResult extends Latencies {
  /** Spans. */
  readonly accepted: number;
  readonly refused: number;
  readonly failed: number;
  /** How long a refusal took. */
  readonly refusals: Latencies;
  readonly seconds: number;
  readonly bytesPerSpan: number;
  readonly senders: readonly Latencies[];
}

function template(seed: number): UniqueSpans {
  const telemetry = agentTelemetry({
    ...sizes[values.size as Size],
    seed,
    spans: batch,
    personalDataShare: Number(values.share),
  });
  const name = "ExportTraceServiceRequest";
  return new UniqueSpans(
    json ? Buffer.from(encodeOtlpJson(name, telemetry)) : encodeOtlp(name, telemetry),
    "trace",
  );
}

/** The bodies in order, each with ids of its own; compressed ones are made before the clock runs. */
function bodies(templates: readonly UniqueSpans[]): (index: number) => Uint8Array {
  let nextId = BigInt(Date.now()) << 20n;
  const make = (index: number): Uint8Array => {
    const body = templates[index % templates.length]!.stamped(nextId);
    nextId += BigInt(batch);
    return body;
  };
  if (values.compression === "none") return make;
  const compress = values.compression === "zstd" ? zstdCompressSync : gzipSync;
  const ready = Array.from({ length: requests }, (_, index) => compress(make(index)));
  return (index) => ready[index]!;
}

/** Its own framing, because a client library would compress within the time that is measured. */
function grpcSender(): Send {
  const session = http2.connect(`http://127.0.0.1:${port}`, {
    settings: { initialWindowSize: 1024 * 1024, enablePush: false },
  });
  session.on("error", () => undefined);
  const headers = {
    ":method": "POST",
    ":path": "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
    "content-type": "application/grpc",
    te: "trailers",
    ...(values.compression !== "none" && { "grpc-encoding": values.compression }),
  };
  return (body) =>
    new Promise((resolve) => {
      const stream = session.request(headers);
      let status: unknown;
      const note = (fields: http2.IncomingHttpHeaders): unknown =>
        (status ??= fields["grpc-status"]);
      stream.on("response", note).on("trailers", note);
      // As every client of gRPC does: nobody reads the rest of a call that has its status.
      stream.on("response", () => {
        if (status !== undefined) stream.close(http2.constants.NGHTTP2_NO_ERROR);
      });
      stream.on("error", () => undefined).on("close", () => resolve(grpcAnswer(status)));
      stream.resume();
      const prefix = Buffer.alloc(5);
      prefix[0] = values.compression === "none" ? 0 : 1;
      prefix.writeUInt32BE(body.length, 1);
      stream.write(prefix);
      stream.end(body);
    });
}

function httpSender(): Send {
  const agent = new http.Agent({ keepAlive: true, maxSockets: rate > 0 ? 64 : 1 });
  const headers = {
    "content-type": json ? "application/json" : "application/x-protobuf",
    ...(values.compression !== "none" && { "content-encoding": values.compression }),
  };
  return (body) =>
    new Promise((resolve) => {
      const options = { port, path: "/v1/traces", method: "POST", agent, headers };
      const request = http.request({ host: "127.0.0.1", ...options }, (response) => {
        response.resume();
        response.on("end", () => resolve(httpAnswer(response.statusCode)));
      });
      request.on("error", () => resolve("failed"));
      request.end(body);
    });
}

const unavailable = "14";

function grpcAnswer(status: unknown): Answer {
  if (status === "0") return "accepted";
  return status === unavailable ? "refused" : "failed";
}

function httpAnswer(status: number | undefined): Answer {
  if (status === 200) return "accepted";
  return status === 503 ? "refused" : "failed";
}

/** One sender, and how long each answer took that it saw. */
class Sender {
  readonly answeredMs: Readonly<Record<Answer, number[]>> = {
    accepted: [],
    refused: [],
    failed: [],
  };
  readonly #send: Send = values.protocol === "grpc" ? grpcSender() : httpSender();

  async send(body: Uint8Array): Promise<void> {
    const start = performance.now();
    const answer = await this.#send(body);
    this.answeredMs[answer].push(performance.now() - start);
  }
}

/** Each sender's next request leaves when its last one was answered. */
async function saturate(
  senders: readonly Sender[],
  body: (index: number) => Uint8Array,
): Promise<void> {
  let next = 0;
  const run = async (sender: Sender): Promise<void> => {
    while (next < requests) await sender.send(body(next++));
  };
  await Promise.all(senders.map(run));
}

/** In turn from all senders, at the rate that is asked for. */
async function pace(
  senders: readonly Sender[],
  body: (index: number) => Uint8Array,
): Promise<void> {
  const begin = performance.now();
  const underWay: Promise<void>[] = [];
  for (let index = 0; index < requests; index++) {
    const dueMs = begin + (index * batch * 1000) / rate;
    const waitMs = dueMs - performance.now();
    if (waitMs > 0) await sleep(waitMs);
    underWay.push(senders[index % senders.length]!.send(body(index)));
  }
  await Promise.all(underWay);
}

function latencies(valuesMs: readonly number[]): Latencies {
  const sorted = valuesMs.toSorted((left, right) => left - right);
  const quantile = (share: number): number =>
    Math.round((sorted[Math.floor(share * (sorted.length - 1))] ?? 0) * 10) / 10;
  return { p50Ms: quantile(0.5), p99Ms: quantile(0.99), maxMs: quantile(1) };
}

async function main(): Promise<void> {
  const count = Math.min(distinctRequests, requests);
  const seed = Number(values.seed) * 1000;
  const templates = Array.from({ length: count }, (_, index) => template(seed + index));
  const body = bodies(templates);
  const senders = Array.from({ length: Number(values.senders) }, () => new Sender());
  const begin = performance.now();
  await (rate > 0 ? pace : saturate)(senders, body);
  const seconds = (performance.now() - begin) / 1000;
  const all = (answer: Answer): number[] => senders.flatMap(({ answeredMs }) => answeredMs[answer]);
  const result: LoadResult = {
    accepted: batch * all("accepted").length,
    refused: batch * all("refused").length,
    failed: batch * all("failed").length,
    seconds,
    bytesPerSpan: templates[0]!.stamped(0n).length / batch,
    ...latencies(all("accepted")),
    refusals: latencies(all("refused")),
    senders: senders.map(({ answeredMs }) => latencies(answeredMs.accepted)),
  };
  process.stdout.write(`${JSON.stringify(result)}\n`);
  process.exit(0);
}

if (import.meta.main) await main();
