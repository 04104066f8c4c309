/** The schema of `exporters`: names as in the OpenTelemetry Collector. */
import { z } from "zod";
import { parseGrpcTarget } from "../../forward/grpc-target.ts";
import { spoolQueueBytes } from "../../limits.ts";
import type { ExportersConfig, QueueConfig, RetryConfig } from "./model.ts";
import {
  byteSize,
  duration,
  flag,
  formatBytes,
  fraction,
  gib,
  hourMs,
  httpUrl,
  integer,
  mib,
  refuse,
  text,
} from "./values.ts";

const clientTls = z.strictObject({
  insecure: flag()
    .prefault(false)
    .describe("gRPC: plain text. HTTP takes the scheme of its endpoint instead."),
  insecure_skip_verify: flag()
    .prefault(false)
    .describe("Accept any certificate of the sink. Only for trials."),
  ca_file: text()
    .optional()
    .describe("PEM file with the authorities to trust instead of the system's."),
  cert_file: text().optional().describe("PEM file with our client certificate."),
  key_file: text().optional().describe("PEM file with the client certificate's private key."),
  server_name_override: text().optional().describe("Name to expect in the sink's certificate."),
});

const retryOnFailure: z.ZodType<RetryConfig> = z.strictObject({
  enabled: flag()
    .prefault(true)
    .describe("Try again. Where false, what fails once is given up, with a record."),
  initial_interval: duration({ min: 10, max: hourMs })
    .prefault("5s")
    .describe("Wait before the second attempt."),
  randomization_factor: fraction({ min: 0, max: 1 })
    .prefault(0.5)
    .describe("Jitter: each wait is drawn from the interval times 1 ± this."),
  multiplier: fraction({ min: 1, max: 10 }).prefault(1.5).describe("Growth of the wait."),
  max_interval: duration({ min: 10, max: 24 * hourMs })
    .prefault("30s")
    .describe("Longest wait."),
  max_elapsed_time: duration({ min: 0, max: 365 * 24 * hourMs })
    .prefault("0s")
    .describe("After this time a request is given up, with a record; 0s never gives up."),
});

const sendingQueue: z.ZodType<QueueConfig> = z.strictObject({
  sizer: z.literal("bytes").prefault("bytes").describe("What `queue_size` counts: bytes."),
  queue_size: byteSize({ min: mib, max: 1024 * gib })
    .prefault(formatBytes(spoolQueueBytes))
    .describe("Bound of the durable spool of each signal."),
  num_consumers: integer({ min: 1, max: 1 })
    .prefault(1)
    .describe("Requests in flight to the sink; 1 keeps their order."),
  on_full: z
    .enum(["refuse", "suspend"])
    .prefault("refuse")
    .describe(
      "At the bound: `refuse` asks senders to retry; `suspend` stops forwarding, with a record.",
    ),
});

const common = {
  headers: z
    .record(z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/), z.string())
    .prefault({})
    .describe("Headers of each request. Keep secrets in files: `authorization: ${file:PATH}`."),
  compression: z.enum(["gzip", "none"]).prefault("gzip").describe("Compression of requests."),
  timeout: duration({ min: 100, max: hourMs }).prefault("30s").describe("Time for one attempt."),
  tls: clientTls.optional().describe("TLS towards the sink."),
  retry_on_failure: retryOnFailure.prefault({}).describe("What to do while the sink is away."),
  sending_queue: sendingQueue.prefault({}).describe("The durable spool before the sink."),
};

const otlpHttp = z.strictObject({
  endpoint: httpUrl()
    .optional()
    .describe("Base URL of the sink; `/v1/traces`, `/v1/logs` and `/v1/metrics` are added."),
  traces_endpoint: httpUrl().optional().describe("Whole URL for traces, instead of the base URL."),
  logs_endpoint: httpUrl().optional().describe("Whole URL for logs, instead of the base URL."),
  metrics_endpoint: httpUrl()
    .optional()
    .describe("Whole URL for metrics, instead of the base URL."),
  ...common,
});

const otlpGrpc = z.strictObject({
  endpoint: grpcTarget().describe(
    "`host:port` of the sink (TLS unless `tls.insecure`), or an http:// or https:// URL with a port.",
  ),
  ...common,
});

/** `exporters`, as written in the file, aliases resolved. */
export const exportersSchema: z.ZodType<ExportersConfig> = z.strictObject({
  otlp_http: otlpHttp.optional().describe("Forward to an OTLP/HTTP sink. Alias: `otlphttp`."),
  otlp_grpc: otlpGrpc.optional().describe("Forward to an OTLP/gRPC sink. Alias: `otlp`."),
  stamp: flag()
    .prefault(true)
    .describe("Add `spanseal.*` attributes to forwarded spans that became records."),
});

/** Other names of the exporters, as the Collector has them. */
export const exporterAliases: Readonly<Record<string, string>> = {
  otlphttp: "otlp_http",
  otlp: "otlp_grpc",
};

function grpcTarget(): z.ZodType<string, string> {
  return z.codec(z.string(), z.string(), {
    decode: (input, context) => {
      if (parseGrpcTarget(input, false) !== undefined) return input;
      const hint = "write for example otel.example.com:4317 or http://127.0.0.1:4317";
      return refuse(context, input, "host:port or a URL with a port, without path", hint);
    },
    encode: (value) => value,
  });
}
