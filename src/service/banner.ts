/** What the operator reads at the start: where everything is and what to do with it. */
import { resolve } from "node:path";
import type { Config } from "./config/model.ts";
import { formatDuration } from "./config/values.ts";
import type { SidecarState } from "./state.ts";
import { version } from "./version.ts";

export interface BannerInput {
  readonly config: Config;
  readonly state: SidecarState;
  /** True where this start created the keys. */
  readonly keysCreated: boolean;
}

/** The variables that an agent on this machine needs, in the order to set them. */
export function agentEnvironment(config: Config, state: SidecarState): Record<string, string> {
  const { http, grpc } = config.receivers.otlp.protocols;
  const endpoint = state.endpoints["http"] ?? state.endpoints["grpc"] ?? "";
  const secure = (http ?? grpc)?.tls !== undefined;
  return {
    OTEL_EXPORTER_OTLP_ENDPOINT: `${secure ? "https" : "http"}://${reachable(endpoint)}`,
    ...(http === undefined ? { OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" } : {}),
    OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT: "SPAN_ONLY",
    OTEL_SEMCONV_STABILITY_OPT_IN: "gen_ai_latest_experimental",
  };
}

/** The banner, for stderr. */
export function formatBanner(input: BannerInput): string {
  const { config, state } = input;
  const lines = [`spanseal ${version} is ready`];
  for (const [name, value] of places(config, state)) lines.push(`  ${name.padEnd(11)} ${value}`);
  if (input.keysCreated) lines.push(...firstStart(config));
  lines.push("an agent needs (SPAN_ONLY is true in older instrumentations):");
  for (const [name, value] of Object.entries(agentEnvironment(config, state))) {
    lines.push(`  export ${name}=${value}`);
  }
  return `${lines.join("\n")}\n`;
}

function places(config: Config, state: SidecarState): [string, string][] {
  const { grpc, http, operations } = state.endpoints;
  const received = [
    ...(grpc === undefined ? [] : [`${grpc} (OTLP/gRPC)`]),
    ...(http === undefined ? [] : [`${http} (OTLP/HTTP)`]),
  ];
  return [
    ["receives on", received.join(", ")],
    ["operations", `http://${operations} (/healthz, /readyz, /metrics)`],
    ["ledger", resolve(state.ledger.directory)],
    ["bucket", `${resolve(state.publish.bucket)} (a signed root ${rhythm(config)})`],
    ["keys", resolve(config.keys.directory)],
    ["forwards to", state.forward?.sink ?? "nobody: no sink is configured"],
    ["public key", `${state.publicKey} (give it to the auditor)`],
  ];
}

function rhythm({ publish }: Config): string {
  return `every ${formatDuration(publish.interval)} or ${publish.every_records} records`;
}

function firstStart(config: Config): string[] {
  const keys = resolve(config.keys.directory);
  return [
    `first start: created the keys in ${keys}`,
    "  back them up now, apart from the ledger and its backup: without them the log cannot go on,",
    "  and whoever holds them can forge records that no signed root covers yet",
  ];
}

/** An address that listens everywhere is reached at loopback. */
function reachable(endpoint: string): string {
  return endpoint.replace(/^(?:0\.0\.0\.0|\[::\])(?=:\d+$)/, "127.0.0.1");
}
