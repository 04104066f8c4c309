/**
 * What a request leaves in memory is overwritten as soon as its memory may be used again: whoever
 * read it later would record or forward that.
 */
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { gzipSync } from "node:zlib";
import { status } from "@grpc/grpc-js";
import { afterAll, expect, onTestFinished, test } from "vitest";
import { pool } from "../../src/bytes/pool.ts";
import { openSidecar } from "../../src/service/compose.ts";
import { parseConfig } from "../../src/service/config.ts";
import type { LoadedConfig } from "../../src/service/config.ts";
import { openKeysOf } from "../../src/service/keys.ts";
import type { Log } from "../../src/service/log.ts";
import { grpcClient } from "../ingest/grpc-client.ts";
import type { GrpcClient } from "../ingest/grpc-client.ts";
import { checkLog } from "../ledger/check-log.ts";
import { agentRequest, agentTelemetry } from "../support/agent-load.ts";
import { encodeOtlpJson } from "../support/otlp-writer.ts";

afterAll(() => void (pool.poison = undefined));

const folder = mkdtempSync(join(tmpdir(), "spanseal-reuse-"));
afterAll(() => rmSync(folder, { recursive: true }));

const nothing = (): void => undefined;
const log: Log = { debug: nothing, info: nothing, warn: nothing, error: nothing };

/** A sink that holds the first request until it is told to go on, and loses its answer then. */
async function startSink(goOn: Promise<void>): Promise<{ port: number; taken: Set<string> }> {
  const taken = new Set<string>();
  let arrived = 0;
  const server = createServer((request, response) => {
    const isFirst = arrived++ === 0;
    void (async () => {
      if (isFirst) await goOn;
      const body = await buffer(request);
      if (isFirst) return response.destroy();
      taken.add(createHash("sha256").update(body).digest("hex"));
      return response.end();
    })();
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, taken };
}

function configOf(name: string, sinkPort: number): LoadedConfig {
  const anyPort = { endpoint: "127.0.0.1:0" };
  return parseConfig(
    JSON.stringify({
      receivers: { otlp: { protocols: { grpc: anyPort, http: anyPort } } },
      operations: anyPort,
      keys: { directory: join(folder, "keys") },
      ledger: { directory: join(folder, name, "ledger") },
      publish: { bucket: join(folder, name, "bucket") },
      exporters: {
        otlp_http: {
          endpoint: `http://127.0.0.1:${sinkPort}`,
          compression: "none",
          retry_on_failure: { initial_interval: "50ms" },
        },
      },
    }),
  );
}

/** More than the spool keeps in memory. */
const requestCount = 40;

type Post = (body: Uint8Array | string, headers: Record<string, string>) => Promise<number>;

/** Each in another way, of another size. */
async function sendOne(number: number, post: Post, client: GrpcClient): Promise<void> {
  const options = {
    seed: number + 1,
    spans: 40 + ((number * 97) % 600),
    personalDataShare: [0, 0.02, 1][number % 3]!,
  };
  const protobuf = agentRequest(options);
  const asProtobuf = { "content-type": "application/x-protobuf" };
  const ways = [
    () => post(protobuf, asProtobuf),
    () => post(gzipSync(protobuf), { ...asProtobuf, "content-encoding": "gzip" }),
    () =>
      post(encodeOtlpJson("ExportTraceServiceRequest", agentTelemetry(options)), {
        "content-type": "application/json",
      }),
    async () => ((await client.export(protobuf)).code === status.OK ? 200 : 503),
  ];
  // Those that come too fast are refused, and come again.
  while ((await ways[number % ways.length]!()) !== 200);
}

/** What was recorded, but for what is different each time. */
function bodiesOf(ledger: string): string[] {
  const segments = join(ledger, "segments");
  return readdirSync(segments)
    .flatMap((name) => readFileSync(join(segments, name), "utf8").trim().split("\n"))
    .filter((line) => line.includes('"kind":"action"'))
    .map((line) => line.slice(line.indexOf('"body":')))
    .map((body) => body.replace(/"nonce":"[0-9a-f]{32}"|"observed":"\d+"/g, ""))
    .toSorted();
}

async function pass(name: string): Promise<{ bodies: string[]; taken: string[] }> {
  const goOn = Promise.withResolvers<void>();
  const sink = await startSink(goOn.promise);
  const loaded = configOf(name, sink.port);
  const sidecar = await openSidecar(loaded, log);
  const { grpc, http } = sidecar.state().endpoints;
  const client = grpcClient(Number(grpc!.split(":").at(-1)));
  // A refusal may come while the body is on its way, and end the connection.
  const post: Post = (body, headers) =>
    fetch(`http://${http}/v1/traces`, { method: "POST", body, headers }).then(
      ({ status: code }) => code,
      () => 503,
    );
  const numbers = Array.from({ length: requestCount }, (_, number) => number);
  await Promise.all(numbers.map((number) => sendOne(number, post, client)));
  goOn.resolve();
  await expect.poll(() => sink.taken.size, { timeout: 30_000 }).toBe(requestCount);
  await sidecar.close();
  const { directory } = loaded.config.ledger;
  await checkLog(directory, await openKeysOf(loaded.config, { create: false }));
  return { bodies: bodiesOf(directory), taken: [...sink.taken].toSorted() };
}

test("records and forwarded requests are the same whether memory is spoilt or not", async () => {
  const wanted = await pass("untouched");
  pool.poison = 0xdb;
  const { bodies, taken } = await pass("spoilt");
  expect(bodies.length).toBeGreaterThan(5_000);
  expect(bodies).toEqual(wanted.bodies);
  expect(taken).toEqual(wanted.taken);
});
