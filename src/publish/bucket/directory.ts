/**
 * A bucket that is a directory, on a local disk or a mounted one. Files are written under a temporary
 * name, synced and linked to their own, so that a key never holds a part of an object; only tiles,
 * which come by the hundred and follow from the log, are written in place.
 */
import { dirname, join } from "node:path";
import { sha256Hex } from "../../bytes/sha256.ts";
import { isCode, reasonOf } from "../../bytes/thrown.ts";
import { temporaryPrefix } from "../../ledger/files.ts";
import type { Files } from "../../ledger/files.ts";
import { BucketError, checkKey } from "./bucket.ts";
import type { Bucket, NewObject, StoredObject, Version } from "./bucket.ts";
import { Folders } from "./folders.ts";

// Nothing in a bucket is secret: hashes, and roots that are meant to be read by others.
const fileMode = 0o644;
const directoryMode = 0o755;

export function directoryBucket(directory: string, files: Files): Bucket {
  const place = { directory, files, folders: new Folders(files, directoryMode) };
  return {
    location: directory,
    read: (key) => attempt(place, `reading ${key}`, () => read(place, key)),
    create: (key, bytes) => attempt(place, `writing ${key}`, () => create(place, key, bytes)),
    createTiles: (tiles) => createTiles(place, tiles),
    swap: (key, bytes, expected) =>
      attempt(place, `replacing ${key}`, () =>
        expected === undefined
          ? createFirst(place, key, bytes)
          : replace(place, key, { bytes, expected }),
      ),
    exists: () => attempt(place, "looking", () => exists(place)),
    isEmpty: (prefix) =>
      attempt(place, `listing ${prefix}`, () => isEmpty(place, join(directory, checkKey(prefix)))),
  };
}

interface Place {
  readonly directory: string;
  readonly files: Files;
  readonly folders: Folders;
}

/** Whatever the file system says that is no answer may pass: a full disk, a mount that is gone. */
async function attempt<T>(place: Place, doing: string, action: () => Promise<T>): Promise<T> {
  try {
    return await action();
  } catch (cause) {
    if (cause instanceof BucketError || cause instanceof RangeError) throw cause;
    const reason = reasonOf(cause);
    const message = `${doing} in the bucket ${place.directory} failed: ${reason}`;
    throw new BucketError("unreachable", message, { cause });
  }
}

function versionOf(bytes: Uint8Array): Version {
  return sha256Hex(bytes) as Version;
}

async function read({ directory, files }: Place, key: string): Promise<StoredObject | undefined> {
  try {
    const bytes = await files.read(join(directory, checkKey(key)));
    return { bytes, version: versionOf(bytes) };
  } catch (error) {
    if (isCode(error, "ENOENT")) return undefined;
    throw error;
  }
}

async function create(place: Place, key: string, bytes: Uint8Array): Promise<void> {
  const { directory, files, folders } = place;
  const path = join(directory, checkKey(key));
  await folders.creating(path, () =>
    creating(place, key, files.createExclusive(path, bytes, fileMode)),
  );
}

async function creating({ directory }: Place, key: string, create: Promise<void>): Promise<void> {
  try {
    await create;
  } catch (cause) {
    if (!isCode(cause, "EEXIST")) throw cause;
    const message = `${key} in the bucket ${directory} exists with other bytes`;
    throw new BucketError("present", message, { cause });
  }
}

/**
 * More would be done sooner, but each is a thread that shares the cores with the one that answers,
 * and nobody waits for tiles.
 */
const tilesAtOnce = 2;

async function createTiles(place: Place, tiles: AsyncIterable<NewObject>): Promise<void> {
  const source = tiles[Symbol.asyncIterator]();
  const folders = new Set<string>();
  let isFailed = false;
  const createNext = async (): Promise<void> => {
    for (;;) {
      const next = await source.next();
      if (next.done === true || isFailed) return;
      const { key } = next.value;
      await attempt(place, `writing ${key}`, () => createTile(place, next.value));
      folders.add(dirname(join(place.directory, key)));
    }
  };
  const createAll = async (): Promise<void> => {
    try {
      await createNext();
    } catch (error) {
      isFailed = true;
      throw error;
    }
  };
  // All have ended before anything is tried again.
  const copies = await Promise.allSettled(Array.from({ length: tilesAtOnce }, createAll));
  for (const copy of copies) if (copy.status === "rejected") throw copy.reason;
  for (const folder of folders) {
    await attempt(place, `writing ${folder}`, () => place.files.syncDirectory(folder));
  }
}

async function createTile(place: Place, { key, bytes }: NewObject): Promise<void> {
  const { directory, files, folders } = place;
  const path = join(directory, checkKey(key));
  await folders.creating(path, () =>
    creating(place, key, files.createInFolder(path, bytes, fileMode)),
  );
}

async function createFirst(place: Place, key: string, bytes: Uint8Array): Promise<Version> {
  try {
    await create(place, key, bytes);
  } catch (error) {
    if (error instanceof BucketError && error.code === "present") throw conflict(place, key);
    throw error;
  }
  return versionOf(bytes);
}

/**
 * A rename alone would let two writers replace the same version. So a writer first creates a file
 * that is named for the version it replaces, which only one can, and then looks whether that
 * version still is the present one. A writer that died in between left its bytes in that file: it
 * comes back with the same ones and goes on, and anybody else meets a conflict.
 */
async function replace(
  place: Place,
  key: string,
  { bytes, expected }: { readonly bytes: Uint8Array; readonly expected: Version },
): Promise<Version> {
  const { directory, files, folders } = place;
  const path = join(directory, checkKey(key));
  const claim = `${path}.after-${expected.slice(0, 16)}`;
  try {
    await folders.creating(claim, () => files.createExclusive(claim, bytes, fileMode));
  } catch (error) {
    if (isCode(error, "EEXIST")) throw conflict(place, key);
    throw error;
  }
  const current = await read(place, key);
  const isExpected = current?.version === expected;
  if (isExpected) await files.replace(path, bytes, fileMode);
  await files.remove(claim);
  if (!isExpected) throw conflict(place, key);
  return versionOf(bytes);
}

function conflict({ directory }: Place, key: string): BucketError {
  return new BucketError("conflict", `${key} in the bucket ${directory} was replaced by another`);
}

async function exists({ directory, files }: Place): Promise<boolean> {
  try {
    await files.size(directory);
    return true;
  } catch (error) {
    if (isCode(error, "ENOENT")) return false;
    throw error;
  }
}

async function isEmpty(place: Place, path: string): Promise<boolean> {
  let names: string[];
  try {
    names = await place.files.list(path);
  } catch (error) {
    // Not a folder, so an object.
    if (isCode(error, "ENOTDIR")) return false;
    throw error;
  }
  for (const name of names) {
    if (name.startsWith(temporaryPrefix)) continue;
    if (!(await isEmpty(place, join(path, name)))) return false;
  }
  return true;
}
