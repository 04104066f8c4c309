import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { agentEnvironment, formatBanner } from "../../src/service/banner.ts";
import { parseConfig } from "../../src/service/config.ts";
import type { SidecarState } from "../../src/service/state.ts";
import { version } from "../../src/service/version.ts";

const state: SidecarState = {
  unsent: [],
  pid: 1,
  startedAt: "2026-11-21T00:00:00.000Z",
  draining: false,
  ledger: {
    state: "open",
    directory: "/srv/audit/ledger",
    origin: "audit.example.com/00",
    size: 2,
    chainCount: 1,
    queuedRequests: 0,
    queuedBytes: 0,
    checkpointSize: 0,
  },
  publish: { bucket: "/srv/audit/bucket", lagMs: 0, lagRecords: 0, pendingRoots: 0, halted: false },
  endpoints: { grpc: "0.0.0.0:4317", http: "0.0.0.0:4318", operations: "127.0.0.1:4319" },
  publicKey: "audit.example.com/00+01020304+AQID",
};

test("the first start says where everything is, what to back up and what an agent needs", () => {
  const { config } = parseConfig("keys: { directory: /etc/spanseal/keys }");
  expect(formatBanner({ config, state, keysCreated: true })).toBe(
    `spanseal ${version} is ready
  receives on 0.0.0.0:4317 (OTLP/gRPC), 0.0.0.0:4318 (OTLP/HTTP)
  operations  http://127.0.0.1:4319 (/healthz, /readyz, /metrics)
  ledger      /srv/audit/ledger
  bucket      /srv/audit/bucket (a signed root every 10m or 65536 records)
  keys        /etc/spanseal/keys
  forwards to nobody: no sink is configured
  public key  audit.example.com/00+01020304+AQID (give it to the auditor)
first start: created the keys in /etc/spanseal/keys
  back them up now, apart from the ledger and its backup: without them the log cannot go on,
  and whoever holds them can forge records that no signed root covers yet
an agent needs (SPAN_ONLY is true in older instrumentations):
  export OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318
  export OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT=SPAN_ONLY
  export OTEL_SEMCONV_STABILITY_OPT_IN=gen_ai_latest_experimental
`,
  );
  expect(formatBanner({ config, state, keysCreated: false })).not.toContain("back them up");
});

test("an agent of a gRPC-only or a TLS receiver is told so", () => {
  const grpc = parseConfig("receivers: { otlp: { protocols: { grpc: } } }").config;
  const endpoints = { grpc: "127.0.0.1:4317", operations: "127.0.0.1:4319" };
  expect(agentEnvironment(grpc, { ...state, endpoints })).toMatchObject({
    OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:4317",
    OTEL_EXPORTER_OTLP_PROTOCOL: "grpc",
  });
  const tls = "tls: { cert_file: c.pem, key_file: k.pem }";
  const secure = parseConfig(`receivers: { otlp: { protocols: { http: { ${tls} } } } }`).config;
  expect(agentEnvironment(secure, state)).toMatchObject({
    OTEL_EXPORTER_OTLP_ENDPOINT: "https://127.0.0.1:4318",
  });
});

test("the version is that of the package", () => {
  const text = readFileSync(join(import.meta.dirname, "../../package.json"), "utf8");
  expect((JSON.parse(text) as { version: string }).version).toBe(version);
});
