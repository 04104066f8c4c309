/** OTLP over gRPC: one connection for each signal. Nothing of the process's environment is obeyed. */
import type { OutgoingHttpHeaders } from "node:http2";
import { EXPORT_PATH } from "../audit/otlp/export-path.ts";
import { SIGNALS } from "../audit/otlp/schema.ts";
import type { Signal } from "../audit/otlp/schema.ts";
import { toBase64 } from "../bytes/base64.ts";
import { withTimeout } from "./attempt.ts";
import { compress } from "./compress.ts";
import { SinkOptionError } from "./forward-error.ts";
import { callUnary } from "./grpc-call.ts";
import type { GrpcAnswer } from "./grpc-call.ts";
import { GrpcConnection } from "./grpc-connection.ts";
import { parseGrpcTarget } from "./grpc-target.ts";
import type { GrpcTarget } from "./grpc-target.ts";
import type { SendOutcome, Sink } from "./sink.ts";
import {
  readExportResponse,
  readStatus,
  retryableHttpStatus,
  unreadableAnswer,
} from "./sink-answer.ts";
import { connectOptions } from "./sink-options.ts";
import type { SinkPlan } from "./sink-options.ts";

/** The codes of gRPC, by number. */
const statusNames = [
  "OK",
  "CANCELLED",
  "UNKNOWN",
  "INVALID_ARGUMENT",
  "DEADLINE_EXCEEDED",
  "NOT_FOUND",
  "ALREADY_EXISTS",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNIMPLEMENTED",
  "INTERNAL",
  "UNAVAILABLE",
  "DATA_LOSS",
  "UNAUTHENTICATED",
];

/** The table of the OTLP specification, "Failures" under OTLP/gRPC. */
const retryableNames: ReadonlySet<string> = new Set([
  "CANCELLED",
  "DEADLINE_EXCEEDED",
  "ABORTED",
  "OUT_OF_RANGE",
  "UNAVAILABLE",
  "DATA_LOSS",
]);

/** @throws SinkOptionError */
export function openGrpcSink(plan: SinkPlan): Sink {
  const tls = connectOptions(plan.tls);
  const lanes = new Map(
    plan.signals.map((signal) => {
      const target = targetOf(plan.endpoints[signal] ?? plan.base!, plan);
      const connection = new GrpcConnection(target.origin, tls);
      return [signal, { connection, headers: requestHeaders(signal, target, plan) }] as const;
    }),
  );
  return {
    signals: SIGNALS.filter((signal) => lanes.has(signal)),
    prepare: async (request) => (plan.gzip ? compress(request) : request),
    send: (signal, message, abort) =>
      withTimeout(plan.timeoutMs, abort, async (signalAbort) => {
        const { connection, headers } = lanes.get(signal)!;
        try {
          const session = await connection.open(signalAbort);
          const call = { headers, message, isCompressed: plan.gzip };
          return outcomeOf(await callUnary(session, call, signalAbort));
        } catch (error) {
          connection.drop();
          throw error;
        }
      }),
    close() {
      for (const { connection } of lanes.values()) connection.drop();
      return Promise.resolve();
    },
  };
}

function requestHeaders(
  signal: Signal,
  { address }: GrpcTarget,
  { headers, gzip: isGzip, timeoutMs, tls }: SinkPlan,
): OutgoingHttpHeaders {
  const metadata = Object.entries(headers).map(([name, value]) => [name, asMetadata(name, value)]);
  return {
    "user-agent": "spanseal",
    ...(Object.fromEntries(metadata) as Record<string, string>),
    ":method": "POST",
    ":path": EXPORT_PATH[signal],
    ":authority": tls.serverName ?? address,
    "content-type": "application/grpc",
    te: "trailers",
    "grpc-accept-encoding": "identity",
    "grpc-timeout": `${Math.ceil(timeoutMs)}m`,
    ...(isGzip && { "grpc-encoding": "gzip" }),
  };
}

function asMetadata(name: string, value: string): string {
  if (name.endsWith("-bin")) return toBase64(Buffer.from(value));
  if (/^[ -~]*$/.test(value)) return value;
  const remedy = "write it so, or give it a name that ends in -bin";
  throw new SinkOptionError(["headers", name], "must be printable ASCII", { remedy });
}

function outcomeOf(answer: GrpcAnswer): SendOutcome {
  const { httpStatus, status, message, details, response } = answer;
  if (status === undefined) return outcomeOfHttp(httpStatus!);
  const name = statusNames[status] ?? `status ${status}`;
  if (name === "OK") {
    const remark = response === undefined ? unreadableAnswer : readExportResponse(response, false);
    return { kind: "accepted", status: name, remark };
  }
  const failure = { status: name, message };
  const afterMs = readStatus(details)?.retryAfterMs;
  // Exhausted for now where the sink says for how long, for good where it does not.
  const isThrottled = name === "RESOURCE_EXHAUSTED" && afterMs !== undefined;
  if (retryableNames.has(name) || isThrottled) return { kind: "retry", ...failure, afterMs };
  const isRejected = name === "INVALID_ARGUMENT" || name === "RESOURCE_EXHAUSTED";
  return { kind: isRejected ? "rejected" : "hold", ...failure };
}

/** A proxy or a stranger answered: only what says that the request is too long is about it. */
function outcomeOfHttp(httpStatus: number): SendOutcome {
  const failure = { status: `HTTP ${httpStatus}`, message: "not an answer of gRPC" };
  if (retryableHttpStatus.has(httpStatus)) return { kind: "retry", ...failure };
  return { kind: httpStatus === 413 ? "rejected" : "hold", ...failure };
}

function targetOf(endpoint: string, { tls }: SinkPlan): GrpcTarget {
  const target = parseGrpcTarget(endpoint, tls.insecure);
  if (target !== undefined) return target;
  const problem = "must be host:port, or a URL with a port, without path or password";
  const remedy = "write for example otel.example.com:4317";
  throw new SinkOptionError(["endpoint"], problem, { remedy });
}
