import {
  copyFileSync,
  cpSync,
  existsSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  statSync,
} from "node:fs";
import { isAbsolute, join, resolve } from "node:path";
import { SpanStatusCode } from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-proto";
import { BasicTracerProvider, SimpleSpanProcessor } from "@opentelemetry/sdk-trace-base";
import { expect, test } from "vitest";
import { spanseal } from "../cli/command.ts";
import { startSidecar, temporaryFolder } from "./sidecar-process.ts";
import type { SidecarProcess } from "./sidecar-process.ts";

/** A tool call by the real SDK; resolves when the exporter has its answer. */
async function sendToolCall(endpoint: string): Promise<void> {
  const exporter = new OTLPTraceExporter({ url: `http://${endpoint}/v1/traces` });
  const provider = new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });
  const span = provider.getTracer("agent").startSpan("execute_tool lookup");
  span.setAttributes({
    "gen_ai.operation.name": "execute_tool",
    "gen_ai.tool.name": "lookup",
    "gen_ai.tool.call.arguments": '{"mail":"jane.roe@example.com"}',
  });
  span.setStatus({ code: SpanStatusCode.OK });
  span.end();
  await provider.forceFlush();
  await provider.shutdown();
}

interface Line {
  readonly head: { readonly index: number; readonly kind: string; readonly namespace: string };
  readonly body: Readonly<Record<string, unknown>>;
}

function linesOf(ledger: string): Line[] {
  const folder = join(ledger, "segments");
  return readdirSync(folder)
    .toSorted()
    .flatMap((name) => readFileSync(join(folder, name), "utf8").trim().split("\n"))
    .map((line) => JSON.parse(line) as Line);
}

function ledgerOf({ cwd, ready }: SidecarProcess): string {
  return resolve(cwd, ready.ledger);
}

async function metricsOf(sidecar: SidecarProcess): Promise<string[]> {
  return (await (await sidecar.operations("/metrics")).text()).split("\n");
}

test("a span of the real SDK is recorded, redacted, counted, and published at the end", async () => {
  const sidecar = await startSidecar();
  await sendToolCall(sidecar.ready.endpoints.http);
  const ready = await sidecar.operations("/readyz");
  expect([ready.status, await ready.json()]).toMatchObject([200, { status: "ready" }]);
  const metrics = await metricsOf(sidecar);
  expect(metrics).toContain('spanseal_received_items_total{signal="traces",transport="http"} 1');
  expect(metrics).toContain('spanseal_records_total{result="appended"} 1');
  expect(metrics).toContain('spanseal_redactions_total{class="email"} 1');
  expect(await sidecar.stop()).toBe(0);
  const lines = linesOf(ledgerOf(sidecar));
  expect(lines.map(({ head }) => head.kind)).toEqual([
    "opened",
    "policy_changed",
    "action",
    "closed",
    "seal",
  ]);
  expect(lines[2]!.body).toMatchObject({ action: { type: "tool_call" }, tool: { name: "lookup" } });
  expect(JSON.stringify(lines)).not.toContain("jane.roe");
  const origin = sidecar.ready.public_key.split("+")[0]!;
  const published = readFileSync(resolve(sidecar.cwd, sidecar.ready.bucket, origin, "checkpoint"));
  expect(published.toString().split("\n").slice(0, 2)).toEqual([origin, "5"]);
  expect(published).toEqual(readFileSync(join(ledgerOf(sidecar), "checkpoint")));
});

test("what is created is closed to others", async () => {
  const sidecar = await startSidecar();
  const modeOf = (...parts: string[]): number => statSync(join(sidecar.cwd, ...parts)).mode & 0o777;
  expect(modeOf("spanseal-keys")).toBe(0o700);
  for (const name of readdirSync(join(sidecar.cwd, "spanseal-keys"))) {
    expect([name, modeOf("spanseal-keys", name)]).toEqual([name, 0o600]);
  }
  expect(modeOf("spanseal-data", "ledger")).toBe(0o700);
  expect(modeOf("spanseal-data", "ledger", "control.sock")).toBe(0o600);
  await sidecar.stop();
});

test("a second sidecar on the same ledger is refused and does it no harm", async () => {
  const sidecar = await startSidecar();
  const second = await spanseal(["serve", "--config", "spanseal.yaml"], { cwd: sidecar.cwd });
  expect(second.code).toBe(3);
  expect(second.stderr).toContain(`in use by process ${sidecar.ready.pid}`);
  expect(second.stderr).toMatch(/^hint: stop it first/m);
  await sendToolCall(sidecar.ready.endpoints.http);
  expect(await sidecar.stop()).toBe(0);
  expect(linesOf(ledgerOf(sidecar)).filter(({ head }) => head.kind === "opened")).toHaveLength(1);
});

test("a restart goes on with the log; an unchanged policy is not recorded again", async () => {
  const first = await startSidecar();
  await sendToolCall(first.ready.endpoints.http);
  await first.stop();
  const second = await startSidecar({ cwd: first.cwd });
  await second.stop();
  const third = await startSidecar({ cwd: first.cwd, config: { redaction: { packs: [] } } });
  expect(third.ready.public_key).toBe(first.ready.public_key);
  await third.stop();
  const kinds = linesOf(ledgerOf(first)).map(({ head }) => head.kind);
  const wanted =
    "opened policy_changed action closed seal opened closed seal opened policy_changed";
  expect(kinds.join(" ")).toBe(`${wanted} redaction_off closed seal`);
  const changed = linesOf(ledgerOf(first)).findLast(({ head }) => head.kind === "policy_changed");
  expect(changed!.body).toMatchObject({ changes: ["redaction.packs"] });
});

