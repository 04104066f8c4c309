/** The receivers, from the configuration. */
import type { Endpoint, HttpEndpoint, ReceiverOptions } from "../ingest/receivers.ts";
import type { Config, GrpcReceiverConfig, HttpReceiverConfig } from "./config/model.ts";
import { mib } from "./config/values.ts";

export function receiverOptions(config: Config): Pick<ReceiverOptions, "grpc" | "http"> {
  const { grpc, http } = config.receivers.otlp.protocols;
  return {
    ...(grpc === undefined ? {} : { grpc: grpcEndpoint(grpc) }),
    ...(http === undefined ? {} : { http: httpEndpoint(http) }),
  };
}

function grpcEndpoint(grpc: GrpcReceiverConfig): Endpoint {
  return { ...endpoint(grpc), requestBytesMax: grpc.max_recv_msg_size_mib * mib };
}

function httpEndpoint(http: HttpReceiverConfig): HttpEndpoint {
  return {
    ...endpoint(http),
    requestBytesMax: http.max_request_body_size,
    paths: {
      traces: http.traces_url_path,
      logs: http.logs_url_path,
      metrics: http.metrics_url_path,
    },
  };
}

function endpoint({
  endpoint: address,
  tls,
  auth,
}: GrpcReceiverConfig | HttpReceiverConfig): Endpoint {
  return {
    ...address,
    ...(auth === undefined ? {} : { auth: { bearerTokenFile: auth.bearer_token_file } }),
    ...(tls === undefined
      ? {}
      : {
          tls: {
            certFile: tls.cert_file,
            keyFile: tls.key_file,
            ...(tls.client_ca_file === undefined ? {} : { clientCaFile: tls.client_ca_file }),
            reloadIntervalMs: tls.reload_interval,
          },
        }),
  };
}

/** Ways in which payloads or access are open to others on the network: chosen, but to be known. */
export function exposures({ receivers, exporters }: Config): string[] {
  const { grpc, http } = receivers.otlp.protocols;
  const { otlp_http, otlp_grpc } = exporters;
  const found: string[] = [];
  for (const [name, receiver] of Object.entries({ grpc, http })) {
    if (receiver === undefined || isLoopback(receiver.endpoint.host)) continue;
    const place = `receivers.otlp.protocols.${name}`;
    const isOpen = receiver.auth === undefined && receiver.tls?.client_ca_file === undefined;
    if (receiver.tls === undefined) found.push(`${place} receives in plain text: set tls`);
    if (isOpen) found.push(`${place} takes records from everybody: set auth or tls.client_ca_file`);
  }
  for (const [name, exporter] of Object.entries({ otlp_http, otlp_grpc })) {
    if (exporter?.tls?.insecure_skip_verify !== true) continue;
    found.push(`exporters.${name} sends to whoever answers there: set tls.ca_file instead`);
  }
  return found;
}

function isLoopback(host: string): boolean {
  return host === "localhost" || host === "::1" || host.startsWith("127.");
}
