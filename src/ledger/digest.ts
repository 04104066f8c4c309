/**
 * SHA-256 and the two ways bytes are put together before they are hashed: behind a prefix of their
 * own, and as parts that each carry their length.
 */
import { createHmac } from "node:crypto";

import { sha256, sha256Latin1 } from "../bytes/sha256.ts";

export const digestBytes = 32;

/** The prefixes of all hashes; no two inputs of different meaning begin alike. */
export const PREFIX = {
  body: "spanseal body v1\n",
  descriptor: "spanseal descriptor v1\n",
  entry: "spanseal entry v1\n",
  genesis: "spanseal genesis v1\n",
  keyCheck: "spanseal key check v1\n",
  record: "spanseal record v1\n",
  rotate: "spanseal rotate v1\n",
  tips: "spanseal tips v1\n",
} as const;

/** Writes SHA-256 of `bytes` to `target` at `offset`. `bytes` and `target` may overlap. */
export function sha256Into(target: Buffer, offset: number, bytes: Uint8Array): void {
  target.write(sha256Latin1(bytes), offset, digestBytes, "latin1");
}

const blockBytes = 64;
const innerPad = 0x36;
const outerPad = 0x5c;
/** Copying a longer text would cost more than an Hmac object. */
const copiedBytesMax = 64 * 1024;

/** HMAC-SHA256 (RFC 2104) under a key of 64 bytes at most. */
export function hmacSha256(
  key: Uint8Array,
  ...parts: readonly (Uint8Array | string)[]
): Uint8Array {
  const byteCount = parts.reduce((sum, part) => sum + byteLength(part), 0);
  if (byteCount > copiedBytesMax) return longHmac(key, parts);
  // Two one-shot hashes are a third of the cost of an Hmac object.
  const inner = padded(key, innerPad, byteCount);
  let at = blockBytes;
  for (const part of parts) at += put(inner, at, part);
  const outer = padded(key, outerPad, digestBytes);
  sha256Into(outer, blockBytes, inner);
  return sha256(outer);
}

function longHmac(key: Uint8Array, parts: readonly (Uint8Array | string)[]): Uint8Array {
  const mac = createHmac("sha256", key);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

/** The key's block, then room for a text. */
function padded(key: Uint8Array, pad: number, byteCount: number): Buffer {
  const bytes = Buffer.allocUnsafe(blockBytes + byteCount).fill(pad, 0, blockBytes);
  for (let at = 0; at < key.length; at++) bytes[at]! ^= key[at]!;
  return bytes;
}

function byteLength(part: Uint8Array | string): number {
  return typeof part === "string" ? Buffer.byteLength(part) : part.length;
}

/** Answers how many bytes were put. */
function put(target: Buffer, at: number, part: Uint8Array | string): number {
  if (typeof part === "string") return target.write(part, at);
  target.set(part, at);
  return part.length;
}

/** Each part behind its length in bytes as an unsigned 32-bit big-endian number. */
export function lengthPrefixed(...parts: readonly (Uint8Array | string)[]): Uint8Array {
  const byteCount = parts.reduce((sum, part) => sum + lengthBytes + byteLength(part), 0);
  const bytes = Buffer.allocUnsafe(byteCount);
  let at = 0;
  for (const part of parts) {
    const length = put(bytes, at + lengthBytes, part);
    bytes.writeUInt32BE(length, at);
    at += lengthBytes + length;
  }
  return bytes;
}

const lengthBytes = 4;

/** `SHA-256(prefix ‖ parts)`. */
export function prefixedDigest(prefix: string, ...parts: readonly Uint8Array[]): Uint8Array {
  return sha256(Buffer.concat([Buffer.from(prefix, "latin1"), ...parts]));
}

export function equalBytes(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}
