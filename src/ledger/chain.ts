/**
 * What binds records to their chain and to their place: the chain's own key, its genesis value, the
 * MAC of each record and the entry that the log's tree holds for it.
 */
import { sha256 } from "../bytes/sha256.ts";
import type { ChainName } from "../audit/prepared-batch.ts";
import { toHex } from "../bytes/hex.ts";
import { digestBytes, hmacSha256, lengthPrefixed, PREFIX, prefixedDigest } from "./digest.ts";
import { FormatError } from "./format-error.ts";

export { encodeHead, encodeLine, parseLine, type Head, type ParsedLine } from "./line.ts";

/** The chain of records about Spanseal itself. */
export const systemChain: ChainName = { namespace: "spanseal", tenant: "system" };

/** Name of the chain key of an epoch as heads carry it: `<epoch>:<8 hex key-check value>`. */
export function keyName(epoch: number, epochKey: Uint8Array): string {
  return `${epoch}:${keyCheckValue(epochKey)}`;
}

/** Eight hex digits that tell keys apart and tell nothing about them. */
export function keyCheckValue(key: Uint8Array): string {
  return toHex(hmacSha256(key, PREFIX.keyCheck).subarray(0, 4));
}

/** The epoch in a key name. @throws FormatError for anything but `<epoch>:<8 hex digits>`. */
export function epochOf(name: string): number {
  const match = /^([1-9]\d{0,14}):[0-9a-f]{8}$/.exec(name);
  if (match === null) throw new FormatError("bad_head", `no key name: ${name}`);
  return Number(match[1]);
}

const extractedKeys = new WeakMap<Uint8Array, Uint8Array>();

/** The first step of HKDF, which all chains of an epoch share. */
function extracted(epochKey: Uint8Array): Uint8Array {
  let key = extractedKeys.get(epochKey);
  if (key === undefined) {
    key = hmacSha256(new Uint8Array(digestBytes), epochKey);
    extractedKeys.set(epochKey, key);
  }
  return key;
}

/** The key of one chain in one epoch: its holder can check this chain and no other. */
export function deriveChainKey(
  epochKey: Uint8Array,
  descriptorDigest: Uint8Array,
  chain: ChainName,
): Uint8Array {
  const { namespace, tenant } = chain;
  const info = lengthPrefixed("spanseal chain v1", descriptorDigest, namespace, tenant);
  // HKDF-SHA256 (RFC 5869) with an empty salt, one block of output.
  return hmacSha256(extracted(epochKey), info, Uint8Array.of(1));
}

/** `previous_mac` of a chain's first record, so that no chain can pass for another. */
export function genesisMac(descriptorDigest: Uint8Array, chain: ChainName): Uint8Array {
  const { namespace, tenant } = chain;
  return prefixedDigest(PREFIX.genesis, lengthPrefixed(descriptorDigest, namespace, tenant));
}

export function bodyDigest(body: Uint8Array): Uint8Array {
  return prefixedDigest(PREFIX.body, body);
}

/** MAC over the exact bytes of a head. */
export function recordMac(chainKey: Uint8Array, head: Uint8Array | string): Uint8Array {
  return hmacSha256(chainKey, PREFIX.record, head);
}

const entryPrefix = Buffer.from(PREFIX.entry, "latin1");

/** The 32 bytes that the tree holds for a record: they bind head, MAC, order and body. */
export function treeEntry(headBytes: Uint8Array, mac: Uint8Array): Uint8Array {
  return sha256(Buffer.concat([entryPrefix, headBytes, mac]));
}
