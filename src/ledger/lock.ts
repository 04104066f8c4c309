/**
 * One writer per ledger directory: whoever holds the lock on its file `lock`. Process ids are only
 * told to people, never judged: they are reused, and mean nothing in another container.
 */
import { hostname } from "node:os";

import { isCode, reasonOf } from "../bytes/thrown.ts";
import type { FileLock } from "./file-system.ts";
import { type Files } from "./files.ts";
import { LedgerError } from "./ledger-error.ts";

export const lockName = "lock";
/** Who holds the lock, for the message to a second process. */
export const ownerName = "lock.owner";

/**
 * Held until its release or the end of the process.
 *
 * @throws LedgerError `locked` with the holder and the remedy, `unavailable` without locks.
 */
export async function lockDirectory(directory: string, files: Files): Promise<FileLock> {
  let lock: FileLock | undefined;
  try {
    lock = await files.lock(`${directory}/${lockName}`, 0o600);
    await files.replace(`${directory}/${ownerName}`, ownerText(), 0o600);
    return lock;
  } catch (error) {
    lock?.release();
    if (isCode(error, "EALREADY")) {
      const problem = `ledger ${directory} is open in this process already`;
      throw new LedgerError("locked", problem, { remedy: "close it first" });
    }
    if (isCode(error, "EBUSY")) throw await heldBy(directory, files);
    throw new LedgerError("unavailable", `cannot lock ledger ${directory} (${reasonOf(error)})`, {
      remedy: "check that the file system has file locks and that the process may write there",
      cause: error,
    });
  }
}

function ownerText(): Uint8Array {
  return Buffer.from(`process ${process.pid} on host ${hostname()}\n`);
}

async function heldBy(directory: string, files: Files): Promise<LedgerError> {
  const owner = await files.read(`${directory}/${ownerName}`).then(
    (bytes) => Buffer.from(bytes).toString().trim(),
    () => "another process",
  );
  return new LedgerError("locked", `ledger ${directory} is in use by ${owner}`, {
    remedy: "stop it first, or give this one --data",
  });
}
