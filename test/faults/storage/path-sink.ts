/** One OTLP/HTTP sink for many lives: each has its own path, so none hears of another. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Signal } from "../../../src/audit/otlp/schema.ts";
import { namesIn } from "../../forward/otlp-requests.ts";

const protobuf = "application/x-protobuf";

export interface SinkPath {
  readonly endpoint: string;
  /** Names of the spans that arrived. */
  readonly names: Set<string>;
  /** Answers nothing more, as to a process that is gone. */
  end(): void;
}

export interface PathSink {
  open(): SinkPath;
  close(): Promise<void>;
}

export async function startPathSink(): Promise<PathSink> {
  const paths = new Map<string, Set<string>>();
  let opened = 0;
  const take = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const [, number = "", , signal] = request.url!.split("/");
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const names = paths.get(number);
    for (const name of namesIn(signal as Signal, Buffer.concat(chunks))) names?.add(name);
    response.writeHead(names === undefined ? 503 : 200, { "content-type": protobuf }).end();
  };
  const server = createServer((request, response) => {
    take(request, response).catch(() => response.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    open() {
      const number = String(opened++);
      const names = new Set<string>();
      paths.set(number, names);
      const endpoint = `http://127.0.0.1:${port}/${number}`;
      return { endpoint, names, end: () => void paths.delete(number) };
    },
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
