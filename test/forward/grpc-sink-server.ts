/** An OTLP/gRPC sink that decodes what it takes and misbehaves on demand. */
import { Metadata, Server, ServerCredentials, status } from "@grpc/grpc-js";
import type { sendUnaryData, ServerUnaryCall } from "@grpc/grpc-js";
import type { Signal } from "../../src/audit/otlp/schema.ts";
import { namesIn } from "./otlp-requests.ts";

export type GrpcBehaviour =
  /** Answered only after the delay, where one is given. */
  | { readonly code: status.OK; readonly response: Uint8Array; readonly delayMs?: number }
  | { readonly code: status; readonly details: string; readonly statusDetails?: Uint8Array }
  | "hang";

export interface GrpcSinkServer {
  readonly address: string;
  readonly names: string[];
  readonly metadata: Metadata[];
  readonly requests: Buffer[];
  arrived: number;
  script: GrpcBehaviour[];
  otherwise: GrpcBehaviour;
  close(): void;
}

const accept: GrpcBehaviour = { code: status.OK, response: Buffer.alloc(0) };
const services: readonly (readonly [string, Signal])[] = [
  ["trace.v1.TraceService", "traces"],
  ["logs.v1.LogsService", "logs"],
  ["metrics.v1.MetricsService", "metrics"],
];

export async function startGrpcSink(
  credentials: ServerCredentials = ServerCredentials.createInsecure(),
  port = 0,
): Promise<GrpcSinkServer> {
  const server = new Server({ "grpc.max_receive_message_length": -1 });
  const sink = {
    address: "",
    names: [] as string[],
    metadata: [] as Metadata[],
    requests: [] as Buffer[],
    arrived: 0,
    script: [] as GrpcBehaviour[],
    otherwise: accept,
    close: () => server.forceShutdown(),
  };
  const asIs = (bytes: Buffer): Buffer => bytes;
  for (const [service, signal] of services) {
    const path = `/opentelemetry.proto.collector.${service}/Export`;
    const definition = {
      path,
      requestStream: false,
      responseStream: false,
      requestSerialize: asIs,
      requestDeserialize: asIs,
      responseSerialize: asIs,
      responseDeserialize: asIs,
    };
    server.addService(
      { Export: definition },
      {
        Export: (call: ServerUnaryCall<Buffer, Buffer>, callback: sendUnaryData<Buffer>) => {
          answer(sink, signal, call, callback);
        },
      },
    );
  }
  const bound = await new Promise<number>((resolve, reject) => {
    server.bindAsync(`127.0.0.1:${port}`, credentials, (error, given) =>
      error === null ? resolve(given) : reject(error),
    );
  });
  sink.address = `127.0.0.1:${bound}`;
  return sink;
}

function answer(
  sink: GrpcSinkServer,
  signal: Signal,
  call: ServerUnaryCall<Buffer, Buffer>,
  callback: sendUnaryData<Buffer>,
): void {
  sink.arrived++;
  sink.metadata.push(call.metadata);
  const behaviour = sink.script.shift() ?? sink.otherwise;
  if (behaviour === "hang") return;
  if ("response" in behaviour) {
    sink.names.push(...namesIn(signal, call.request));
    sink.requests.push(call.request);
    const respond = (): void => callback(null, Buffer.from(behaviour.response));
    return void (behaviour.delayMs === undefined
      ? respond()
      : setTimeout(respond, behaviour.delayMs));
  }
  const metadata = new Metadata();
  if (behaviour.statusDetails !== undefined) {
    metadata.set("grpc-status-details-bin", Buffer.from(behaviour.statusDetails));
  }
  callback({ code: behaviour.code, details: behaviour.details, metadata });
}
