/**
 * Reads the log's tail back into memory, record by record: place in the log and in its chain, MAC,
 * body digest. What passes changes memory by the steps of a commit.
 */
import { reasonOf } from "../bytes/thrown.ts";
import { recordIdBytes } from "../audit/prepared-batch.ts";
import { holdsHex, holdsHexOf, readHex } from "../bytes/hex.ts";
import { deriveChainKey, epochOf, keyName, recordMac } from "./chain.ts";
import type { Chain } from "./chains.ts";
import { isControlKind } from "./control.ts";
import { digestBytes } from "./digest.ts";
import type { KeyRing } from "./keys.ts";
import { LedgerError } from "./ledger-error.ts";
import { holdsText, ScannedLine } from "./line.ts";
import { countActions, countControl, type LedgerMemory } from "./memory.ts";
import { RecordHashes, type RecordDigests } from "./record-hashes.ts";
import { RecordMac } from "./record-mac.ts";

/** The group that the newest record belongs to, and where it begins in its segment. */
export interface LastGroup {
  readonly group: number;
  readonly segment: number;
  readonly start: number;
}

/** The chain key that records are under. */
interface ReplayKey {
  readonly epoch: number;
  readonly epochKey: Uint8Array;
  readonly name: string;
  readonly text: Uint8Array;
  readonly mac: RecordMac;
}

