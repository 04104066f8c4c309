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
import { dirname, join } from "node:path";
import { randomUUID } from "node:crypto";

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
  createExclusive,
  async replace(path, bytes, mode) {
    const temporary = await writeTemporary(path, bytes, mode);
    await rename(temporary, path);
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

async function writeTemporary(path: string, bytes: Uint8Array, mode: number): Promise<string> {
  const temporary = join(dirname(path), `.tmp-${randomUUID()}`);
  const handle = await open(temporary, "wx", mode);
  try {
    await handle.writeFile(bytes);
    await handle.sync();
  } finally {
    await handle.close();
  }
  return temporary;
}

async function createExclusive(path: string, bytes: Uint8Array, mode: number): Promise<void> {
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
  await syncDirectory(dirname(path));
}
