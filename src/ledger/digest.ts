/**
 * SHA-256 and the two ways bytes are put together before they are hashed: behind a prefix of their
 * own, and as parts that each carry their length.
 */
import { createHmac, hash } from "node:crypto";

import { encodeUtf8 } from "../bytes/utf8.ts";

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

export function sha256(bytes: Uint8Array): Uint8Array {
  // A one-shot hash into a latin1 string and back is a third of the cost of one into a Buffer.
  return Buffer.from(hash("sha256", bytes, "binary"), "latin1");
}

/** Writes SHA-256 of `bytes` to `target` at `offset`. `bytes` and `target` may overlap. */
export function sha256Into(target: Buffer, offset: number, bytes: Uint8Array): void {
  target.write(hash("sha256", bytes, "binary"), offset, digestBytes, "latin1");
}

export function sha256Hex(bytes: Uint8Array): string {
  return hash("sha256", bytes, "hex");
}

export function hmacSha256(
  key: Uint8Array,
  ...parts: readonly (Uint8Array | string)[]
): Uint8Array {
  const mac = createHmac("sha256", key);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

/** Each part behind its length in bytes as an unsigned 32-bit big-endian number. */
export function lengthPrefixed(...parts: readonly (Uint8Array | string)[]): Uint8Array {
  const chunks: Uint8Array[] = [];
  for (const part of parts) {
    const bytes = typeof part === "string" ? encodeUtf8(part) : part;
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    chunks.push(length, bytes);
  }
  return Buffer.concat(chunks);
}

/** `SHA-256(prefix ‖ parts)`. */
export function prefixedDigest(prefix: string, ...parts: readonly Uint8Array[]): Uint8Array {
  return sha256(Buffer.concat([Buffer.from(prefix, "latin1"), ...parts]));
}

export function equalBytes(left: Uint8Array, right: Uint8Array): boolean {
  return Buffer.compare(left, right) === 0;
}
