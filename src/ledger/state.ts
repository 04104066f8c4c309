/**
 * State snapshots, `state/<size>`: what a start needs so that it reads only the log's tail. A header
 * as canonical JSON, then the tree's edge, the chains and the newest window entries as bytes,
 * then an HMAC over all of it: whoever could write a snapshot could make the ledger take new records
 * for repeats.
 *
 * The window is stored in blocks, `state/<size>.window`, so that neither writing nor reading grows
 * with the ledger: a snapshot holds the entries since the last block and names that block by size
 * and digest. A block is a snapshot of nothing but entries, and names the block before it.
 */
import type { ChainName } from "../audit/prepared-batch.ts";
import { canonicalize, parseCanonical } from "../bytes/canonical-json.ts";
import { fromHex, toHex } from "../bytes/hex.ts";
import { deriveChainKey, recordMac } from "./chain.ts";
import { digestBytes } from "./digest.ts";
import { LedgerError } from "./ledger-error.ts";
import type { PackedChains } from "./chains.ts";
import type { LogCounters } from "./memory.ts";

const format = "spanseal.state/v4";
/** No sender can have a chain of this name, so no chain key is this key. */
const stateChain: ChainName = { namespace: "spanseal", tenant: "state" };

export interface StateReference {
  readonly size: number;
  /** SHA-256 of the file. */
  readonly digest: string;
}

export interface LedgerState {
  readonly size: number;
  readonly root: Uint8Array;
  readonly counters: LogCounters;
  /** The segment that holds the last record, and where that record's line ends. */
  readonly segment: { readonly first: number; readonly end: number; readonly firstTime: bigint };
  /** Number of all segments up to that one, and digest of their names and bytes. */
  readonly segments: { readonly count: number; readonly digest: string };
  /** Position of the window's end: action records since the beginning. */
  readonly windowEnd: number;
  readonly block: StateReference | null;
  readonly edge: Uint8Array;
  readonly chains: PackedChains;
  readonly windowEntries: Uint8Array;
}

export interface StateKey {
  readonly name: string;
  readonly epochKey: Uint8Array;
  readonly descriptorDigest: Uint8Array;
}

export function encodeState(state: LedgerState, key: StateKey): Uint8Array {
  const chains = encodeChains(state.chains);
  const { counters, segment } = state;
  const header = canonicalize({
    block: state.block === null ? null : { digest: state.block.digest, size: state.block.size },
    chains_bytes: chains.length,
    counters: { ...counters, lastTime: String(counters.lastTime) },
    edge_bytes: state.edge.length,
    format,
    key: key.name,
    root: toHex(state.root),
    segment: { end: segment.end, first: segment.first, first_time: String(segment.firstTime) },
    segments: { count: state.segments.count, digest: state.segments.digest },
    size: state.size,

    window_bytes: state.windowEntries.length,
    window_end: state.windowEnd,
  });
  const content = Buffer.concat([
    Buffer.from(`${header}\n`),
    state.edge,
    chains,
    state.windowEntries,
  ]);
  return Buffer.concat([content, authenticator(content, key)]);
}

function authenticator(content: Uint8Array, key: StateKey): Uint8Array {
  return recordMac(deriveChainKey(key.epochKey, key.descriptorDigest, stateChain), content);
}

/** Finds the key that a snapshot names; undefined where the key folder lacks it. */
export type StateKeySource = (name: string) => StateKey | undefined;

/** @throws LedgerError `damaged` for anything that this ledger did not write. */
export function parseState(bytes: Uint8Array, keys: StateKeySource): LedgerState {
  try {
    return readState(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength), keys);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : "unreadable";
    throw new LedgerError("damaged", `state snapshot: ${reason}`, { cause });
  }
}

