/** A raw gRPC client on grpc-js: messages are bytes. */
import * as grpc from "@grpc/grpc-js";
import { onTestFinished } from "vitest";
import { type DecodedStatus, decodeStatus } from "../support/google-status.ts";

export const TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
export const LOGS = "/opentelemetry.proto.collector.logs.v1.LogsService/Export";
export const METRICS = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export";

interface GrpcOutcome {
  readonly code: grpc.status;
  readonly message: string;
  readonly response?: Buffer;
  /** `grpc-status-details-bin` */
  readonly status?: DecodedStatus;
  readonly metadata?: grpc.Metadata;
}

interface GrpcCall {
  readonly path?: string;
  readonly metadata?: Record<string, string>;
  readonly deadlineMs?: number;
}

export interface GrpcClient {
  export(bytes: Uint8Array, call?: GrpcCall): Promise<GrpcOutcome>;
  raw: grpc.Client;
}

const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes);

export function grpcClient(
  port: number,
  credentials: grpc.ChannelCredentials = grpc.credentials.createInsecure(),
  options: grpc.ClientOptions = {},
): GrpcClient {
  const raw = new grpc.Client(`localhost:${port}`, credentials, {
    "grpc.max_send_message_length": -1,
    "grpc.enable_retries": 0,
    ...options,
  });
  onTestFinished(() => raw.close());
  return { raw, export: (bytes, call = {}) => exportOnce(raw, bytes, call) };
}

function exportOnce(client: grpc.Client, bytes: Uint8Array, call: GrpcCall): Promise<GrpcOutcome> {
  const { path = TRACES, metadata = {}, deadlineMs } = call;
  const headers = new grpc.Metadata();
  for (const [name, value] of Object.entries(metadata)) headers.set(name, value);
  const options = deadlineMs === undefined ? {} : { deadline: Date.now() + deadlineMs };
  return new Promise((resolve) => {
    const identity = (response: Buffer): Buffer => response;
    client.makeUnaryRequest(
      path,
      asBuffer,
      identity,
      bytes,
      headers,
      options,
      (error, response) => {
        if (error === null) {
          resolve({ code: grpc.status.OK, message: "", response: response! });
          return;
        }
        const [details] = error.metadata.get("grpc-status-details-bin");
        const status = details === undefined ? {} : { status: decodeStatus(details as Buffer) };
        resolve({ code: error.code, message: error.details, metadata: error.metadata, ...status });
      },
    );
  });
}
