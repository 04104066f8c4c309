/** The OpenTelemetry Collector as a target: how it is built, and the pipelines that are compared. */
import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { stringify } from "yaml";
import type { Running, Start, Target } from "../scenario.ts";

const manifest = join(import.meta.dirname, "builder.yaml");
const builder = "go.opentelemetry.io/collector/cmd/builder@v0.161.0";

/** The same kinds of personal data and secrets that Spanseal's packs look for, as patterns. */
const blockedValues = [
  String.raw`\b[A-Za-z0-9._%+-]+@[A-Za-z0-9.-]+\.[A-Za-z]{2,}\b`,
  String.raw`\b\d{3}-\d{2}-\d{4}\b`,
  String.raw`\b(?:\d[ -]?){12,18}\d\b`,
  String.raw`\(?\b[2-9]\d{2}\)?[ .-]\d{3}[ .-]\d{4}\b`,
  String.raw`\b(?:\d{1,3}\.){3}\d{1,3}\b`,
  String.raw`\b[A-Z]{2}\d{2}[A-Z0-9]{11,30}\b`,
  String.raw`\bA(?:KIA|SIA)[0-9A-Z]{16}\b`,
  String.raw`\bgh[a-z]_[A-Za-z0-9]{36,}\b`,
  String.raw`\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]{8,}\b`,
  String.raw`-----BEGIN [A-Z ]*PRIVATE KEY-----`,
  String.raw`\b\d{2}/\d{2}/(?:19|20)\d{2}\b`,
  String.raw`\bMRN[: ]?\d{6,10}\b`,
];

export interface Pipeline {
  readonly name: string;
  readonly redact: boolean;
  readonly file: boolean;
  /** Whether the queue for the sink is a file, synced at each write. */
  readonly durableQueue: boolean;
}

export const pipelines: readonly Pipeline[] = [
  { name: "Collector: forward", redact: false, file: false, durableQueue: false },
  { name: "Collector: redact, file, forward", redact: true, file: true, durableQueue: false },
  { name: "  with a synced queue", redact: true, file: true, durableQueue: true },
];

/**
 * The Collector's program in `folder`, built where it is not there yet: about five minutes of CPU.
 *
 * @throws where there is no Go toolchain
 */
export function builtCollector(folder: string): string {
  const program = join(folder, "otelcol", "otelcol-peer");
  if (existsSync(program)) return program;
  mkdirSync(folder, { recursive: true });
  const run = (command: string, parameters: readonly string[], cwd = folder): void => {
    const env = { ...process.env, GOBIN: folder, GOFLAGS: "-mod=mod", CGO_ENABLED: "0" };
    execFileSync("nice", ["-n", "10", command, ...parameters], { cwd, env, stdio: "inherit" });
  };
  run("go", ["install", builder]);
  run(join(folder, "builder"), [`--config=${manifest}`, "--skip-compilation"]);
  run("go", ["build", "-trimpath", "-ldflags=-s -w", "-o", program, "."], dirname(program));
  return program;
}

export function collectorTarget(program: string, pipeline: Pipeline): Target {
  return {
    async start({ folder, sink, scenario, processes }: Start): Promise<Running> {
      const ports = { grpc: await freePort(), http: await freePort() };
      const file = join(folder, "collector.yaml");
      mkdirSync(join(folder, "queue"));
      writeFileSync(file, stringify(configuration(pipeline, { folder, ports, sink: sink.http })));
      const command = [program, `--config=file:${file}`];
      const environment = { GOMAXPROCS: String(scenario.cores) };
      const child = processes.startTarget(command, scenario.cores, environment);
      let errors = "";
      child.stderr!.setEncoding("utf8").on("data", (text: string) => (errors += text));
      if (!(await listens(ports.grpc))) throw new Error(`the Collector does not listen: ${errors}`);
      return { pid: child.pid!, ports };
    },
  };
}

interface Places {
  readonly folder: string;
  readonly ports: { readonly grpc: number; readonly http: number };
  readonly sink: number;
}

function configuration(
  { redact, file, durableQueue }: Pipeline,
  { folder, ports, sink }: Places,
): object {
  const queue = join(folder, "queue");
  return {
    receivers: {
      otlp: {
        protocols: {
          grpc: { endpoint: `127.0.0.1:${ports.grpc}`, max_recv_msg_size_mib: 64 },
          http: { endpoint: `127.0.0.1:${ports.http}` },
        },
      },
    },
    processors: { redaction: { allow_all_keys: true, blocked_values: blockedValues } },
    exporters: {
      file: { path: join(folder, "audit.json") },
      otlphttp: {
        endpoint: `http://127.0.0.1:${sink}`,
        compression: "none",
        ...(durableQueue && { sending_queue: { storage: "file_storage" } }),
      },
    },
    extensions: { file_storage: { directory: queue, fsync: true } },
    service: {
      telemetry: { metrics: { level: "none" }, logs: { level: "warn" } },
      extensions: durableQueue ? ["file_storage"] : [],
      pipelines: {
        traces: {
          receivers: ["otlp"],
          processors: redact ? ["redaction"] : [],
          exporters: file ? ["file", "otlphttp"] : ["otlphttp"],
        },
      },
    },
  };
}

function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => resolve(port));
    });
  });
}

/** Within ten seconds. */
async function listens(port: number): Promise<boolean> {
  for (let tries = 0; tries < 100; tries++) {
    const isOpen = await new Promise<boolean>((resolve) => {
      const socket = connect(port, "127.0.0.1", () => resolve(true));
      socket.on("connect", () => socket.destroy()).on("error", () => resolve(false));
    });
    if (isOpen) return true;
    await sleep(100);
  }
  return false;
}
