/**
 * Every file operation that durability depends on, built once from system calls: `nodeFiles` on
 * the real ones, a test on calls that fail, persist half or stop the process. Paths are absolute
 * or relative to the process; errors are those of node:fs (with `code`).
 */
import { randomUUID } from "node:crypto";
import { dirname, join } from "node:path";

import { isCode } from "../bytes/thrown.ts";
import { nodeFileSystem, waitingFileSystem } from "./file-system.ts";
import type { FileLock, FileStatus, FileSystem, OpenFile } from "./file-system.ts";

export interface AppendFile {
  readonly path: string;
  /** Writes all bytes at `position`, or rejects; a rejection may have written a part. */
  write(bytes: Uint8Array, position: number): Promise<void>;
  /** fdatasync. After a rejection nothing since the last success may be believed. */
  sync(): Promise<void>;
  truncate(size: number): Promise<void>;
  size(): Promise<number>;
  close(): Promise<void>;
}

export interface Files {
  /** Opens for reading and writing, creating the file (not its folder) where it is missing. */
  openAppend(path: string, mode: number): Promise<AppendFile>;
  read(path: string): Promise<Uint8Array>;
  /** Up to `byteCount` bytes from `position`; fewer only at the end of the file. */
  readRange(path: string, position: number, byteCount: number): Promise<Uint8Array>;
  /** Size in bytes. */
  size(path: string): Promise<number>;
  status(path: string): Promise<FileStatus>;
  /** Names in a folder, sorted; none where the folder is missing. */
  list(directory: string): Promise<string[]>;
  /**
   * Creates the folder and those above it. On return all of them are durable, whoever made them: a
   * start that broke off may have made some and synced none.
   */
  makeDirectory(directory: string, mode: number): Promise<void>;
  syncDirectory(directory: string): Promise<void>;
  /**
   * Durable creation: temporary name, fsync, link, fsync of the folder. Where the file exists with
   * the same bytes it is left alone; with other bytes this rejects with code EEXIST.
   */
  createExclusive(path: string, bytes: Uint8Array, mode: number): Promise<void>;
  /**
   * Durable creation of one of many files whose bytes follow from their name: written in place, so
   * that a crash may leave a torn one (a beginning, then nothing or zeros), which the next call
   * completes. As `createExclusive` otherwise, but the new name is durable only after the caller's
   * `syncDirectory`.
   */
  createInFolder(path: string, bytes: Uint8Array, mode: number): Promise<void>;
  /** Durable replacement: temporary name, fsync, rename, fsync of the folder. */
  replace(path: string, bytes: Uint8Array, mode: number): Promise<void>;
  move(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  setMode(path: string, mode: number): Promise<void>;
  /** See `FileSystem.lock`. */
  lock(path: string, mode: number): Promise<FileLock>;
}

/** Name prefix of files that are being written; one that is left over means nothing. */
export const temporaryPrefix = ".tmp-";

/** `Files` on these system calls. */
export function filesOn(system: FileSystem): Files {
  return {
    openAppend: (path, mode) => openAppend(system, path, mode),
    read: (path) => system.readFile(path),
    readRange: (path, position, byteCount) => readRange(system, path, { position, byteCount }),
    size: async (path) => (await system.stat(path)).size,
    status: (path) => system.stat(path),
    list: (directory) => list(system, directory),
    makeDirectory: (directory, mode) => makeDirectory(system, directory, mode),
    syncDirectory: (directory) => syncDirectory(system, directory),
    async createExclusive(path, bytes, mode) {
      await linkNew(system, path, { bytes, mode });
      await syncDirectory(system, dirname(path));
    },
    createInFolder: (path, bytes, mode) => createInFolder(system, path, { bytes, mode }),
    async replace(path, bytes, mode) {
      const temporary = await writeTemporary(system, path, { bytes, mode });
      await renameOrDiscard(system, temporary, path);
      await syncDirectory(system, dirname(path));
    },
    async move(from, to) {
      await system.rename(from, to);
      await syncDirectory(system, dirname(to));
      if (dirname(from) !== dirname(to)) await syncDirectory(system, dirname(from));
    },
    async remove(path) {
      await system.unlink(path);
      await syncDirectory(system, dirname(path));
    },
    setMode: (path, mode) => system.chmod(path, mode),
    lock: (path, mode) => system.lock(path, mode),
  };
}

/** The real file system. */
export const nodeFiles: Files = filesOn(nodeFileSystem);

/** The same, of a bucket: see `waitingFileSystem`. */
export const waitingFiles: Files = filesOn(waitingFileSystem);

async function openAppend(system: FileSystem, path: string, mode: number): Promise<AppendFile> {
  await touch(system, path, mode);
  const file = await system.open(path, "r+");
  return {
    path,
    write: (bytes, position) => writeAll(file, bytes, position),
    sync: () => file.datasync(),
    truncate: (size) => file.truncate(size),
    size: async () => (await file.stat()).size,
    close: () => file.close(),
  };
}

/** "a+" creates; positioned writes need "r+", because O_APPEND ignores positions. */
async function touch(system: FileSystem, path: string, mode: number): Promise<void> {
  const created = await system.open(path, "a+", mode);
  await created.close();
}

async function writeAll(file: OpenFile, bytes: Uint8Array, position: number): Promise<void> {
  let done = 0;
  while (done < bytes.length) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, position + done);
    if (bytesWritten === 0) throw new Error("no progress writing a file");
    done += bytesWritten;
  }
}

