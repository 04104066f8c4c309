/** An OTLP/HTTP sink that keeps the first request it gets: where the telemetry goes on to. */
import { createServer } from "node:http";
import type { IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { gunzipSync } from "node:zlib";
import { WireReader } from "../../src/bytes/wire.ts";

export interface Received {
  readonly spans: number;
  /** How often a text stands in the request. */
  countOf(text: string): number;
}

export interface DemoSink {
  readonly endpoint: string;
  readonly firstRequest: Promise<Received>;
  close(): Promise<void>;
}

export async function startDemoSink(): Promise<DemoSink> {
  const { promise: firstRequest, resolve, reject } = Promise.withResolvers<Received>();
  const server = createServer((request, response) => {
    readBody(request)
      .then((body) => resolve(describe(body)))
      .catch(reject);
    request.on("end", () => {
      response.writeHead(200, { "content-type": "application/x-protobuf" }).end();
    });
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo;
  return {
    endpoint: `http://127.0.0.1:${port}`,
    firstRequest,
    async close() {
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    },
  };
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const body = Buffer.concat(await Array.fromAsync(request as AsyncIterable<Buffer>));
  return request.headers["content-encoding"] === "gzip" ? gunzipSync(body) : body;
}

function describe(body: Buffer): Received {
  return {
    spans: countSpans(new WireReader(body), 0),
    countOf: (text) => body.toString("latin1").split(text).length - 1,
  };
}

/** Spans are at request.1.2.2. */
function countSpans(reader: WireReader, depth: number): number {
  let spans = 0;
  while (reader.next()) {
    if (reader.field !== [1, 2, 2][depth]) continue;
    spans += depth === 2 ? 1 : countSpans(reader.message(), depth + 1);
  }
  return spans;
}
