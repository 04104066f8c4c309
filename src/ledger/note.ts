/**
 * Signed notes and their keys (C2SP signed-note): a text, an empty line, signature lines. Ed25519
 * (type 0x01) is signed and verified; signatures of other types are kept and not judged.
 */
import { createPrivateKey, createPublicKey, sign, verify, type KeyObject } from "node:crypto";

import { fromBase64, toBase64 } from "../bytes/base64.ts";
import { fromHex, toHex } from "../bytes/hex.ts";
import { decodeUtf8, encodeUtf8 } from "../bytes/utf8.ts";
import { noteBytesMax, noteSignaturesMax } from "../limits.ts";
import { sha256 } from "../bytes/sha256.ts";
import { FormatError } from "./format-error.ts";

const ED25519 = 0x01;
const keyIdBytes = 4;
const ed25519PublicKeyBytes = 32;
const ed25519SignatureBytes = 64;
const SIGNATURE_START = "\u2014 ";

/** DER of an Ed25519 SubjectPublicKeyInfo and of a PKCS #8 private key up to the raw key. */
const SPKI_START = fromHex("302a300506032b6570032100");
const PKCS8_START = fromHex("302e020100300506032b657004220420");

export interface NoteSigner {
  readonly name: string;
  /** The raw Ed25519 public key, 32 bytes. */
  readonly publicKey: Uint8Array;
  sign(message: Uint8Array): Uint8Array;
}

export interface NoteVerifier {
  readonly name: string;
  /** The first four bytes of the key's hash, as 8 lower-case hex digits. */
  readonly keyId: string;
  readonly publicKey: Uint8Array;
  verify(message: Uint8Array, signature: Uint8Array): boolean;
}

interface NoteSignature {
  readonly name: string;
  readonly keyId: string;
  readonly signature: Uint8Array;
}

export interface SignedNote {
  /** The exact bytes as received. */
  readonly bytes: Uint8Array;
  /** The signed text with its final line feed. */
  readonly text: string;
  readonly signatures: readonly NoteSignature[];
}

/** An Ed25519 signer from its 32-byte seed. The seed is not kept in readable form. */
export function ed25519Signer(name: string, seed: Uint8Array): NoteSigner {
  const key = ed25519PrivateKey(seed);
  return {
    name: checkKeyName(name),
    publicKey: ed25519PublicKey(key),
    sign: (message) => sign(null, message, key),
  };
}

/** @throws FormatError where the seed is not 32 bytes. */
export function ed25519PrivateKey(seed: Uint8Array): KeyObject {
  if (seed.length !== 32) {
    throw new FormatError("bad_key", `expected a seed of 32 bytes, received ${seed.length}`);
  }
  return createPrivateKey({
    key: Buffer.concat([PKCS8_START, seed]),
    format: "der",
    type: "pkcs8",
  });
}

/** The raw public key, 32 bytes. */
export function ed25519PublicKey(key: KeyObject): Uint8Array {
  const der = createPublicKey(key).export({ format: "der", type: "spki" });
  return Uint8Array.from(der.subarray(SPKI_START.length));
}

export function ed25519Verifier(name: string, publicKey: Uint8Array): NoteVerifier {
  const key = ed25519KeyObject(publicKey);
  return {
    name: checkKeyName(name),
    keyId: keyId(name, ED25519, publicKey),
    publicKey,
    verify: (message, signature) => verify(null, message, key, signature),
  };
}

/** True where `signature` is Ed25519 of `message` under the raw `publicKey`. */
export function verifyEd25519(
  publicKey: Uint8Array,
  message: Uint8Array,
  signature: Uint8Array,
): boolean {
  return verify(null, message, ed25519KeyObject(publicKey), signature);
}

function ed25519KeyObject(publicKey: Uint8Array): KeyObject {
  if (publicKey.length !== ed25519PublicKeyBytes) {
    throw new FormatError("bad_key", `an Ed25519 key has 32 bytes, received ${publicKey.length}`);
  }
  try {
    const spki = Buffer.concat([SPKI_START, publicKey]);
    return createPublicKey({ key: spki, format: "der", type: "spki" });
  } catch (cause) {
    throw new FormatError("bad_key", "not an Ed25519 public key", { cause });
  }
}

export function keyId(name: string, type: number, publicKey: Uint8Array): string {
  const input = Buffer.concat([encodeUtf8(name), Uint8Array.of(0x0a, type), publicKey]);
  return toHex(sha256(input).subarray(0, keyIdBytes));
}

/** The verifier key text `name+keyid+base64`, to be given to an auditor. */
export function encodeVkey(name: string, publicKey: Uint8Array): string {
  const key = toBase64(Buffer.concat([Uint8Array.of(ED25519), publicKey]));
  return `${checkKeyName(name)}+${keyId(name, ED25519, publicKey)}+${key}`;
}

