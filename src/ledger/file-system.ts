/**
 * The system calls that `Files` is made of, one method each: a test can number them, make any of
 * them fail, and know what a power cut after any of them leaves.
 */
import * as callbacks from "node:fs";
import {
  chmod,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  stat,
  unlink,
} from "node:fs/promises";
import { promisify } from "node:util";

import { withDirectWrites } from "./direct-write.ts";

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
  stat(): Promise<{ readonly size: number }>;
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

export const nodeFileSystem: FileSystem = {
  open(path, flags, mode) {
    if (flags === "r+") return openForWriting(path);
    if (flags === "wxs") return openByNumber(path, O_RDWR | O_DSYNC | O_CREAT | O_EXCL, mode);
    if (flags === "r+s") return openByNumber(path, O_RDWR | O_DSYNC);
    return open(path, flags, mode);
  },
  link,
  mkdir,
  readdir,
  readFile,
  rename,
  stat,
  unlink,
  chmod,
  // Loaded here: readers take no lock.
  lock: async (path, mode) => (await import("./file-lock.ts")).lockFile(path, mode),
};

const { O_CREAT, O_DIRECT, O_DSYNC, O_EXCL, O_RDWR } = callbacks.constants;
const openNumber = promisify(callbacks.open);
const writeTo = promisify(callbacks.write);
const readFrom = promisify(callbacks.read);
const datasync = promisify(callbacks.fdatasync);
const sync = promisify(callbacks.fsync);
const truncate = promisify(callbacks.ftruncate);
const statOf = promisify(callbacks.fstat);
const closeNumber = promisify(callbacks.close);

async function openForWriting(path: string): Promise<OpenFile> {
  const file = await openByNumber(path, O_RDWR);
  // Not on every system.
  if (O_DIRECT === undefined) return file;
  return withDirectWrites(file, () => openByNumber(path, O_RDWR | O_DIRECT));
}

/** A FileHandle costs more than the calls themselves where these come by the thousand. */
async function openByNumber(path: string, flags: number, mode?: number): Promise<OpenFile> {
  const file = await openNumber(path, flags, mode);
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
