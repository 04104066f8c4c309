/** The ledger directory: what may be in it, its creation, and its descriptor. */
import { join } from "node:path";

import { reasonOf } from "../bytes/thrown.ts";
import { toHex } from "../bytes/hex.ts";
import {
  descriptorDigest,
  encodeDescriptor,
  fullOrigin,
  instanceBytes,
  parseDescriptor,
  type Descriptor,
} from "./descriptor.ts";
import { temporaryPrefix, type Files } from "./files.ts";
import type { KeyRing } from "./keys.ts";
import { LedgerError } from "./ledger-error.ts";
import { lockName, ownerName } from "./lock.ts";

export const descriptorName = "ledger.json";
export const checkpointName = "checkpoint";

/** Folders that the log itself needs. */
const folders = ["quarantine", "segments", "state", "tile"];
const known = new Set([
  ...folders,
  descriptorName,
  checkpointName,
  lockName,
  ownerName,
  `${lockName}-journal`,
  "control.sock",
  "index.sqlite",
  "index.sqlite-journal",
  "index.sqlite-shm",
  "index.sqlite-wal",
  "lost+found",
  "policy.json",
  "publish",
  "spool",
]);

export interface LedgerIdentity {
  readonly descriptor: Descriptor;
  readonly digest: Uint8Array;
  /** Base origin, slash, instance. */
  readonly origin: string;
  readonly instance: string;
}

export interface DirectoryOptions {
  readonly directory: string;
  readonly files: Files;
  /** Base origin; must be the ledger's. */
  readonly origin: string;
  readonly keys: KeyRing;
  readonly wallUnixNano: bigint;
  randomBytes(count: number): Uint8Array;
}

/**
 * Creates the ledger where the directory is empty, else reads what it is. The descriptor comes
 * last: a start that was killed before it left nothing but empty folders.
 */
export async function openDirectory(options: DirectoryOptions): Promise<LedgerIdentity> {
  const { directory, files } = options;
  const names = await files.list(directory);
  for (const folder of [directory, join(directory, "state"), join(directory, "quarantine")]) {
    await removeTemporaries(folder, files);
  }
  refuseUnknown(directory, names);
  if (!names.includes(descriptorName)) {
    await refuseContent(options);
    return create(options);
  }
  for (const folder of folders) await files.makeDirectory(join(directory, folder), 0o700);
  return read(options);
}

async function removeTemporaries(folder: string, files: Files): Promise<void> {
  for (const name of await files.list(folder)) {
    if (name.startsWith(temporaryPrefix)) await files.remove(join(folder, name));
  }
}

function refuseUnknown(directory: string, names: readonly string[]): void {
  const unknown = names.filter((name) => !known.has(name) && !name.startsWith(temporaryPrefix));
  if (unknown.length === 0) return;
  throw new LedgerError(
    "foreign",
    `${directory} holds ${unknown.join(", ")}, which no ledger has`,
    { remedy: "move it elsewhere, or choose another ledger.directory" },
  );
}

/** Without a descriptor nothing can be verified, so nothing but empty folders may be there. */
async function refuseContent({ directory, files }: DirectoryOptions): Promise<void> {
  const found: string[] = [];
  for (const folder of folders) {
    if ((await files.list(join(directory, folder))).length > 0) found.push(folder);
  }
  if ((await files.list(directory)).includes(checkpointName)) found.push(checkpointName);
  if (found.length === 0) return;
  throw new LedgerError(
    "damaged",
    `${directory} has no ${descriptorName} but ${found.join(", ")}`,
    {
      remedy:
        `restore ${descriptorName} from a backup or the bucket, ` +
        "or choose another ledger.directory",
    },
  );
}

async function create(options: DirectoryOptions): Promise<LedgerIdentity> {
  const { directory, files, keys } = options;
  for (const folder of folders) await files.makeDirectory(join(directory, folder), 0o700);
  const descriptor: Descriptor = {
    created: String(options.wallUnixNano),
    firstLogKey: keys.logKeys.at(-1)!.publicKey,
    instance: options.randomBytes(instanceBytes),
    origin: options.origin,
    predecessor: null,
  };
  const bytes = encodeDescriptor(descriptor);
  await files.createExclusive(join(directory, descriptorName), bytes, 0o600);
  return identity(descriptor, bytes);
}

async function read(options: DirectoryOptions): Promise<LedgerIdentity> {
  const path = join(options.directory, descriptorName);
  const bytes = await options.files.read(path);
  const { descriptor, digest, origin, instance } = parse(path, bytes);
  if (descriptor.origin !== options.origin) {
    throw new LedgerError(
      "foreign",
      `${path} is of origin ${descriptor.origin}, the configuration says ${options.origin}`,
      { remedy: "correct ledger.origin, or choose another ledger.directory" },
    );
  }
  return { descriptor, digest, origin, instance };
}

function parse(path: string, bytes: Uint8Array): LedgerIdentity {
  try {
    return identity(parseDescriptor(bytes), bytes);
  } catch (cause) {
    throw new LedgerError("damaged", `${path} cannot be read (${reasonOf(cause)})`, {
      remedy: "restore it from a backup or the bucket",
      cause,
    });
  }
}

function identity(descriptor: Descriptor, bytes: Uint8Array): LedgerIdentity {
  return {
    descriptor,
    digest: descriptorDigest(bytes),
    origin: fullOrigin(descriptor),
    instance: toHex(descriptor.instance),
  };
}
