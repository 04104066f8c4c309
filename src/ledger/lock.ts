/**
 * One writer per ledger directory. The lock is SQLite's lock on the file `lock`, held by an open
 * transaction: the kernel releases it with the process, however that ends, and it is seen across
 * containers that share the directory. Process ids are only told to people, never judged: they are
 * reused, and mean nothing in another container.
 */
import { hostname } from "node:os";
import { resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";

import type { Files } from "./files.ts";
import { LedgerError, reasonOf } from "./ledger-error.ts";

export const lockName = "lock";
/** Who holds the lock, for the message to a second process. */
export const ownerName = "lock.owner";

const sqliteBusy = 5;

export interface DirectoryLock {
  release(): void;
}

/**
 * Directories that this process has locked. Asked first, because POSIX drops a process' locks on a
 * file as soon as the process closes any descriptor of it: a second opener in the same process must
 * not touch the file.
 */
const held = new Set<string>();

/** @throws LedgerError `locked` with the holder and the remedy, `unavailable` without locks. */
export async function lockDirectory(directory: string, files: Files): Promise<DirectoryLock> {
  const path = resolve(directory);
  if (held.has(path)) {
    throw new LedgerError(
      "locked",
      `ledger ${directory} is open in this process already: close it first`,
    );
  }
  held.add(path);
  try {
    const database = await takeLock(directory, files);
    return {
      release() {
        database.close();
        held.delete(path);
      },
    };
  } catch (error) {
    held.delete(path);
    throw error;
  }
}

async function takeLock(directory: string, files: Files): Promise<DatabaseSync> {
  const path = `${directory}/${lockName}`;
  const created = await files.openAppend(path, 0o600);
  await created.close();
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    // No page is ever written; a journal in memory keeps SQLite from leaving a file behind.
    database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
    await files.replace(`${directory}/${ownerName}`, ownerText(), 0o600);
    return database;
  } catch (error) {
    database.close();
    if (isBusy(error)) throw new LedgerError("locked", await heldBy(directory, files));
    throw new LedgerError(
      "unavailable",
      `cannot lock ledger ${directory} (${reasonOf(error)}): ` +
        "check that the file system has file locks and that the process may write there",
      { cause: error },
    );
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && "errcode" in error && error.errcode === sqliteBusy;
}

function ownerText(): Uint8Array {
  return Buffer.from(`process ${process.pid} on host ${hostname()}\n`);
}

async function heldBy(directory: string, files: Files): Promise<string> {
  const owner = await files.read(`${directory}/${ownerName}`).then(
    (bytes) => Buffer.from(bytes).toString().trim(),
    () => "another process",
  );
  return `ledger ${directory} is in use by ${owner}: stop it first, or give this one --data`;
}
