/** SHA-256 (FIPS 180-4) of one message by the engine's library. */
import { hash } from "node:crypto";

const outputLength = 32;
/** A length is stated because the engine otherwise asks of each call whether one would be missing. */
const asLatin1 = { outputEncoding: "latin1", outputLength } as const;
const asHex = { outputEncoding: "hex", outputLength } as const;

/** A text of 32 characters, one for each byte: the cheapest form that a digest comes in. */
export function sha256Latin1(bytes: Uint8Array): string {
  return hash("sha256", bytes, asLatin1);
}

/** By way of a text, which takes a third of the time of a digest that comes as bytes. */
export function sha256(bytes: Uint8Array): Buffer {
  return Buffer.from(sha256Latin1(bytes), "latin1");
}

export function sha256Hex(bytes: Uint8Array): string {
  return hash("sha256", bytes, asHex);
}
