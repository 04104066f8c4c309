/** The operator's sink: from the configuration to the forwarder, and from its findings to records. */
import { randomInt } from "node:crypto";
import { join } from "node:path";
import type { Signal } from "../audit/otlp/schema.ts";
import type { RedactionPolicy } from "../audit/redact/policy.ts";
import { redactText } from "../audit/redact/text.ts";
import type { ForwardControl } from "../forward/control.ts";
import type { ForwarderOptions, SinkOptions } from "../forward/options.ts";
import { systemClock } from "../ledger/clock.ts";
import type { Files } from "../ledger/files.ts";
import type { ControlInput } from "../ledger/ledger.ts";
import { controlTextCharsMax } from "../limits.ts";
import type { Config, HttpExporterConfig } from "./config/model.ts";
import type { Log } from "./log.ts";

export interface SinkParts {
  readonly config: Config;
  readonly log: Log;
  readonly redaction: RedactionPolicy;
  readonly files: Files;
  appendControl(control: ControlInput): Promise<unknown>;
}

/** Undefined where no sink is configured. */
export function forwarderOptions(parts: SinkParts): ForwarderOptions | undefined {
  const { config, log, redaction, files } = parts;
  const exporter = exporterOf(config);
  const sink = sinkOptions(config);
  if (exporter === undefined || sink === undefined) return undefined;
  const name = sinkName(config) ?? "";
  const { retry_on_failure: retry, sending_queue: queue } = exporter;
  return {
    directory: spoolDirectory(config),
    files,
    clock: systemClock,
    random: uniform,
    sink,
    queueBytesMax: queue.queue_size,
    onFull: queue.on_full,
    retry: {
      enabled: retry.enabled,
      initialIntervalMs: retry.initial_interval,
      maxIntervalMs: retry.max_interval,
      multiplier: retry.multiplier,
      randomizationFactor: retry.randomization_factor,
      maxElapsedMs: retry.max_elapsed_time,
    },
    async onControl(control) {
      await parts.appendControl(controlRecord(control, name));
    },
    redactMessage: (text) => redactText(text, redaction).text,
    log: (level, message, fields) => log[level](fields, message),
  };
}

/** The folder of all spools. */
export function spoolDirectory(config: Config): string {
  return join(config.ledger.directory, "spool");
}

/** The sink's address as it may be shown, without a query that may hold a key; undefined where there is none. */
export function sinkName({ exporters }: Config): string | undefined {
  const { otlp_http: http, otlp_grpc: grpc } = exporters;
  const signalEndpoint = http?.traces_endpoint ?? http?.logs_endpoint ?? http?.metrics_endpoint;
  const address = http === undefined ? grpc?.endpoint : (http.endpoint ?? signalEndpoint);
  return address?.split("?", 1)[0];
}

function exporterOf({ exporters }: Config): HttpExporterConfig | undefined {
  return exporters.otlp_http ?? exporters.otlp_grpc;
}

/** What the exporter is told of its sink; undefined where none is configured. */
export function sinkOptions(config: Config): SinkOptions | undefined {
  const exporter = exporterOf(config);
  if (exporter === undefined) return undefined;
  const { otlp_http: http } = config.exporters;
  const { endpoint, tls, headers, compression, timeout } = exporter;
  return {
    kind: http === undefined ? "grpc" : "http",
    endpoint,
    ...(http === undefined ? {} : { endpoints: signalEndpoints(http) }),
    headers,
    compression,
    timeoutMs: timeout,
    ...(tls === undefined
      ? {}
      : {
          tls: {
            caFile: tls.ca_file,
            certFile: tls.cert_file,
            keyFile: tls.key_file,
            insecure: tls.insecure,
            insecureSkipVerify: tls.insecure_skip_verify,
            serverNameOverride: tls.server_name_override,
          },
        }),
  };
}

function signalEndpoints(http: HttpExporterConfig): Partial<Record<Signal, string>> {
  const { traces_endpoint: traces, logs_endpoint: logs, metrics_endpoint: metrics } = http;
  return {
    ...(traces === undefined ? {} : { traces }),
    ...(logs === undefined ? {} : { logs }),
    ...(metrics === undefined ? {} : { metrics }),
  };
}

/** What forwarding found out, as a control record. */
function controlRecord(control: ForwardControl, sink: string): ControlInput {
  const { signal, first, end } = control;
  if (control.kind === "forwarding_suspended") {
    return {
      kind: "forwarding_suspended",
      members: {
        byte_count: control.bytes,
        counts_complete: control.countsComplete,
        end,
        first,
        item_count: control.items,
        phase: control.phase,
        request_count: control.entries,
        signal,
        since_time: String(BigInt(control.sinceUnixMs) * 1_000_000n),
        sink,
      },
    };
  }
  const { rejectedItems, reason, message, status } = control;
  return {
    kind: "sink_rejected",
    members: {
      end,
      first,
      item_count: rejectedItems ?? null,
      reason: cut(message === "" ? reason : `${reason}: ${message}`),
      signal,
      sink,
      status,
    },
  };
}

function cut(text: string): string {
  return text.slice(0, controlTextCharsMax).toWellFormed();
}

/** Uniform in [0, 1), for jitter. */
function uniform(): number {
  const range = 2 ** 32;
  return randomInt(range) / range;
}