function readState(bytes: Buffer, keys: StateKeySource): LedgerState {
  const headerEnd = bytes.indexOf(0x0a);
  const contentEnd = bytes.length - digestBytes;
  if (headerEnd < 0 || headerEnd >= contentEnd) throw new SyntaxError("no header");
  const header = parseCanonical(bytes.toString("utf8", 0, headerEnd)) as unknown as StateHeader;
  const key = keys(header.key);
  if (key === undefined) throw new SyntaxError(`made with an unknown key ${header.key}`);
  const content = bytes.subarray(0, contentEnd);
  if (!bytes.subarray(contentEnd).equals(authenticator(content, key))) {
    throw new SyntaxError("its authenticator does not fit");
  }
  // From here on these are bytes that this ledger wrote.
  if (header.format !== format) throw new SyntaxError(`format ${header.format}`);
  const edgeEnd = headerEnd + 1 + header.edge_bytes;
  const chainsEnd = edgeEnd + header.chains_bytes;
  return {
    size: header.size,
    root: fromHex(header.root, digestBytes),
    counters: { ...header.counters, lastTime: BigInt(header.counters.lastTime) },
    segment: { ...header.segment, firstTime: BigInt(header.segment.first_time) },
    segments: header.segments,
    windowEnd: header.window_end,
    block: header.block,
    edge: content.subarray(headerEnd + 1, edgeEnd),
    chains: parseChains(content.subarray(edgeEnd, chainsEnd)),
    windowEntries: content.subarray(chainsEnd, chainsEnd + header.window_bytes),
  };
}

interface StateHeader {
  readonly block: StateReference | null;
  readonly chains_bytes: number;
  readonly counters: Omit<LogCounters, "lastTime"> & { readonly lastTime: string };
  readonly edge_bytes: number;
  readonly format: string;
  readonly key: string;
  readonly root: string;
  readonly segment: { readonly end: number; readonly first: number; readonly first_time: string };
  readonly segments: { readonly count: number; readonly digest: string };
  readonly size: number;
  readonly window_bytes: number;
  readonly window_end: number;
}

/** How many, then names, then sequences as little-endian doubles, MACs and tags. */
function encodeChains({ names, sequences, macs, tags }: PackedChains): Uint8Array {
  const count = Buffer.alloc(8);
  count.writeDoubleLE(sequences.length);
  const { buffer, byteOffset, byteLength } = sequences;
  return Buffer.concat([count, names, Buffer.from(buffer, byteOffset, byteLength), macs, tags]);
}

function parseChains(bytes: Buffer): PackedChains {
  const count = bytes.readDoubleLE();
  const tagsAt = bytes.length - count * digestBytes;
  const macsAt = tagsAt - count * digestBytes;
  const sequencesAt = macsAt - count * Float64Array.BYTES_PER_ELEMENT;
  return {
    names: bytes.subarray(8, sequencesAt),
    // A copy, because doubles must be aligned.
    sequences: new Float64Array(Uint8Array.from(bytes.subarray(sequencesAt, macsAt)).buffer),
    macs: bytes.subarray(macsAt, tagsAt),
    tags: bytes.subarray(tagsAt),
  };
}

/** What a block has of chains. */
export const noChains: PackedChains = {
  names: Buffer.alloc(0),
  sequences: new Float64Array(),
  macs: Buffer.alloc(0),
  tags: Buffer.alloc(0),
};

/** The name of a snapshot of that size, and of a block of the window that it begins after. */
export function stateName(size: number): string {
  return String(size);
}

const blockSuffix = ".window";

export function blockName(size: number): string {
  return `${stateName(size)}${blockSuffix}`;
}

/** As `parseStateName`, of a block. */
export function parseBlockName(name: string): number | undefined {
  if (!name.endsWith(blockSuffix)) return undefined;
  return parseStateName(name.slice(0, -blockSuffix.length));
}

/** The size, or undefined for any other name. */
export function parseStateName(name: string): number | undefined {
  const size = /^[1-9]\d{0,15}$/.test(name) ? Number(name) : Number.NaN;
  return Number.isSafeInteger(size) ? size : undefined;
}
