/**
 * Reads the log's tail back into memory, record by record: place in the log and in its chain, MAC,
 * body digest. What passes changes memory by the steps of a commit.
 */
import { hash } from "node:crypto";

import { fingerprint } from "../audit/fingerprint.ts";
import { fromHex } from "../bytes/hex.ts";
import {
  bodyDigest,
  createRecordMac,
  deriveChainKey,
  epochOf,
  keyName,
  treeEntry,
} from "./chain.ts";
import type { Chain, ChainPen } from "./chains.ts";
import { isControlKind } from "./control.ts";
import { digestBytes } from "./digest.ts";
import type { KeyRing } from "./keys.ts";
import { LedgerError, reasonOf } from "./ledger-error.ts";
import { scanLine, type ScannedLine } from "./line.ts";
import { countActions, countControl, type LedgerMemory } from "./memory.ts";

/** The group that the newest record belongs to, and where it begins in its segment. */
export interface LastGroup {
  readonly group: number;
  readonly segment: number;
  readonly start: number;
}

export class Replay {
  readonly #memory: LedgerMemory;
  readonly #keys: KeyRing;
  /** Sizes at which the root is wanted, ascending. */
  readonly #rootsWanted: number[];
  readonly roots: Map<number, Uint8Array> = new Map();
  lastGroup: LastGroup | undefined;
  readonly #macs = Buffer.alloc(digestBytes);

  constructor(memory: LedgerMemory, keys: KeyRing, rootsWanted: readonly number[]) {
    this.#memory = memory;
    this.#keys = keys;
    this.#rootsWanted = rootsWanted.toSorted((left, right) => left - right);
    this.#noteRoot();
  }

  /**
   * Takes the line `bytes[start, end)`, without line feed. @throws LedgerError where the ledger must
   * not be opened, another Error where the line is none of this log.
   */
  line(bytes: Buffer, start: number, end: number, place: Omit<LastGroup, "group">): void {
    const line = scanLine(bytes, start, end);
    this.#checkPlace(line);
    const head = bytes.subarray(line.headStart, line.headEnd);
    const body = bytes.subarray(line.bodyStart, line.bodyEnd);
    const chain = this.#memory.chains.open(line);
    try {
      checkMac(line, this.#checkChain(line, chain), head);
      checkBody(line, body);
    } catch (error) {
      this.#memory.chains.forget(chain);
      throw error;
    }
    this.#take(line, chain, { head, body });
    if (this.lastGroup?.group !== line.group) this.lastGroup = { group: line.group, ...place };
    this.#noteRoot();
  }

  /** It is this ledger's record: what cannot be made of it is no torn write to be set aside. */
  #take(line: ScannedLine, chain: Chain, parts: { head: Buffer; body: Buffer }): void {
    try {
      this.#apply(line, chain, parts);
    } catch (cause) {
      throw new LedgerError(
        "damaged",
        `record ${line.index} (${line.kind}) is genuine but not understood (${reasonOf(cause)}): ` +
          "another version of spanseal wrote it, start that one",
        { cause },
      );
    }
  }

  #checkPlace(line: ScannedLine): void {
    const { size } = this.#memory.tree;
    if (line.index !== size) throw new Error(`expected index ${size}, received ${line.index}`);
    if (line.writer !== this.#memory.writer) throw new Error("written by another ledger");
    const isNewGroup = line.group === line.index;
    if (isNewGroup || line.group === this.lastGroup?.group) return;
    // The group of the record before the tail is not known.
    if (this.lastGroup === undefined && line.group < line.index) return;
    throw new Error(`group ${line.group} at index ${line.index}`);
  }

  #checkChain(line: ScannedLine, chain: Chain): ChainPen {
    const { chains, counters, tree } = this.#memory;
    // The first record says with which key the log began.
    if (tree.size === 0) counters.epoch = epochOf(line.key);
    const epochKey = this.#keys.chainKey(counters.epoch);
    const expected = epochKey === undefined ? "none" : keyName(counters.epoch, epochKey);
    if (epochKey === undefined || line.key !== expected) {
      throw new LedgerError(
        "missing_key",
        `record ${line.index} names chain key ${line.key}, the key folder has ${expected}: ` +
          "restore the keys that belong to this ledger",
      );
    }
    if (line.sequence !== chain.sequence + 1) {
      throw new Error(`expected sequence ${chain.sequence + 1}, received ${line.sequence}`);
    }
    if (line.previousMac !== chain.mac) throw new Error("previous_mac is not the chain's tip");
    return chains.penOf(chain, counters.epoch, epochKey);
  }

  #apply(line: ScannedLine, chain: Chain, parts: { head: Buffer; body: Buffer }): void {
    const { chains, counters, tree, window } = this.#memory;
    chains.draft(chain);
    chain.draftSequence = line.sequence;
    chain.draftMac = line.mac;
    chains.apply();
    this.#macs.write(line.mac, 0, "hex");
    const entry = treeEntry(parts.head, this.#macs) as Buffer;
    tree.append(leafOf(entry), entry, 1);
    counters.lastTime = BigInt(line.time);
    counters.tip = line.mac;
    if (line.kind === "action") {
      const fingerprints = words(fingerprint(this.#keys.fingerprintKey, parts.body));
      window.add(words(fromHex(line.id)), fingerprints, 0, line.index);
      countActions(counters, 1);
    } else if (isControlKind(line.kind)) countControl(counters, line.kind, parts.body);
  }

  #noteRoot(): void {
    const { tree } = this.#memory;
    while (this.#rootsWanted[0] !== undefined && this.#rootsWanted[0] <= tree.size) {
      const size = this.#rootsWanted.shift()!;
      if (size === tree.size) this.roots.set(size, tree.root());
    }
  }
}

/**
 * True where `bytes[start, end)` is a record of this ledger by its MAC, wherever it stands: what
 * follows a broken line in a torn group, or proof that the damage is not in the last group.
 */
export function isAuthentic(
  line: ScannedLine,
  head: Buffer,
  keys: KeyRing,
  digest: Uint8Array,
): boolean {
  const epochKey = keys.chainKey(epochOf(line.key));
  if (epochKey === undefined) return false;
  const mac = createRecordMac(deriveChainKey(epochKey, digest, line));
  return Buffer.from(mac(head), "latin1").toString("hex") === line.mac;
}

function checkMac(line: ScannedLine, pen: ChainPen, head: Buffer): void {
  const mac = Buffer.from(pen.mac(head), "latin1").toString("hex");
  if (mac !== line.mac) throw new Error(`the MAC of record ${line.index} does not fit`);
}

function checkBody(line: ScannedLine, body: Buffer): void {
  if (line.bodyStart < 0) throw new Error(`the body of record ${line.index} is missing`);
  if (Buffer.from(bodyDigest(body)).toString("hex") !== line.bodyDigest) {
    throw new Error(`the body of record ${line.index} does not fit its digest`);
  }
}

const leafInput = Buffer.alloc(1 + digestBytes);

function leafOf(entry: Buffer): Buffer {
  entry.copy(leafInput, 1);
  return Buffer.from(hash("sha256", leafInput, "binary"), "latin1");
}

function words(bytes: Uint8Array): Uint32Array {
  return new Uint32Array(Uint8Array.from(bytes).buffer);
}
