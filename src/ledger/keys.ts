/**
 * The key folder: one file per key, hexadecimal, readable by its owner only. Chain keys and log
 * keys are numbered from 1; the newest is in use, older ones are kept to verify what they made.
 * Key material appears in no message of this file.
 */
import { type KeyObject, sign } from "node:crypto";
import { join } from "node:path";

import { isCode, reasonOf } from "../bytes/thrown.ts";
import { CodedError } from "../bytes/coded-error.ts";
import { fromHex, toHex } from "../bytes/hex.ts";
import { decodeUtf8, encodeUtf8 } from "../bytes/utf8.ts";
import { keyEpochsMax } from "../limits.ts";
import { keyCheckValue } from "./chain.ts";
import { temporaryPrefix, type Files } from "./files.ts";
import {
  ed25519PrivateKey,
  ed25519PublicKey,
  ed25519Verifier,
  encodeVkey,
  type NoteSigner,
  type NoteVerifier,
} from "./note.ts";

const keyBytes = 32;
const fileMode = 0o600;
const directoryMode = 0o700;

export type KeyErrorCode = "missing" | "mode" | "malformed" | "incomplete" | "unreadable" | "full";

export class KeyError extends CodedError<KeyErrorCode> {
  override name = "KeyError";
}

export interface LogKey {
  /** From 1; part of the file's name. */
  readonly number: number;
  /** Raw Ed25519 public key, 32 bytes. */
  readonly publicKey: Uint8Array;
  sign(message: Uint8Array): Uint8Array;
}

interface Pepper {
  /** Key-check value: tells the key of a token without telling the key. */
  readonly id: string;
  readonly key: Uint8Array;
}

export interface KeyRing {
  readonly directory: string;
  /** The epoch in use, from 1. */
  readonly chainEpoch: number;
  /** The chain key of an epoch; undefined for one that is not in the folder. */
  chainKey(epoch: number): Uint8Array | undefined;
  /** Newest last. */
  readonly logKeys: readonly LogKey[];
  readonly pepper: Pepper;
  /** True where this call created the keys. */
  readonly created: boolean;
}

export interface KeyFolder {
  readonly files: Files;
  /** Cryptographically random. */
  randomBytes(count: number): Uint8Array;
}

/** In the order of their creation: a start that was killed in between left the first of these. */
const firstKeys = ["chain.1.key", "log.1.key", "pepper.1.key"];

/**
 * Reads all keys of `directory`. Where `create` says so and the folder holds none, or the first ones
 * of a creation that broke off, those that are missing are created.
 * @throws KeyError with the remedy where a key is missing, malformed or open to others.
 */
export async function openKeys(
  directory: string,
  folder: KeyFolder,
  options: { readonly create: boolean },
): Promise<KeyRing> {
  const present = await keyFiles(directory, folder);
  const isUnfinished = present.join() === firstKeys.slice(0, present.length).join();
  const create = options.create && isUnfinished && present.length < firstKeys.length;
  if (create) await createKeys(directory, folder);
  else if (present.length === 0) {
    throw new KeyError("missing", `no keys in ${directory}`, {
      remedy: 'run "spanseal keys init", or restore the folder from its backup',
    });
  }
  return readKeys(directory, folder, create);
}

async function createKeys(directory: string, folder: KeyFolder): Promise<void> {
  await folder.files.makeDirectory(directory, directoryMode);
  await checkMode(directory, folder);
  const present = await folder.files.list(directory);
  for (const name of present.filter((one) => one.startsWith(temporaryPrefix))) {
    await folder.files.remove(join(directory, name));
  }
  for (const name of firstKeys.filter((one) => !present.includes(one))) {
    await writeKey(join(directory, name), folder);
  }
}

/** Appends the chain key of the next epoch. It is used once the ring is opened again. */
export async function addChainKey(directory: string, folder: KeyFolder): Promise<KeyRing> {
  return addKey("chain", directory, folder);
}

/** Appends the next log key. */
export async function addLogKey(directory: string, folder: KeyFolder): Promise<KeyRing> {
  return addKey("log", directory, folder);
}

async function addKey(
  kind: "chain" | "log",
  directory: string,
  folder: KeyFolder,
): Promise<KeyRing> {
  const numbers = numbersOf(kind, await keyFiles(directory, folder));
  const next = (numbers.at(-1) ?? 0) + 1;
  if (next > keyEpochsMax) {
    throw new KeyError("full", `${directory} holds ${keyEpochsMax} ${kind} keys, the most allowed`);
  }
  await writeKey(join(directory, `${kind}.${next}.key`), folder);
  return readKeys(directory, folder, false);
}

async function writeKey(path: string, folder: KeyFolder): Promise<void> {
  const key = folder.randomBytes(keyBytes);
  if (key.length !== keyBytes) throw new RangeError("the source of randomness gave too little");
  const text = encodeUtf8(`${toHex(key)}\n`);
  await folder.files.createExclusive(path, text, fileMode);
  text.fill(0);
}

