/** Spanseal as a target: from source, or as a release runs. */
import { execFileSync } from "node:child_process";
import { readdirSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { stringify } from "yaml";
import { firstLine } from "./processes.ts";
import type { Running, Scenario, Start, Target } from "./scenario.ts";

const root = join(import.meta.dirname, "../..");
const allocationBytes = 512;

export interface SidecarOptions {
  /** Runs `dist/`, built anew, instead of the source. */
  readonly dist: boolean;
  /** Folder for a CPU profile of each run. */
  readonly profile: string | undefined;
}

export function sidecarTarget({ dist, profile }: SidecarOptions): Target {
  if (dist) execFileSync("npm", ["run", "--silent", "build"], { cwd: root, stdio: "inherit" });
  const main = join(root, dist ? "dist/cli/main.js" : "src/cli/main.ts");
  const profiling = profile === undefined ? [] : ["--cpu-prof", `--cpu-prof-dir=${profile}`];
  const command = [process.execPath, ...profiling, main, "serve", "--json", "--config"];
  return {
    async start(options) {
      const { folder, scenario, processes } = options;
      const file = join(folder, "spanseal.yaml");
      writeFileSync(file, stringify(configuration(options)));
      const child = processes.startTarget([...command, file], scenario.cores);
      const ready = JSON.parse(await firstLine(child)) as Ready;
      const closed = new Promise<void>((resolve) => child.once("exit", () => resolve()));
      return {
        pid: child.pid!,
        ports: { grpc: portOf(ready.endpoints.grpc), http: portOf(ready.endpoints.http) },
        bytesOnDisk: () => bytesOnDisk(folder),
        ...(profile !== undefined && {
          async end() {
            child.kill("SIGTERM");
            await closed;
          },
        }),
      } satisfies Running;
    },
  };
}

interface Ready {
  readonly endpoints: { readonly grpc: string; readonly http: string };
}

function portOf(endpoint: string): number {
  return Number(endpoint.split(":").at(-1));
}

function configuration({ folder, scenario, sink }: Start): object {
  const anyPort = { endpoint: "127.0.0.1:0" };
  return {
    receivers: { otlp: { protocols: { grpc: anyPort, http: anyPort } } },
    operations: anyPort,
    ledger: { directory: join(folder, "ledger") },
    publish: { bucket: join(folder, "bucket") },
    keys: { directory: join(folder, "keys") },
    exporters: exporters(scenario, sink),
    service: { workers: scenario.workers },
  };
}

function exporters({ sink, sinkCompression: compression }: Scenario, ports: Start["sink"]): object {
  if (sink === "none") return {};
  if (sink === "http") {
    return { otlp_http: { endpoint: `http://127.0.0.1:${ports.http}`, compression } };
  }
  const tls = { insecure: true };
  return { otlp_grpc: { endpoint: `127.0.0.1:${ports.grpc}`, compression, tls } };
}

/** As the file system counts them, by what they are. */
function bytesOnDisk(folder: string): Record<string, number> {
  const parts = { log: "segments", tiles: "tile", state: "state", spool: "spool" };
  const ledger = Object.entries(parts).map(
    ([part, name]) => [part, allocated(join(folder, "ledger", name))] as const,
  );
  return { ...Object.fromEntries(ledger), bucket: allocated(join(folder, "bucket")) };
}

function allocated(path: string): number {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return 0;
  const own = stat.blocks * allocationBytes;
  if (!stat.isDirectory()) return own;
  return readdirSync(path).reduce((sum, name) => sum + allocated(join(path, name)), own);
}