/** @throws FormatError unless `text` is the vkey of an Ed25519 key with a matching key id. */
export function parseVkey(text: string): NoteVerifier {
  const match = /^([^+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/.exec(text);
  if (match === null) {
    throw new FormatError("bad_key", "expected a verifier key: name+8 hex digits+base64");
  }
  const [, name = "", id = "", key = ""] = match;
  const bytes = decode(() => fromBase64(key), "bad_key", "verifier key");
  if (bytes[0] !== ED25519) {
    throw new FormatError("bad_key", `key type ${bytes[0]} is not Ed25519 (1)`);
  }
  const verifier = ed25519Verifier(name, bytes.subarray(1));
  if (verifier.keyId !== id) {
    throw new FormatError("bad_key", `key id is ${id}, but name and key give ${verifier.keyId}`);
  }
  return verifier;
}

/** Signs `text`, which ends in a line feed, once by each signer. */
export function signNote(text: string, signers: readonly NoteSigner[]): Uint8Array {
  checkNoteText(text);
  const message = encodeUtf8(text);
  const lines = signers.map((signer) =>
    signatureLine({
      name: signer.name,
      keyId: keyId(signer.name, ED25519, signer.publicKey),
      signature: signer.sign(message),
    }),
  );
  return encodeUtf8(`${text}\n${lines.join("")}`);
}

function signatureLine(signature: NoteSignature): string {
  const blob = Buffer.concat([fromHex(signature.keyId, keyIdBytes), signature.signature]);
  return `${SIGNATURE_START}${signature.name} ${toBase64(blob)}\n`;
}

/** @throws FormatError where the bytes are no signed note. Judges no signature. */
export function parseNote(bytes: Uint8Array): SignedNote {
  if (bytes.length > noteBytesMax) {
    throw new FormatError("bad_note", `note of ${bytes.length} bytes, at most ${noteBytesMax}`);
  }
  const all = decode(() => decodeUtf8(bytes), "bad_note", "note");
  const split = all.lastIndexOf("\n\n");
  if (split < 0) throw new FormatError("bad_note", "no empty line between text and signatures");
  const text = all.slice(0, split + 1);
  checkNoteText(text);
  const lines = all.slice(split + 2).split("\n");
  if (lines.pop() !== "" || lines.length === 0) {
    throw new FormatError("bad_note", "signature lines are missing or do not end in a line feed");
  }
  if (lines.length > noteSignaturesMax) {
    throw new FormatError("bad_note", `more than ${noteSignaturesMax} signatures`);
  }
  return { bytes, text, signatures: lines.map(parseSignatureLine) };
}

function parseSignatureLine(line: string): NoteSignature {
  const match = /^\u2014 ([^\s+]+) ([A-Za-z0-9+/=]+)$/u.exec(line);
  if (match === null) throw new FormatError("bad_note", "malformed signature line");
  const blob = decode(() => fromBase64(match[2]!), "bad_note", "signature");
  if (blob.length <= keyIdBytes) throw new FormatError("bad_note", "signature without content");
  return {
    name: checkKeyName(match[1]!),
    keyId: toHex(blob.subarray(0, keyIdBytes)),
    signature: blob.subarray(keyIdBytes),
  };
}

/** The inverse of `parseNote`. */
export function encodeNote(note: Pick<SignedNote, "text" | "signatures">): Uint8Array {
  return encodeUtf8(`${note.text}\n${note.signatures.map(signatureLine).join("")}`);
}

export interface NoteJudgement {
  /** Verifiers whose signature is there and good. */
  readonly good: readonly NoteVerifier[];
  /** Verifiers whose key is named by a signature that is bad. */
  readonly bad: readonly NoteVerifier[];
}

/** Judges the signatures of the keys that are known; a note with a bad one is to be rejected. */
export function verifyNote(note: SignedNote, verifiers: readonly NoteVerifier[]): NoteJudgement {
  const message = encodeUtf8(note.text);
  const good = new Set<NoteVerifier>();
  const bad = new Set<NoteVerifier>();
  for (const { name, keyId: id, signature } of note.signatures) {
    const verifier = verifiers.find((known) => known.name === name && known.keyId === id);
    if (verifier === undefined) continue;
    const valid = signature.length === ed25519SignatureBytes && verifier.verify(message, signature);
    (valid ? good : bad).add(verifier);
  }
  return { good: [...good], bad: [...bad] };
}

function checkKeyName(name: string): string {
  if (name === "" || /[\s+]|\p{Cc}/u.test(name)) {
    throw new FormatError("bad_key", "a key name is not empty and has no space, plus or control");
  }
  return name;
}

function checkNoteText(text: string): void {
  // oxlint-disable-next-line no-control-regex -- the format forbids exactly these characters
  if (!text.endsWith("\n") || /[\0-\x09\x0b-\x1f]/.test(text) || !text.isWellFormed()) {
    throw new FormatError("bad_note", "a note's text ends in a line feed and has no other control");
  }
}

function decode<T>(read: () => T, code: "bad_key" | "bad_note", what: string): T {
  try {
    return read();
  } catch (cause) {
    throw new FormatError(code, `${what}: ${cause instanceof Error ? cause.message : ""}`, {
      cause,
    });
  }
}