async function readKeys(directory: string, folder: KeyFolder, created: boolean): Promise<KeyRing> {
  await checkMode(directory, folder);
  const names = await keyFiles(directory, folder);
  const chainKeys = await readNumbered("chain", { directory, folder, names });
  const logSeeds = await readNumbered("log", { directory, folder, names });
  const peppers = await readNumbered("pepper", { directory, folder, names });
  const pepper = peppers.at(-1)!;
  return {
    directory,
    chainEpoch: chainKeys.length,
    chainKey: (epoch) => chainKeys[epoch - 1],
    logKeys: logSeeds.map((seed, at) => logKey(at + 1, ed25519PrivateKey(seed))),
    pepper: { id: keyCheckValue(pepper), key: pepper },
    created,
  };
}

function logKey(number: number, key: KeyObject): LogKey {
  return {
    number,
    publicKey: ed25519PublicKey(key),
    sign: (message) => sign(null, message, key),
  };
}

/** A log key as the signer of a log's checkpoints: its name there is the log's origin. */
export function checkpointSigner(origin: string, key: LogKey): NoteSigner {
  return { name: origin, publicKey: key.publicKey, sign: (message) => key.sign(message) };
}

/** What tells the checkpoints of a log that these keys signed. */
export function checkpointVerifiers(
  origin: string,
  keys: Pick<KeyRing, "logKeys">,
): NoteVerifier[] {
  return keys.logKeys.map((key) => ed25519Verifier(origin, key.publicKey));
}

/** The verifier keys to give to an auditor, newest last. */
export function publicVkeys(origin: string, keys: KeyRing): string[] {
  return keys.logKeys.map((key) => encodeVkey(origin, key.publicKey));
}

type KeyKind = "chain" | "log" | "pepper";

interface Reading {
  readonly directory: string;
  readonly folder: KeyFolder;
  readonly names: readonly string[];
}

async function readNumbered(kind: KeyKind, reading: Reading): Promise<Uint8Array[]> {
  const { directory, folder, names } = reading;
  const numbers = numbersOf(kind, names);
  const missing = numbers.findIndex((number, at) => number !== at + 1);
  if (missing !== -1 || numbers.length === 0) {
    const name = `${kind}.${missing === -1 ? 1 : missing + 1}.key`;
    throw new KeyError(
      "incomplete",
      `${join(directory, name)} is missing while other keys are there`,
      { remedy: "restore it from the backup" },
    );
  }
  const keys: Uint8Array[] = [];
  for (const number of numbers) {
    keys.push(await readKey(join(directory, `${kind}.${number}.key`), folder));
  }
  return keys;
}

async function readKey(path: string, folder: KeyFolder): Promise<Uint8Array> {
  await checkMode(path, folder);
  const bytes = await folder.files.read(path).catch((cause: unknown) => {
    throw new KeyError("unreadable", `cannot read ${path}: ${reasonOf(cause)}`, { cause });
  });
  try {
    const text = decodeUtf8(bytes);
    return fromHex(text.endsWith("\n") ? text.slice(0, -1) : text, keyBytes);
  } catch {
    // No cause: it could quote the key.
    throw new KeyError("malformed", `${path} does not hold ${2 * keyBytes} lower-case hex digits`, {
      remedy: "restore it from the backup",
    });
  }
}

async function checkMode(path: string, folder: KeyFolder): Promise<void> {
  const status = await folder.files.status(path).catch((cause: unknown) => {
    throw new KeyError("unreadable", `cannot read ${path}: ${reasonOf(cause)}`, { cause });
  });
  const open = status.mode & 0o077;
  if (open === 0) return;
  const mode = status.isDirectory() ? "700" : "600";
  const found = (status.mode & 0o777).toString(8);
  throw new KeyError("mode", `${path} has mode ${found}, so others can use the keys`, {
    remedy: `run "chmod ${mode} ${path}"`,
  });
}

const KEY_FILE = /^(chain|log|pepper)\.([1-9]\d{0,3})\.key$/;

async function keyFiles(directory: string, folder: KeyFolder): Promise<string[]> {
  try {
    return (await folder.files.list(directory)).filter((name) => KEY_FILE.test(name));
  } catch (cause) {
    const reason = isCode(cause, "ENOTDIR") ? "it is no folder" : reasonOf(cause);
    throw new KeyError("unreadable", `cannot list ${directory}: ${reason}`, { cause });
  }
}

function numbersOf(kind: KeyKind, names: readonly string[]): number[] {
  const numbers: number[] = [];
  for (const name of names) {
    const match = KEY_FILE.exec(name);
    if (match?.[1] === kind) numbers.push(Number(match[2]));
  }
  return numbers.toSorted((left, right) => left - right);
}
