/**
 * The load: a process of its own, so that its CPU time is not the sidecar's. Sends requests of 512
 * spans over a few connections with one request in flight each, and prints one line of JSON.
 *
 *   node test/bench/load.ts --protocol grpc|http|json --port N --spans N [--share 0.02]
 *     [--scale 1] [--compression none|gzip|zstd] [--connections 4] [--rate spans/s]
 */
import http from "node:http";
import { parseArgs } from "node:util";
import { gzipSync, zstdCompressSync } from "node:zlib";
import grpc from "@grpc/grpc-js";
import { agentTelemetry } from "../support/agent-load.ts";
import { encodeOtlp, encodeOtlpJson } from "../support/otlp-writer.ts";
import { UniqueSpans } from "../support/unique-spans.ts";

const spansPerRequest = 512;
const distinctRequests = 48;

const { values } = parseArgs({
  options: {
    protocol: { type: "string", default: "grpc" },
    port: { type: "string" },
    spans: { type: "string", default: "100000" },
    share: { type: "string", default: "0.02" },
    scale: { type: "string", default: "1" },
    compression: { type: "string", default: "none" },
    connections: { type: "string", default: "4" },
    rate: { type: "string", default: "0" },
    seed: { type: "string", default: "1" },
  },
});

type Send = (body: Uint8Array) => Promise<boolean>;

const json = values.protocol === "json";

function template(seed: number): UniqueSpans {
  const telemetry = agentTelemetry({
    seed,
    spans: spansPerRequest,
    personalDataShare: Number(values.share),
    textScale: Number(values.scale),
  });
  const name = "ExportTraceServiceRequest";
  return new UniqueSpans(
    json ? Buffer.from(encodeOtlpJson(name, telemetry)) : encodeOtlp(name, telemetry),
    "trace",
  );
}

let nextId = BigInt(Date.now()) << 20n;

function nextBody(spans: UniqueSpans): Uint8Array {
  const body = spans.stamped(nextId);
  nextId += BigInt(spans.count);
  if (values.compression === "gzip" && values.protocol !== "grpc") {
    return gzipSync(body, { level: 1 });
  }
  return values.compression === "zstd" ? zstdCompressSync(body) : body;
}

function grpcSender(port: number): Send {
  const gzip = values.compression === "gzip";
  const client = new grpc.Client(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
    "grpc.default_compression_algorithm": gzip ? 2 : 0,
    "grpc.use_local_subchannel_pool": 1,
    "grpc.max_send_message_length": -1,
  });
  const method = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
  const identity = (bytes: Uint8Array): Buffer => Buffer.from(bytes);
  return (body) =>
    new Promise((resolve) => {
      client.makeUnaryRequest(method, identity, identity, body, (error) => resolve(error === null));
    });
}

function httpSender(port: number): Send {
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const headers = {
    "content-type": json ? "application/json" : "application/x-protobuf",
    ...(values.compression !== "none" && { "content-encoding": values.compression }),
  };
  return (body) =>
    new Promise((resolve) => {
      const options = { port, path: "/v1/traces", method: "POST", agent, headers };
      const request = http.request({ host: "127.0.0.1", ...options }, (response) => {
        response.resume();
        response.on("end", () => resolve(response.statusCode === 200));
      });
      request.on("error", () => resolve(false));
      request.end(body);
    });
}

async function main(): Promise<void> {
  const port = Number(values.port);
  const total = Number(values.spans);
  const rate = Number(values.rate);
  const templates = Array.from({ length: distinctRequests }, (_, index) =>
    template(Number(values.seed) * 1000 + index),
  );
  const latenciesMs: number[] = [];
  let sent = 0;
  let accepted = 0;
  let refused = 0;
  const begin = performance.now();
  const connection = async (): Promise<void> => {
    const send = values.protocol === "grpc" ? grpcSender(port) : httpSender(port);
    while (sent < total) {
      const number = sent / spansPerRequest;
      sent += spansPerRequest;
      if (rate > 0) {
        const dueMs = begin + (number * spansPerRequest * 1000) / rate;
        await new Promise((resolve) => setTimeout(resolve, Math.max(0, dueMs - performance.now())));
      }
      const body = nextBody(templates[number % templates.length]!);
      const start = performance.now();
      if (await send(body)) accepted += spansPerRequest;
      else refused += spansPerRequest;
      latenciesMs.push(performance.now() - start);
    }
  };
  await Promise.all(Array.from({ length: Number(values.connections) }, connection));
  const seconds = (performance.now() - begin) / 1000;
  latenciesMs.sort((left, right) => left - right);
  const quantile = (share: number): number =>
    Math.round((latenciesMs[Math.floor(share * (latenciesMs.length - 1))] ?? 0) * 10) / 10;
  const bytesPerSpan = templates[0]!.stamped(0n).length / spansPerRequest;
  const [p50Ms, p99Ms, maxMs] = [quantile(0.5), quantile(0.99), quantile(1)];
  const result = { accepted, refused, seconds, bytesPerSpan, p50Ms, p99Ms, maxMs };
  process.stdout.write(`${JSON.stringify(result)}\n`);
  process.exit(0);
}

await main();
