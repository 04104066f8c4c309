/** Mounts `lossy.py`: a real file system whose page cache can be taken away. */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { onTestFinished } from "vitest";

const script = join(import.meta.dirname, "lossy.py");
/** A Python with the package `mfusepy`. */
const python = process.env["SPANSEAL_FUSE_PYTHON"] ?? "python3";

function probe(): string | undefined {
  if (process.platform !== "linux") return "needs FUSE on Linux";
  if (!existsSync("/dev/fuse")) return "there is no /dev/fuse";
  const found = spawnSync(python, ["-c", "import mfusepy"], { encoding: "utf8" });
  if (found.status !== 0) return `${python} has no mfusepy (see SPANSEAL_FUSE_PYTHON)`;
  const folder = mkdtempSync(join(tmpdir(), "spanseal-fuse-"));
  const mounted = spawnSync(python, [script, "--probe", folder], { encoding: "utf8" });
  return mounted.status === 0 ? undefined : `FUSE cannot be mounted: ${mounted.stderr.trim()}`;
}

/** Why no such disk can be had here; undefined where it can. */
export const noLossyDisk: string | undefined = probe();

export interface LossyDisk {
  /** What was not synced is gone. */
  cutPower(): void;
}

export async function mountLossyDisk(backing: string, folder: string): Promise<LossyDisk> {
  mkdirSync(backing, { recursive: true });
  const outside = statSync(folder).dev;
  const child = spawn(python, [script, backing, folder], { stdio: "inherit" });
  onTestFinished(() => {
    spawnSync("fusermount3", ["-u", "-z", folder]);
    child.kill("SIGKILL");
  });
  while (statSync(folder).dev === outside) {
    if (child.exitCode !== null) throw new Error(`lossy.py ended with ${child.exitCode}`);
    await delay(20);
  }
  return {
    cutPower() {
      child.kill("SIGUSR1");
    },
  };
}
