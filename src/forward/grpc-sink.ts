/** OTLP over gRPC. Messages pass as bytes; nothing of the process's environment is obeyed. */
import { isIP } from "node:net";
import { checkServerIdentity } from "node:tls";
import type { PeerCertificate } from "node:tls";
import { Client, Metadata, compressionAlgorithms, credentials, status } from "@grpc/grpc-js";
import type { ChannelCredentials, ChannelOptions, ServiceError } from "@grpc/grpc-js";
import type { Signal } from "../audit/otlp/schema.ts";
import { sinkResponseBytesMax } from "../limits.ts";
import { ForwardError } from "./forward-error.ts";
import type { ForwardClock } from "./options.ts";
import type { SendOutcome, Sink } from "./sink.ts";
import { readExportResponse, readStatus } from "./sink-answer.ts";
import type { SinkPlan } from "./sink-options.ts";

const method: Readonly<Record<Signal, string>> = {
  traces: "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
  logs: "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
  metrics: "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
};

/** The table of the OTLP specification, "Failures" under OTLP/gRPC. */
const retryableCodes: ReadonlySet<status> = new Set([
  status.CANCELLED,
  status.DEADLINE_EXCEEDED,
  status.ABORTED,
  status.OUT_OF_RANGE,
  status.UNAVAILABLE,
  status.DATA_LOSS,
]);

/** What the library says where the peer reset the stream to slow us down: no verdict. */
const slowDownMessage = "Bandwidth exhausted or memory limit exceeded";

/** The channel connects again by itself; its own waits must not outlast ours. */
const reconnectMs = { initial: 100, max: 5000 };
/** The library names the host to the server, and Node refuses to do that with an address. */
const nameOfAddress = "address.invalid";
/** A batch of spans exceeds the default of 64 KiB. */
const flowControlBytes = 1024 * 1024;

const asBytes = (bytes: Uint8Array): Buffer =>
  Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
const asIs = (bytes: Buffer): Buffer => bytes;

/** @throws ForwardError `bad_option` */
export function openGrpcSink(plan: SinkPlan, clock: ForwardClock): Sink {
  const clients = new Map<string, Client>();
  const clientOf = new Map<Signal, Client>();
  for (const signal of plan.signals) {
    const endpoint = plan.endpoints[signal] ?? plan.base!;
    const client = clients.get(endpoint) ?? openClient(endpoint, plan);
    clients.set(endpoint, client);
    clientOf.set(signal, client);
  }
  const metadata = new Metadata();
  for (const [name, value] of Object.entries(plan.headers)) setHeader(metadata, name, value);
  return {
    signals: plan.signals,
    // The library compresses and frames by itself.
    prepare: (request) => Promise.resolve(request),
    send: (signal, body, abort) =>
      new Promise((resolve) => {
        if (abort.aborted) return resolve(aborted);
        const stop = (): void => call.cancel();
        const call = clientOf
          .get(signal)!
          .makeUnaryRequest(
            method[signal],
            asBytes,
            asIs,
            body,
            metadata,
            { deadline: clock.nowMs() + plan.timeoutMs },
            (error, response) => {
              abort.removeEventListener("abort", stop);
              resolve(error === null ? accepted(response) : failed(error));
            },
          );
        abort.addEventListener("abort", stop);
      }),
    close: () => {
      for (const client of clients.values()) client.close();
      return Promise.resolve();
    },
  };
}

const aborted: SendOutcome = { kind: "retry", status: "CANCELLED", message: "shutting down" };

function accepted(response: Buffer | undefined): SendOutcome {
  const remark = readExportResponse(response ?? Buffer.alloc(0), false);
  return { kind: "accepted", status: "OK", remark };
}

function failed(error: ServiceError): SendOutcome {
  const { code, details, metadata } = error;
  const base = { status: status[code] ?? `status ${code}`, message: details };
  const info = metadata.get("grpc-status-details-bin")[0];
  const afterMs = Buffer.isBuffer(info) ? readStatus(info)?.retryAfterMs : undefined;
  if (retryableCodes.has(code)) return { kind: "retry", ...base, afterMs };
  if (code === status.INVALID_ARGUMENT) return { kind: "rejected", ...base };
  if (code !== status.RESOURCE_EXHAUSTED) return { kind: "hold", ...base };
  const isThrottled = afterMs !== undefined || details === slowDownMessage;
  return isThrottled ? { kind: "retry", ...base, afterMs } : { kind: "rejected", ...base };
}

function openClient(endpoint: string, plan: SinkPlan): Client {
  const { address, host, secure } = parseTarget(endpoint, plan.tls.insecure);
  const { serverName } = plan.tls;
  const ip = isIP(host) === 0 || serverName !== undefined ? undefined : host;
  const options: ChannelOptions = {
    // Proxies come from the environment, service configurations from DNS: neither is wanted.
    "grpc.enable_http_proxy": 0,
    "grpc.service_config_disable_resolution": 1,
    "grpc.enable_retries": 0,
    "grpc.use_local_subchannel_pool": 1,
    "grpc.initial_reconnect_backoff_ms": reconnectMs.initial,
    "grpc.max_reconnect_backoff_ms": reconnectMs.max,
    "grpc.max_send_message_length": -1,
    "grpc.max_receive_message_length": sinkResponseBytesMax,
    "grpc-node.flow_control_window": flowControlBytes,
    "grpc.primary_user_agent": "spanseal",
    ...(plan.gzip && { "grpc.default_compression_algorithm": compressionAlgorithms.gzip }),
    ...(serverName !== undefined && {
      "grpc.ssl_target_name_override": serverName,
      "grpc.default_authority": serverName,
    }),
    ...(ip !== undefined && { "grpc.ssl_target_name_override": nameOfAddress }),
  };
  const channel = secure ? openCredentials(plan, ip) : credentials.createInsecure();
  return new Client(address, channel, options);
}

/** `ip` is what the certificate must name, where the sink has an address instead of a name. */
function openCredentials(plan: SinkPlan, ip: string | undefined): ChannelCredentials {
  const { ca, cert, key, verify } = plan.tls;
  const checkAddress = (_name: string, peer: PeerCertificate): Error | undefined =>
    checkServerIdentity(ip!, peer);
  try {
    return credentials.createSsl(ca, key ?? null, cert ?? null, {
      rejectUnauthorized: verify,
      ...(ip !== undefined && { checkServerIdentity: checkAddress }),
    });
  } catch (cause) {
    throw new ForwardError(
      "bad_option",
      "exporter option tls: the certificate files are not PEM, or key and certificate differ",
      { cause },
    );
  }
}

/** `host:port`, or a URL whose scheme decides about TLS. */
function parseTarget(
  endpoint: string,
  insecure: boolean,
): { address: string; host: string; secure: boolean } {
  const match = /^(?:(https?):\/\/)?(([^/@?#\s]+):\d{1,5})\/?$/.exec(endpoint);
  if (match === null) {
    throw new ForwardError(
      "bad_option",
      "exporter option endpoint for gRPC must be host:port, http://host:port or " +
        "https://host:port, without path or password",
    );
  }
  const [, scheme, address, host] = match as unknown as [
    string,
    string | undefined,
    string,
    string,
  ];
  const secure = scheme === undefined ? !insecure : scheme === "https";
  return { address, host: host.replaceAll(/[[\]]/g, ""), secure };
}

function setHeader(metadata: Metadata, name: string, value: string): void {
  try {
    metadata.set(name, name.endsWith("-bin") ? Buffer.from(value) : value);
  } catch (cause) {
    throw new ForwardError("bad_option", `exporter option headers.${name} is not valid`, { cause });
  }
}