test("a policy file that was made to fit hides no change: the log says what was in force", async () => {
  const first = await startSidecar();
  await first.stop();
  const config = { redaction: { packs: [] } };
  const elsewhere = temporaryFolder();
  cpSync(first.cwd, elsewhere, { recursive: true, filter: (path) => !path.endsWith(".sock") });
  const rehearsal = await startSidecar({ cwd: elsewhere, config });
  await rehearsal.stop();
  const file = "spanseal-data/ledger/policy.json";
  copyFileSync(join(elsewhere, file), join(first.cwd, file));
  const second = await startSidecar({ cwd: first.cwd, config });
  await second.stop();
  const changes = linesOf(ledgerOf(first)).filter(({ head }) => head.kind === "policy_changed");
  expect(changes.map(({ body }) => body["before"] === null)).toEqual([true, false]);
  expect(changes[1]!.body["before"]).toBe(changes[0]!.body["after"]);
});

test("a ledger without its keys is refused, and no other keys are made for it", async () => {
  const sidecar = await startSidecar();
  await sidecar.stop();
  const { cwd } = sidecar;
  renameSync(join(cwd, "spanseal-keys"), join(cwd, "moved"));
  const refused = await spanseal(["serve", "--config", "spanseal.yaml"], { cwd });
  expect(refused.code).toBe(2);
  expect(refused.stderr).toMatch(/^error: there are no keys in .*\nhint: restore the folder/);
  expect(existsSync(join(cwd, "spanseal-keys"))).toBe(false);
});

test("an unclean end is recovered, and recorded as such", async () => {
  const first = await startSidecar();
  await sendToolCall(first.ready.endpoints.http);
  expect(await first.stop("SIGKILL")).toBe(null);
  expect(existsSync(join(ledgerOf(first), "control.sock"))).toBe(true);
  const second = await startSidecar({ cwd: first.cwd });
  expect(second.stderr()).toContain("recovered the ledger after an unclean end");
  expect(await second.stop("SIGINT")).toBe(0);
  const kinds = linesOf(ledgerOf(first)).map(({ head }) => head.kind);
  expect(kinds.slice(0, 3)).toEqual(["opened", "policy_changed", "action"]);
  expect(kinds).toContain("recovered");
});

test.runIf(process.platform === "linux")("without a sink no outbound socket exists", async () => {
  const sidecar = await startSidecar({
    env: { http_proxy: "http://127.0.0.1:9", OTEL_EXPORTER_OTLP_ENDPOINT: "http://127.0.0.1:9" },
  });
  await sendToolCall(sidecar.ready.endpoints.http);
  await spanseal(["publish", "--config", "spanseal.yaml"], { cwd: sidecar.cwd });
  const ports = Object.values(sidecar.ready.endpoints).map((at) => Number(at.split(":").at(-1)));
  const own = socketsOf(sidecar.ready.pid);
  expect(own.length).toBeGreaterThanOrEqual(3);
  expect(own.filter(({ localPort }) => !ports.includes(localPort))).toEqual([]);
  await sidecar.stop();
});

/** The internet sockets of a process, from /proc. */
function socketsOf(pid: number): { protocol: string; localPort: number }[] {
  const inodes = new Set(
    readdirSync(`/proc/${pid}/fd`).flatMap((descriptor) => {
      try {
        return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${descriptor}`))?.[1] ?? [];
      } catch {
        return [];
      }
    }),
  );
  return ["tcp", "tcp6", "udp", "udp6"].flatMap((protocol) =>
    readFileSync(`/proc/${pid}/net/${protocol}`, "utf8")
      .trim()
      .split("\n")
      .slice(1)
      .map((line) => line.trim().split(/\s+/))
      .filter((fields) => inodes.has(fields[9]!))
      .map((fields) => ({
        protocol,
        localPort: Number.parseInt(fields[1]!.split(":").at(-1)!, 16),
      })),
  );
}

test("the banner says where everything is and what an agent needs", async () => {
  const cwd = temporaryFolder();
  const sidecar = await startSidecar({ cwd });
  await sidecar.stop();
  const { ledger, bucket, keys } = sidecar.ready;
  expect([ledger, bucket, keys].filter((folder) => !isAbsolute(folder))).toEqual([]);
  expect(sidecar.ready.environment).toEqual({
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://${sidecar.ready.endpoints.http}`,
    OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT: "SPAN_ONLY",
    OTEL_SEMCONV_STABILITY_OPT_IN: "gen_ai_latest_experimental",
  });
  expect(sidecar.stderr()).not.toContain("export ");
});

test("a port that is taken is named with its key, and nothing is created", async () => {
  const sidecar = await startSidecar();
  const cwd = temporaryFolder();
  const { http } = sidecar.ready.endpoints;
  const config = { receivers: { otlp: { protocols: { http: { endpoint: http } } } } };
  await expect(startSidecar({ cwd, config })).rejects.toThrow(
    "receivers.otlp.protocols.http.endpoint",
  );
  expect(existsSync(join(cwd, "spanseal-data"))).toBe(false);
  expect(existsSync(join(cwd, "spanseal-keys"))).toBe(false);
  await sidecar.stop();
});
