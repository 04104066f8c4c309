/** Runs the command line as a process. */
import { spawn } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const main = join(import.meta.dirname, "../../src/cli/main.ts");

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly cwd?: string;
  readonly stdin?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** Streams whose reader has gone before anything is written. */
  readonly unread?: readonly ("stdout" | "stderr")[];
}

export function temporaryFolder(): string {
  return mkdtempSync(join(tmpdir(), "spanseal-cli-"));
}

/** What a shell runs for these words. */
export function spansealCommand(words: string): string {
  return `"${process.execPath}" "${main}" ${words}`;
}

/** `spanseal` with these arguments, in a folder of its own, until it ends. */
export function spanseal(
  parameters: readonly string[],
  { cwd = temporaryFolder(), stdin = "", env = {}, unread = [] }: RunOptions = {},
): Promise<Ended> {
  const child = spawn(process.execPath, [main, ...parameters], {
    cwd,
    env: { PATH: process.env["PATH"], ...env },
  });
  const output = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => (output.stdout += text));
  child.stderr.setEncoding("utf8").on("data", (text: string) => (output.stderr += text));
  for (const stream of unread) child[stream].destroy();
  child.stdin.on("error", () => undefined).end(stdin);
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, ...output }));
  });
}
