/** Storage that fails on demand: a small disk, and a process that file permissions apply to. */
import { spawnSync } from "node:child_process";
import { chownSync, mkdirSync, mkdtempSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

const isRoot = process.getuid?.() === 0;
/** `nobody` on most systems; it needs no entry anywhere. */
const otherUser = 65_534;

function run(program: string, ...parameters: string[]): { ok: boolean; message: string } {
  const { status, stderr, error } = spawnSync(program, parameters, { encoding: "utf8" });
  return { ok: status === 0, message: error?.message ?? stderr.trim() };
}

/** Why no small disk can be had here; undefined where it can. */
function probeMount(): string | undefined {
  if (process.platform !== "linux" || !isRoot) return "needs to mount a tmpfs as root on Linux";
  const folder = mkdtempSync(join(tmpdir(), "spanseal-mount-"));
  const { ok, message } = run("mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder);
  if (ok) run("umount", folder);
  return ok ? undefined : `mounting a tmpfs failed: ${message}`;
}

export const noSmallDisk: string | undefined = probeMount();

/** Mounts a disk of that size at `folder` for the time of the test. */
export function mountSmallDisk(folder: string, size: string): void {
  mkdirSync(folder, { recursive: true });
  const { ok, message } = run(
    "mount",
    "-t",
    "tmpfs",
    "-o",
    `size=${size},mode=700`,
    "tmpfs",
    folder,
  );
  if (!ok) throw new Error(`mounting ${folder} failed: ${message}`);
  onTestFinished(() => {
    run("umount", "--lazy", folder);
  });
}

/** Run in the sidecar before its own code: root could write everywhere, whatever the modes say. */
const dropRoot = `process.setgroups([]); process.setgid(${otherUser}); process.setuid(${otherUser});`;

/** The environment of a sidecar that file permissions apply to. */
export const asOrdinaryUser: Readonly<Record<string, string>> = isRoot
  ? { NODE_OPTIONS: `--import=data:text/javascript,${encodeURIComponent(dropRoot)}` }
  : {};

/** Why no sidecar can run as an ordinary user here; undefined where one can. */
function probeOrdinaryUser(): string | undefined {
  if (!isRoot) return process.platform === "win32" ? "needs POSIX permissions" : undefined;
  const main = join(import.meta.dirname, "../../src/cli/main.ts");
  const { status, stderr } = spawnSync(process.execPath, [main, "--help"], {
    cwd: tmpdir(),
    env: { PATH: process.env["PATH"], ...asOrdinaryUser },
    encoding: "utf8",
  });
  return status === 0 ? undefined : `another user cannot run this checkout: ${stderr.trim()}`;
}

export const noOrdinaryUser: string | undefined = probeOrdinaryUser();

/** Makes a folder and all in it belong to whom `asOrdinaryUser` runs as. */
export function giveToOrdinaryUser(folder: string): void {
  if (!isRoot) return;
  chownSync(folder, otherUser, otherUser);
  for (const path of readdirSync(folder, { recursive: true, encoding: "utf8" })) {
    chownSync(join(folder, path), otherUser, otherUser);
  }
}
