/**
 * Every file operation that durability depends on, behind one interface, so that a test can make
 * any of them fail, persist half or stop the process. Paths are absolute or relative to the
 * process; errors are those of node:fs (with `code`).
 */
import {
  open,
  link,
  mkdir,
  readdir,
  readFile,
  rename,
  stat,
  unlink,
  chmod,
} from "node:fs/promises";
import * as callbacks from "node:fs";
import { dirname, join } from "node:path";
import { randomUUID } from "node:crypto";
import { promisify } from "node:util";

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
  /** Names in a folder, sorted; none where the folder is missing. */
  list(directory: string): Promise<string[]>;
  /** Creates folders and syncs each new one's parent. */
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
}

/** The real file system. */
export const nodeFiles: Files = {
  openAppend,
  read: (path) => readFile(path),
  readRange,
  size: async (path) => (await stat(path)).size,
  async list(directory) {
    try {
      return (await readdir(directory)).toSorted();
    } catch (error) {
      if (isCode(error, "ENOENT")) return [];
      throw error;
    }
  },
  makeDirectory,
  syncDirectory,
  async createExclusive(path, bytes, mode) {
    await linkNew(path, bytes, mode);
    await syncDirectory(dirname(path));
  },
  createInFolder,
  async replace(path, bytes, mode) {
    const temporary = await writeTemporary(path, bytes, mode);
    await renameOrRemove(temporary, path);
    await syncDirectory(dirname(path));
  },
  async move(from, to) {
    await rename(from, to);
    await syncDirectory(dirname(to));
    if (dirname(from) !== dirname(to)) await syncDirectory(dirname(from));
  },
  async remove(path) {
    await unlink(path);
    await syncDirectory(dirname(path));
  },
  setMode: (path, mode) => chmod(path, mode),
};

export function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

async function openAppend(path: string, mode: number): Promise<AppendFile> {
  const handle = await open(path, "a+", mode).then(async (created) => {
    // "a+" creates; positioned writes need "r+", because O_APPEND ignores positions.
    await created.close();
    return open(path, "r+");
  });
  return {
    path,
    async write(bytes, position) {
      let done = 0;
      while (done < bytes.length) {
        const { bytesWritten } = await handle.write(
          bytes,
          done,
          bytes.length - done,
          position + done,
        );
        if (bytesWritten === 0) throw new Error(`no progress writing ${path}`);
        done += bytesWritten;
      }
    },
    sync: () => handle.datasync(),
    truncate: (size) => handle.truncate(size),
    size: async () => (await handle.stat()).size,
    close: () => handle.close(),
  };
}

async function makeDirectory(directory: string, mode: number): Promise<void> {
  try {
    await mkdir(directory, { mode });
  } catch (error) {
    if (isCode(error, "EEXIST") && (await stat(directory)).isDirectory()) return;
    if (!isCode(error, "ENOENT")) throw error;
    await makeDirectory(dirname(directory), mode);
    return makeDirectory(directory, mode);
  }
  await syncDirectory(dirname(directory));
}

async function syncDirectory(directory: string): Promise<void> {
  const handle = await open(directory, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

async function readRange(path: string, position: number, byteCount: number): Promise<Uint8Array> {
  const handle = await open(path, "r");
  try {
    const bytes = Buffer.allocUnsafe(byteCount);
    let done = 0;
    while (done < byteCount) {
      const { bytesRead } = await handle.read(bytes, done, byteCount - done, position + done);
      if (bytesRead === 0) break;
      done += bytesRead;
    }
    return bytes.subarray(0, done);
  } finally {
    await handle.close();
  }
}

/** Name prefix of files that are being written; one that is left over means nothing. */
export const temporaryPrefix = ".tmp-";

async function writeTemporary(path: string, bytes: Uint8Array, mode: number): Promise<string> {
  const temporary = join(dirname(path), `${temporaryPrefix}${randomUUID()}`);
  const handle = await open(temporary, "wx", mode);
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } catch (error) {
    // A full disk is retried for hours: each try must give back what it took.
    await unlink(temporary).catch(() => undefined);
    throw error;
  } finally {
    await handle.close();
  }
  return temporary;
}

async function renameOrRemove(temporary: string, path: string): Promise<void> {
  try {
    await rename(temporary, path);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw error;
  }
}

async function linkNew(path: string, bytes: Uint8Array, mode: number): Promise<void> {
  const temporary = await writeTemporary(path, bytes, mode);
  try {
    await link(temporary, path);
  } catch (error) {
    if (!isCode(error, "EEXIST")) throw error;
    const present = await readFile(path);
    if (!present.equals(bytes)) throw error;
  } finally {
    await unlink(temporary);
  }
}

const { O_CREAT, O_DSYNC, O_EXCL, O_WRONLY } = callbacks.constants;
// A FileHandle costs more than the calls themselves where files come by the thousand.
const openFile = promisify(callbacks.open);
const writeFile = promisify(callbacks.write);
const syncFile = promisify(callbacks.fdatasync);
const closeFile = promisify(callbacks.close);

async function createInFolder(path: string, bytes: Uint8Array, mode: number): Promise<void> {
  let file: number;
  try {
    file = await openFile(path, O_WRONLY | O_CREAT | O_EXCL | O_DSYNC, mode);
  } catch (error) {
    if (!isCode(error, "EEXIST")) throw error;
    if (!isBeginning(await readFile(path), bytes)) throw error;
    file = await openFile(path, O_WRONLY | O_DSYNC);
  }
  try {
    for (let done = 0; done < bytes.length;) {
      const { bytesWritten } = await writeFile(file, bytes, done, bytes.length - done, done);
      if (bytesWritten === 0) throw new Error(`no progress writing ${path}`);
      done += bytesWritten;
    }
    // Where O_DSYNC means nothing to the file system, this still does.
    if (process.platform !== "linux") await syncFile(file);
  } finally {
    await closeFile(file);
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
