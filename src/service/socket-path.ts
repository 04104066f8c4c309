/**
 * The kernel takes about a hundred bytes as the path of a unix socket, far less than a path may
 * have. A longer one is reached relative to the working directory or, on Linux, through the open
 * directory's descriptor.
 */
import { closeSync, openSync } from "node:fs";
import { join, relative, resolve } from "node:path";
import { socketPathBytesMax } from "../limits.ts";
import { ControlError } from "./control-error.ts";

const controlSocketName = "control.sock";

export interface SocketPath {
  /** To bind or to connect to, until `release`. */
  readonly path: string;
  readonly release: () => void;
}

/** @throws ControlError `path_too_long` where no way to name the socket is short enough. */
export function controlSocketPath(directory: string): SocketPath {
  const absolute = resolve(directory, controlSocketName);
  const fitting = [absolute, relative(process.cwd(), absolute)].find(
    (path) => Buffer.byteLength(path) <= socketPathBytesMax,
  );
  if (fitting !== undefined) return { path: fitting, release: () => undefined };
  if (process.platform === "linux") return throughDescriptor(directory);
  throw new ControlError(
    "path_too_long",
    `the path ${absolute} has ${Buffer.byteLength(absolute)} bytes, but a unix socket's path has ` +
      `${socketPathBytesMax} at most`,
    { remedy: "start from a directory nearer to the ledger" },
  );
}

function throughDescriptor(directory: string): SocketPath {
  const descriptor = openSync(directory, "r");
  return {
    path: join(`/proc/self/fd/${descriptor}`, controlSocketName),
    release: () => closeSync(descriptor),
  };
}
