/**
 * What binds records to their chain and to their place: the chain's own key, its genesis value, the
 * MAC of each record and the entry that the log's tree holds for it.
 */
import { hash, hkdfSync } from "node:crypto";

import type { ChainName } from "../audit/prepared-batch.ts";
import { toHex } from "../bytes/hex.ts";
import {
  digestBytes,
  hmacSha256,
  lengthPrefixed,
  PREFIX,
  prefixedDigest,
  sha256,
} from "./digest.ts";
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

/** The key of one chain in one epoch: its holder can check this chain and no other. */
export function deriveChainKey(
  epochKey: Uint8Array,
  descriptorDigest: Uint8Array,
  chain: ChainName,
): Uint8Array {
  const { namespace, tenant } = chain;
  const info = lengthPrefixed("spanseal chain v1", descriptorDigest, namespace, tenant);
  return new Uint8Array(hkdfSync("sha256", epochKey, new Uint8Array(), info, digestBytes));
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

const blockBytes = 64;
const recordPrefix = Buffer.from(PREFIX.record, "latin1");
/** Heads are a few hundred bytes; longer ones take the general way. */
const headBytesUsual = 2048;
const macInput = Buffer.alloc(blockBytes + recordPrefix.length + headBytesUsual);
/** Views of the input by length: making one costs as much as hashing a short text. */
const macViews: (Buffer | undefined)[] = [];

/**
 * `recordMac` for many heads of one chain: the padded keys of HMAC (RFC 2104) are made once, and
 * each MAC is two one-shot hashes, half the cost of an Hmac object. Returns a latin1 string of 32
 * characters, which is the cheapest form to write or compare.
 */
export function createRecordMac(chainKey: Uint8Array): (head: Uint8Array) => string {
  const inner = Buffer.alloc(blockBytes + recordPrefix.length, 0x36);
  const outer = Buffer.alloc(blockBytes + digestBytes, 0x5c);
  const key = chainKey.length > blockBytes ? sha256(chainKey) : chainKey;
  for (const [at, byte] of key.entries()) {
    inner[at]! ^= byte;
    outer[at]! ^= byte;
  }
  inner.set(recordPrefix, blockBytes);
  return (head) => {
    const length = inner.length + head.length;
    const message = head.length > headBytesUsual ? Buffer.alloc(length) : viewOf(length);
    message.set(inner, 0);
    message.set(head, inner.length);
    outer.write(hash("sha256", message, "binary"), blockBytes, digestBytes, "latin1");
    return hash("sha256", outer, "binary");
  };
}

function viewOf(length: number): Buffer {
  return (macViews[length] ??= macInput.subarray(0, length));
}

const entryPrefix = Buffer.from(PREFIX.entry, "latin1");

/** The 32 bytes that the tree holds for a record: they bind head, MAC, order and body. */
export function treeEntry(headBytes: Uint8Array, mac: Uint8Array): Uint8Array {
  return sha256(Buffer.concat([entryPrefix, headBytes, mac]));
}
