/**
 * The system calls that `Files` is made of, one method each: a test can number them, make any of
 * them fail, and know what a power cut after any of them leaves.
 */
import * as callbacks from "node:fs";
import { chmod, link, mkdir, readdir, rename, stat, unlink } from "node:fs/promises";
import { promisify } from "node:util";

import { isCode } from "../bytes/thrown.ts";
import { withDirectWrites } from "./direct-write.ts";
import { LedgerError } from "./ledger-error.ts";

/**
 * As in node:fs: `a+` creates and appends, `wx` creates and must not find a file, `r+` reads and
 * writes. With `s` each write is durable when it resolves (O_DSYNC).
 */
export type OpenFlags = "a+" | "r" | "r+" | "r+s" | "wx" | "wxs";

export interface OpenFile {
  /** May write less than it was given, as the kernel does on a full disk. */
  write(
    bytes: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesWritten: number }>;
  read(
    bytes: Uint8Array,
    offset: number,
    length: number,
    position: number,
  ): Promise<{ readonly bytesRead: number }>;
  datasync(): Promise<void>;
  sync(): Promise<void>;
  truncate(size: number): Promise<void>;
  stat(): Promise<Pick<FileStatus, "size" | "isDirectory">>;
  close(): Promise<void>;
}

export interface FileStatus {
  readonly size: number;
  /** Permission bits and kind. */
  readonly mode: number;
  isDirectory(): boolean;
}

export interface FileLock {
  release(): void;
}

/** Errors are those of node:fs, with `code`. */
export interface FileSystem {
  open(path: string, flags: OpenFlags, mode?: number): Promise<OpenFile>;
  link(from: string, to: string): Promise<void>;
  mkdir(path: string, options: { readonly mode: number }): Promise<unknown>;
  readdir(path: string): Promise<string[]>;
  readFile(path: string): Promise<Uint8Array>;
  rename(from: string, to: string): Promise<void>;
  stat(path: string): Promise<FileStatus>;
  unlink(path: string): Promise<void>;
  chmod(path: string, mode: number): Promise<void>;
  /**
   * Takes the lock of a file, which is created where it is missing: held until `release` or the end
   * of the process. Rejects with code EBUSY where another process holds it, EALREADY where this one
   * does.
   */
  lock(path: string, mode: number): Promise<FileLock>;
}

const { O_APPEND, O_CREAT, O_DIRECT, O_DSYNC, O_EXCL, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } =
  callbacks.constants;
const numbers: Readonly<Record<OpenFlags, number>> = {
  "a+": O_RDWR | O_CREAT | O_APPEND,
  r: O_RDONLY,
  "r+": O_RDWR,
  "r+s": O_RDWR | O_DSYNC,
  wx: O_WRONLY | O_CREAT | O_EXCL,
  wxs: O_RDWR | O_CREAT | O_EXCL | O_DSYNC,
};

/** Where a pipe, a socket or a device lies in the place of a file, opening it is refused. */
export const nodeFileSystem: FileSystem = fileSystemThat(openPlain);

/** Of a bucket, which may lie on a disk that does not answer: whoever opens something waits. */
export const waitingFileSystem: FileSystem = fileSystemThat((path, flags, mode) =>
  openNumber(path, flags, mode),
);

/** Answers the number of the open file. */
type Open = (path: string, flags: number, mode?: number) => Promise<number>;

function fileSystemThat(openIt: Open): FileSystem {
  return {
    async open(path, flags, mode) {
      const file = openFileOf(await openIt(path, numbers[flags], mode));
      // Not on every system.
      if (flags !== "r+" || O_DIRECT === undefined) return file;
      return withDirectWrites(file, async () =>
        openFileOf(await openIt(path, numbers[flags] | O_DIRECT)),
      );
    },
    async readFile(path) {
      const file = await openIt(path, O_RDONLY);
      try {
        return await readWhole(file);
      } finally {
        await closeNumber(file);
      }
    },
    link,
    mkdir,
    readdir,
    rename,
    stat,
    unlink,
    chmod,
    // Loaded here: readers take no lock.
    lock: async (path, mode) => (await import("./file-lock.ts")).lockFile(path, mode),
  };
}

const openNumber = promisify(callbacks.open);
const readWhole = promisify(callbacks.readFile);
const writeTo = promisify(callbacks.write);
const readFrom = promisify(callbacks.read);
const datasync = promisify(callbacks.fdatasync);
const sync = promisify(callbacks.fsync);
const truncate = promisify(callbacks.ftruncate);
const statOf = promisify(callbacks.fstat);
const closeNumber = promisify(callbacks.close);

/** A file, or a folder to be synced; without waiting for whoever is at the other end of a pipe. */
async function openPlain(path: string, flags: number, mode?: number): Promise<number> {
  const file = await openNumber(path, flags | O_NONBLOCK, mode).catch((error: unknown) => {
    throw isNotPlain(error) ? notPlain(path) : error;
  });
  const status = await statOf(file);
  if (status.isFile() || status.isDirectory()) return file;
  await closeNumber(file);
  throw notPlain(path);
}

/** What the kernel says to opening a socket, a pipe without reader, a link in a circle. */
function isNotPlain(error: unknown): boolean {
  return isCode(error, "ENXIO") || isCode(error, "ELOOP");
}

/** What stands in the place of a file proves nothing and must not hold up who reads it. */
export function notPlain(path: string): LedgerError {
  return new LedgerError(
    "damaged",
    `${path} is no plain file but a folder, a pipe, a socket, a device or the like`,
    { remedy: "move it away and restore the file from a backup" },
  );
}

/** A FileHandle costs more than the calls themselves where these come by the thousand. */
function openFileOf(file: number): OpenFile {
  return {
    write: (bytes, offset, length, position) => writeTo(file, bytes, offset, length, position),
    read: (bytes, offset, length, position) => readFrom(file, bytes, offset, length, position),
    datasync: () => datasync(file),
    sync: () => sync(file),
    truncate: (size) => truncate(file, size),
    stat: () => statOf(file),
    close: () => closeNumber(file),
  };
}