interface Range {
  readonly position: number;
  readonly byteCount: number;
}

async function readRange(
  system: FileSystem,
  path: string,
  { position, byteCount }: Range,
): Promise<Uint8Array> {
  const file = await system.open(path, "r");
  try {
    const bytes = Buffer.allocUnsafe(byteCount);
    let done = 0;
    while (done < byteCount) {
      const { bytesRead } = await file.read(bytes, done, byteCount - done, position + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return bytes.subarray(0, done);
  } finally {
    await file.close();
  }
}

async function list(system: FileSystem, directory: string): Promise<string[]> {
  try {
    return (await system.readdir(directory)).toSorted();
  } catch (error) {
    if (isCode(error, "ENOENT")) return [];
    throw error;
  }
}

async function makeDirectory(system: FileSystem, directory: string, mode: number): Promise<void> {
  const parent = dirname(directory);
  if (parent === directory) return;
  await makeDirectory(system, parent, mode);
  const isNew = await makeOne(system, directory, mode);
  try {
    await syncDirectory(system, parent);
  } catch (error) {
    // A folder that is closed to this process was not made by it.
    if (isNew || !isCode(error, "EACCES")) throw error;
  }
}

async function makeOne(system: FileSystem, directory: string, mode: number): Promise<boolean> {
  try {
    await system.mkdir(directory, { mode });
    return true;
  } catch (error) {
    // Of a folder on a read-only disk the kernel need not say that it is there.
    if (await isDirectory(system, directory)) return false;
    throw error;
  }
}

async function isDirectory(system: FileSystem, path: string): Promise<boolean> {
  return system.stat(path).then(
    (status) => status.isDirectory(),
    () => false,
  );
}

async function syncDirectory(system: FileSystem, directory: string): Promise<void> {
  const file = await system.open(directory, "r");
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}

interface Content {
  readonly bytes: Uint8Array;
  readonly mode: number;
}

async function linkNew(system: FileSystem, path: string, content: Content): Promise<void> {
  const temporary = await writeTemporary(system, path, content);
  try {
    await system.link(temporary, path);
  } catch (error) {
    if (!isCode(error, "EEXIST")) throw error;
    const present = await system.readFile(path);
    if (Buffer.compare(present, content.bytes) !== 0) throw error;
  } finally {
    await system.unlink(temporary);
  }
}

async function createInFolder(system: FileSystem, path: string, content: Content): Promise<void> {
  const file = await openSynced(system, path, content);
  try {
    await writeAll(file, content.bytes, 0);
    // Where O_DSYNC means nothing to the file system, this still does.
    if (process.platform !== "linux") await file.datasync();
  } finally {
    await file.close();
  }
}

async function openSynced(
  system: FileSystem,
  path: string,
  { bytes, mode }: Content,
): Promise<OpenFile> {
  try {
    return await system.open(path, "wxs", mode);
  } catch (error) {
    if (!isCode(error, "EEXIST") || !isBeginning(await system.readFile(path), bytes)) throw error;
    return system.open(path, "r+s");
  }
}

/** True where `present` is `bytes`, or what a write of them leaves that did not reach its end. */
export function isBeginning(present: Uint8Array, bytes: Uint8Array): boolean {
  if (present.length > bytes.length) return false;
  let at = 0;
  while (at < present.length && present[at] === bytes[at]) at++;
  while (at < present.length && present[at] === 0) at++;
  return at === present.length;
}

async function writeTemporary(
  system: FileSystem,
  path: string,
  { bytes, mode }: Content,
): Promise<string> {
  const temporary = join(dirname(path), `${temporaryPrefix}${randomUUID()}`);
  const file = await system.open(temporary, "wx", mode);
  try {
    await writeAll(file, bytes, 0);
    await file.sync();
  } catch (error) {
    // A full disk is retried for hours: each try must give back what it took.
    await discard(system, temporary);
    throw error;
  } finally {
    await file.close();
  }
  return temporary;
}

async function renameOrDiscard(system: FileSystem, from: string, to: string): Promise<void> {
  try {
    await system.rename(from, to);
  } catch (error) {
    await discard(system, from);
    throw error;
  }
}

async function discard(system: FileSystem, temporary: string): Promise<void> {
  await system.unlink(temporary).catch(() => undefined);
}
