/** Health, readiness and metrics over HTTP: the one endpoint to open to kubelet and Prometheus. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { bind } from "../ingest/listener.ts";
import type { Address } from "../ingest/listener.ts";
import { operationsConnectionsMax, operationsRequestMsMax } from "../limits.ts";
import http from "../node-http.ts";
import type { Endpoint } from "./config/values.ts";
import type { Metrics } from "./metrics.ts";
import { unreadyReasons, warnings } from "./state.ts";
import type { SidecarState } from "./state.ts";

export interface OperationsOptions {
  readonly endpoint: Endpoint;
  readonly observe: () => SidecarState;
  readonly metrics: Pick<Metrics, "expose">;
}

export interface Operations {
  readonly endpoint: Endpoint;
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly text: string;
}

/** @throws ReceiverError where the address cannot be taken. */
export async function startOperations(options: OperationsOptions): Promise<Operations> {
  const server = http.createServer(
    {
      requestTimeout: operationsRequestMsMax,
      headersTimeout: operationsRequestMsMax,
      keepAliveTimeout: operationsRequestMsMax,
      maxHeaderSize: 8192,
    },
    (request, response) => void serve(request, response, options),
  );
  server.maxConnections = operationsConnectionsMax;
  const { address, port } = await bind(server, operationsAddress(options.endpoint));
  // One that could not be accepted is no reason to end.
  server.on("error", () => undefined);
  return {
    endpoint: { host: address, port },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export function operationsAddress(endpoint: Endpoint): Address {
  return { ...endpoint, option: "operations.endpoint" };
}

async function serve(
  request: IncomingMessage,
  response: ServerResponse,
  options: OperationsOptions,
): Promise<void> {
  const told = answer(request, options).catch(() => json(500, { error: "the state is not known" }));
  const { status, contentType, text } = await told;
  response.writeHead(status, {
    "content-type": contentType,
    "content-length": Buffer.byteLength(text),
    "cache-control": "no-store",
    ...(status === 405 ? { allow: "GET, HEAD" } : {}),
  });
  response.end(request.method === "HEAD" ? undefined : text);
}

async function answer(request: IncomingMessage, options: OperationsOptions): Promise<Answer> {
  if (request.method !== "GET" && request.method !== "HEAD") {
    return json(405, { error: "only GET and HEAD are answered here" });
  }
  switch (request.url?.split("?", 1)[0]) {
    case "/healthz":
      return health(options.observe());
    case "/readyz":
      return readiness(options.observe());
    case "/metrics":
      return exposition(options);
    default:
      return json(404, { error: "known here: /healthz, /readyz, /metrics" });
  }
}

/** Unhealthy is what only a restart can mend. */
function health({ ledger }: SidecarState): Answer {
  if (ledger.state !== "stopped") return json(200, { status: "ok" });
  return json(503, { status: "stopped", reasons: [ledger.reason ?? "the ledger has stopped"] });
}

function readiness(state: SidecarState): Answer {
  const reasons = unreadyReasons(state);
  const ready = reasons.length === 0;
  const status = ready ? "ready" : "not ready";
  return json(ready ? 200 : 503, { status, reasons, warnings: warnings(state) });
}

async function exposition({ metrics }: OperationsOptions): Promise<Answer> {
  const { text, contentType } = await metrics.expose();
  return { status: 200, contentType, text };
}

function json(status: number, body: unknown): Answer {
  return { status, contentType: "application/json", text: `${JSON.stringify(body)}\n` };
}
