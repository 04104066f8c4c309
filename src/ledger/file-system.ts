/**
 * The system calls that `Files` is made of, one method each: a test can number them, make any of
 * them fail, and know what a power cut after any of them leaves.
 */
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
  open(path: string, flags: "a+" | "r" | "r+" | "wx", mode?: number): Promise<OpenFile>;
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
  open,
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
