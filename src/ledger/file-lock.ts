/**
 * A lock on a file, which is SQLite's, held by an open transaction: the kernel releases it with the
 * process, however that ends, and it is seen across containers that share the directory.
 */
import { closeSync, constants, fstatSync, openSync } from "node:fs";
import { resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";

import { notPlain, type FileLock } from "./file-system.ts";

const sqliteBusy = 5;

/**
 * Files that this process has locked. Asked first, because POSIX drops a process' locks on a file
 * as soon as the process closes any descriptor of it: a second opener in the same process must not
 * touch the file.
 */
const held = new Set<string>();

/** See `FileSystem.lock`. */
export function lockFile(path: string, mode: number): FileLock {
  const key = resolve(path);
  if (held.has(key)) throw failure("EALREADY", `${path} is locked by this process already`);
  held.add(key);
  try {
    createFile(path, mode);
    const database = openTransaction(path);
    return {
      release() {
        database.close();
        held.delete(key);
      },
    };
  } catch (error) {
    held.delete(key);
    throw isBusy(error) ? failure("EBUSY", `${path} is locked by another process`) : error;
  }
}

function createFile(path: string, mode: number): void {
  const { O_APPEND, O_CREAT, O_NONBLOCK, O_WRONLY } = constants;
  const file = openSync(path, O_WRONLY | O_CREAT | O_APPEND | O_NONBLOCK, mode);
  const isFile = fstatSync(file).isFile();
  closeSync(file);
  if (!isFile) throw notPlain(path);
}

function openTransaction(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    // No page is ever written; a journal in memory keeps SQLite from leaving a file behind.
    database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && "errcode" in error && error.errcode === sqliteBusy;
}

function failure(code: string, message: string): Error {
  return Object.assign(new Error(`${code}: ${message}`), { code });
}
