/** A virtual environment with the pinned packages, made once under the cache folder of the checkout. */
import { execFile } from "node:child_process";
import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);
const directory = join(import.meta.dirname, "../../../.cache/python");
const requirements = join(import.meta.dirname, "requirements.txt");
const interpreter = join(directory, "bin/python");

export interface PythonEnvironment {
  /** Runs a script of this folder. @returns what it printed. */
  run(script: string, ...args: readonly string[]): Promise<{ stdout: string; stderr: string }>;
}

/** @returns why there is none, where Python or the package index is out of reach. */
export async function pythonEnvironment(): Promise<PythonEnvironment | string> {
  const wanted = await readFile(requirements, "utf8");
  const marker = join(directory, "installed.txt");
  const installed = await readFile(marker, "utf8").catch(() => "");
  if (installed !== wanted) {
    const problem = await install();
    if (problem !== undefined) return problem;
    await writeFile(marker, wanted);
  }
  // Nothing of this process' environment is to direct the exporters.
  const env = { PATH: process.env["PATH"], NO_PROXY: "*", PYTHONIOENCODING: "utf-8" };
  return {
    run: (script, ...args) =>
      run(interpreter, [join(import.meta.dirname, script), ...args], { env, timeout: 40_000 }),
  };
}

async function install(): Promise<string | undefined> {
  await rm(directory, { recursive: true, force: true });
  await mkdir(directory, { recursive: true });
  try {
    await run("python3", ["-m", "venv", directory], { timeout: 60_000 });
    const pip = [
      "-m",
      "pip",
      "install",
      "--quiet",
      "--retries",
      "1",
      "--disable-pip-version-check",
    ];
    const only = ["--no-deps", "--only-binary", ":all:", "--requirement", requirements];
    await run(interpreter, [...pip, ...only], { timeout: 180_000 });
    return undefined;
  } catch (error) {
    const { stderr, message } = error as Error & { stderr?: string };
    const last = (stderr ?? "").trim().split("\n").at(-1);
    return last === undefined || last === "" ? message : last;
  }
}
