/** A sidecar as its own process, with ports of its own. */
import { spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stringify } from "yaml";
import { onTestFinished } from "vitest";

const main = join(import.meta.dirname, "../../src/cli/main.ts");

interface ReadyLine {
  readonly pid: number;
  readonly endpoints: { readonly grpc: string; readonly http: string; readonly operations: string };
  readonly ledger: string;
  readonly bucket: string;
  readonly keys: string;
  readonly public_key: string;
  readonly environment: Readonly<Record<string, string>>;
}

export interface SidecarProcess {
  readonly cwd: string;
  readonly ready: ReadyLine;
  readonly child: ChildProcess;
  stderr(): string;
  /** GET of the operations endpoint. */
  operations(path: string): Promise<Response>;
  /** Sends the signal and waits for the exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

export interface StartOptions {
  readonly cwd?: string;
  readonly config?: Readonly<Record<string, unknown>>;
  readonly env?: Readonly<Record<string, string>>;
  /** A program that runs the sidecar as its child, with its parameters. */
  readonly under?: readonly string[];
}

const anyPort = "127.0.0.1:0";

/** Receivers and operations on free ports. */
export const freePorts = {
  receivers: { otlp: { protocols: { grpc: { endpoint: anyPort }, http: { endpoint: anyPort } } } },
  operations: { endpoint: anyPort },
};

export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), "spanseal-serve-"));
}

/** Starts `spanseal serve --json`, and resolves when it is ready. Ended with the test at last. */
export function startSidecar(options: StartOptions = {}): Promise<SidecarProcess> {
  return launchSidecar(options, (child) => {
    onTestFinished(() => {
      child.kill("SIGKILL");
    });
  });
}

/** The same outside of a test, for what several tests share: the caller ends the process. */
export async function launchSidecar(
  options: StartOptions = {},
  onSpawn: (child: ChildProcess) => void = () => undefined,
): Promise<SidecarProcess> {
  const { cwd = temporaryFolder(), config = {}, env = {}, under = [] } = options;
  const file = join(cwd, "spanseal.yaml");
  writeFileSync(file, stringify({ ...freePorts, ...config }));
  const command = [...under, process.execPath, main, "serve", "--json", "--config", file];
  const child = spawn(command[0]!, command.slice(1), {
    cwd,
    env: { PATH: process.env["PATH"], ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (errors += text));
  const exited = new Promise<number | null>((resolve) => child.once("close", resolve));
  onSpawn(child);
  const line = await Promise.race([firstLine(child), exited]);
  if (typeof line !== "string") throw new Error(`the sidecar ended with ${line}: ${errors}`);
  const ready = JSON.parse(line) as ReadyLine;
  return {
    cwd,
    ready,
    child,
    stderr: () => errors,
    operations: (path) => fetch(`http://${ready.endpoints.operations}${path}`),
    stop(signal = "SIGTERM") {
      if (under.length === 0) child.kill(signal);
      else process.kill(ready.pid, signal);
      return exited;
    },
  };
}

function firstLine(child: ChildProcess): Promise<string> {
  return new Promise((resolve) => {
    let text = "";
    child.stdout!.setEncoding("utf8").on("data", (chunk: string) => {
      text += chunk;
      if (text.includes("\n")) resolve(text.split("\n", 1)[0]!);
    });
  });
}