export class Replay {
  readonly #memory: LedgerMemory;
  readonly #keys: KeyRing;
  /** Sizes at which the root is wanted, ascending. */
  readonly #rootsWanted: number[];
  readonly roots: Map<number, Uint8Array> = new Map();
  lastGroup: LastGroup | undefined;
  readonly #line = new ScannedLine();
  #key: ReplayKey | undefined;
  readonly #hashes = new RecordHashes();
  readonly #digests: RecordDigests = {
    entry: Buffer.alloc(digestBytes),
    macBytes: Buffer.alloc(digestBytes),
  };
  readonly #writer: Buffer;
  /** Of the line that is being taken, as bytes and as the words that the window compares. */
  readonly #idWords = new Uint32Array(recordIdBytes / 4);
  readonly #id = new Uint8Array(this.#idWords.buffer);

  constructor(memory: LedgerMemory, keys: KeyRing, rootsWanted: readonly number[]) {
    this.#memory = memory;
    this.#writer = Buffer.from(memory.writer, "latin1");
    this.#keys = keys;
    this.#rootsWanted = rootsWanted.toSorted((left, right) => left - right);
    this.#noteRoot();
  }

  /**
   * Takes the line `bytes[start, end)`, without line feed. @throws LedgerError where the ledger must
   * not be opened, another Error where the line is none of this log.
   */
  line(bytes: Buffer, start: number, end: number, place: Omit<LastGroup, "group">): void {
    const line = this.#line.scan(bytes, start, end);
    this.#checkPlace(line);
    const body = bytes.subarray(line.bodyStart, line.bodyEnd);
    const { chains } = this.#memory;
    const chain = chains.findOf(line) ?? chains.open(line);
    try {
      this.#checkChain(line, chain);
      this.#hashes.enter(line, this.#digests);
      this.#checkMac(line, chain);
      this.#checkBody(line);
    } catch (error) {
      chains.forget(chain);
      throw error;
    }
    this.#take(line, chain, body);
    if (this.lastGroup?.group !== line.group) this.lastGroup = { group: line.group, ...place };
    this.#noteRoot();
  }

  /** It is this ledger's record: what cannot be made of it is no torn write to be set aside. */
  #take(line: ScannedLine, chain: Chain, body: Buffer): void {
    try {
      this.#apply(line, chain, body);
    } catch (cause) {
      throw new LedgerError(
        "damaged",
        `record ${line.index} (${line.kind}) is genuine but not understood (${reasonOf(cause)}): ` +
          "another version of spanseal wrote it",
        { remedy: "start that one", cause },
      );
    }
  }

  #checkPlace(line: ScannedLine): void {
    const { size } = this.#memory.tree;
    if (line.index !== size) throw new Error(`expected index ${size}, received ${line.index}`);
    const { bytes, writerAt } = line;
    if (!holdsText(bytes, writerAt, writerAt + this.#writer.length, this.#writer)) {
      throw new Error("written by another ledger");
    }
    const isNewGroup = line.group === line.index;
    if (isNewGroup || line.group === this.lastGroup?.group) return;
    // The group of the record before the tail is not known.
    if (this.lastGroup === undefined && line.group < line.index) return;
    throw new Error(`group ${line.group} at index ${line.index}`);
  }

  #checkChain(line: ScannedLine, chain: Chain): void {
    const { chains, counters, tree } = this.#memory;
    // The first record says with which key the log began.
    if (tree.size === 0) counters.epoch = epochOf(line.key);
    if (this.#key?.epoch !== counters.epoch) this.#key = this.#openKey(counters.epoch);
    const isNamed =
      this.#key !== undefined && holdsText(line.bytes, line.keyAt, line.keyEnd, this.#key.text);
    if (!isNamed) {
      throw new LedgerError(
        "missing_key",
        `record ${line.index} names chain key ${line.key}, the key folder has ` +
          (this.#key?.name ?? "none"),
        { remedy: "restore the keys that belong to this ledger" },
      );
    }
    if (line.sequence !== chain.sequence + 1) {
      throw new Error(`expected sequence ${chain.sequence + 1}, received ${line.sequence}`);
    }
    const tipAt = chain.slot * digestBytes;
    if (!holdsHex(line.bytes, line.previousMacAt, chains.macs, tipAt, digestBytes)) {
      throw new Error("previous_mac is not the chain's tip");
    }
  }

  #openKey(epoch: number): ReplayKey | undefined {
    const epochKey = this.#keys.chainKey(epoch);
    if (epochKey === undefined) return undefined;
    const name = keyName(epoch, epochKey);
    return { epoch, epochKey, name, text: Buffer.from(name, "latin1"), mac: new RecordMac() };
  }

  #checkMac(line: ScannedLine, chain: Chain): void {
    const { chains } = this.#memory;
    const { epoch, epochKey, mac } = this.#key!;
    const keyAt = chains.keyAt(chain, epoch, epochKey);
    mac.useKey(chains.keys, keyAt);
    const computed = mac.of(line.bytes, line.headStart, line.headEnd);
    if (holdsHexOf(line.bytes, line.macAt, computed)) return;
    throw new Error(`the MAC of record ${line.index} does not fit`);
  }

  #checkBody(line: ScannedLine): void {
    if (line.bodyStart < 0) throw new Error(`the body of record ${line.index} is missing`);
    if (this.#hashes.isBodyTheirs(line)) return;
    throw new Error(`the body of record ${line.index} does not fit its digest`);
  }

  #apply(line: ScannedLine, chain: Chain, body: Buffer): void {
    const { chains, counters, tree, window } = this.#memory;
    chains.draft(chain);
    chain.draftSequence = line.sequence;
    chain.draftAt = 0;
    chains.apply(this.#digests.macBytes);
    tree.append(this.#digests.entry, 1);
    counters.lastTime = BigInt(line.time);
    counters.tip = line.mac;
    if (line.isAction) {
      readHex(line.bytes, line.idAt, this.#id, 0, recordIdBytes);
      window.add(this.#idWords, 0, line.index);
      countActions(counters, 1);
    } else if (isControlKind(line.kind)) countControl(counters, line.kind, body);
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
 * True where the line is a record of this ledger by its MAC, wherever it stands: what
 * follows a broken line in a torn group, or proof that the damage is not in the last group.
 */
export function isAuthentic(line: ScannedLine, keys: KeyRing, digest: Uint8Array): boolean {
  const epochKey = keys.chainKey(epochOf(line.key));
  if (epochKey === undefined) return false;
  const head = line.bytes.subarray(line.headStart, line.headEnd);
  const mac = recordMac(deriveChainKey(epochKey, digest, line), head);
  return holdsHex(line.bytes, line.macAt, mac);
}
