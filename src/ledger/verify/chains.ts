/**
 * Every chain as far as it was read: where it stands, its keys, and its leaf in the tips tree. What
 * each has of 32 bytes is packed by slot: there may be a hundred thousand.
 */
import type { ChainName } from "../../audit/prepared-batch.ts";
import { copyBytes } from "../../bytes/copy.ts";
import { holdsHex, holdsHexOf, toHex } from "../../bytes/hex.ts";
import { chainsMax } from "../../limits.ts";
import { genesisMac } from "../chain.ts";
import { ChainNames } from "../chain-names.ts";
import { digestBytes } from "../digest.ts";
import type { ScannedLine } from "../line.ts";
import { RecordMac, RecordMacs } from "../record-mac.ts";
import { TipsTree } from "../tips-tree.ts";
import { roomFor } from "../room.ts";
import { tipTag } from "../tips.ts";
import { linesAtOnce, type HashedLine } from "./hashed-line.ts";
import type { ChainKeySource } from "./keys.ts";

export interface ChainState extends ChainName {
  readonly slot: number;
  /** Of the newest record that was read; 0 before the first. */
  sequence: number;
  /** What the MAC would be by its key, where that is not what the line says. */
  computedTip: Uint8Array | undefined;
  epoch: number;
  hasKey: boolean;
  /** Of its tip in the tips tree, -1 before the first time. */
  leaf: number;
  /** True where the tips tree does not hold the present tip. */
  stale: boolean;
}

const slotsAtFirst = 64;

export class VerifiedChains {
  readonly #digest: Uint8Array;
  readonly #keySource: ChainKeySource | undefined;
  readonly #names = new ChainNames();
  readonly #chains: ChainState[] = [];
  /** By slot: MAC of the newest record (the genesis value before the first), key, and tag. */
  #macs = new Uint8Array(slotsAtFirst * digestBytes);
  #keys = new Uint8Array(slotsAtFirst * digestBytes);
  #tags = new Uint8Array(slotsAtFirst * digestBytes);
  readonly #mac = new RecordMac();
  readonly #macsAtOnce = new RecordMacs(linesAtOnce);
  #stale: ChainState[] = [];
  readonly #tips = new TipsTree();
  /** Chains without a known tag: the tips tree cannot be rebuilt. */
  #untagged = 0;

  constructor(descriptorDigest: Uint8Array, keys: ChainKeySource | undefined) {
    this.#digest = descriptorDigest;
    this.#keySource = keys;
  }

  get count(): number {
    return this.#chains.length;
  }

  find(line: ScannedLine): ChainState | undefined {
    const slot = this.#names.findOf(line);
    return slot < 0 ? undefined : this.#chains[slot];
  }

  /** Undefined for one more than a ledger can have. */
  open(line: HashedLine, epoch: number): ChainState | undefined {
    let chain = line.slot < 0 ? this.find(line) : this.#chains[line.slot];
    if (chain === undefined && this.count >= chainsMax) return undefined;
    chain ??= this.#begin(line);
    if (chain.epoch !== epoch) this.#enterEpoch(chain, epoch);
    return chain;
  }

  #begin({ namespace, tenant }: ChainName): ChainState {
    const slot = this.#names.add({ namespace, tenant });
    const bytes = (slot + 1) * digestBytes;
    this.#macs = roomFor(this.#macs, bytes);
    this.#keys = roomFor(this.#keys, bytes);
    this.#tags = roomFor(this.#tags, bytes);
    const chain: ChainState = {
      namespace,
      tenant,
      slot,
      sequence: 0,
      computedTip: undefined,
      epoch: 0,
      hasKey: false,
      leaf: -1,
      stale: false,
    };
    this.#macs.set(genesisMac(this.#digest, chain), slot * digestBytes);
    this.#chains.push(chain);
    return chain;
  }

  #enterEpoch(chain: ChainState, epoch: number): void {
    const key = this.#keySource?.keyOf(chain, epoch);
    const at = chain.slot * digestBytes;
    if (chain.epoch === 0) {
      // The tag is by the key of the epoch in which the chain began, where its tip is its genesis.
      if (key === undefined) this.#untagged++;
      else this.#tags.set(tipTag(key, this.#macs.subarray(at, at + digestBytes)), at);
    }
    if (key !== undefined) this.#keys.set(key, at);
    chain.hasKey = key !== undefined;
    chain.epoch = epoch;
  }

  /** Finds the chains of the first `count` lines, and their MACs by the keys that are in use now. */
  foresee(lines: readonly HashedLine[], count: number): void {
    for (let at = 0; at < count; at++) lines[at]!.slot = this.#names.findOf(lines[at]!);
    if (this.#keySource !== undefined) this.#computeMacs(lines, count);
  }

  #computeMacs(lines: readonly HashedLine[], count: number): void {
    for (let at = 0; at < count; at++) {
      const line = lines[at]!;
      const chain = line.slot < 0 ? undefined : this.#chains[line.slot];
      line.macEpoch = chain?.hasKey === true ? chain.epoch : 0;
      if (line.macEpoch > 0) this.#beginMac(line, line.slot);
    }
    const macs = this.#macsAtOnce.finish();
    let from = 0;
    for (let at = 0; at < count; at++) {
      if (lines[at]!.macEpoch === 0) continue;
      copyBytes(macs, from, lines[at]!.computedMac, 0, digestBytes);
      from += digestBytes;
    }
  }

  #beginMac({ bytes, headStart, headEnd }: HashedLine, slot: number): void {
    this.#macsAtOnce.add(this.#keys, slot * digestBytes, bytes, headStart, headEnd);
  }

  /** What the line's MAC is under the chain's key, which is known: 32 bytes. */
  macOf(chain: ChainState, line: HashedLine): Uint8Array {
    if (line.macEpoch !== chain.epoch) {
      this.#beginMac(line, chain.slot);
      copyBytes(this.#macsAtOnce.finish(), 0, line.computedMac, 0, digestBytes);
      line.macEpoch = chain.epoch;
    }
    return line.computedMac;
  }

  /** True where the line's MAC is that of its head, undefined where no key tells; opens nothing. */
  isGenuine(line: ScannedLine, epoch: number): boolean | undefined {
    const key = this.#keySource?.keyOf(line, epoch);
    if (key === undefined) return undefined;
    this.#mac.useKey(key);
    return holdsHexOf(
      line.bytes,
      line.macAt,
      this.#mac.of(line.bytes, line.headStart, line.headEnd),
    );
  }

  /** True where the line's predecessor is the chain's newest record, as it stands or as it should. */
  follows(chain: ChainState, line: ScannedLine): boolean {
    const { bytes, previousMacAt } = line;
    if (holdsHex(bytes, previousMacAt, this.#macs, chain.slot * digestBytes, digestBytes)) {
      return true;
    }
    return chain.computedTip !== undefined && holdsHex(bytes, previousMacAt, chain.computedTip);
  }

  /** True where the line would be its chain's next. */
  continues(line: ScannedLine): boolean {
    const chain = this.find(line);
    if (line.sequence !== (chain?.sequence ?? 0) + 1) return false;
    if (chain === undefined) {
      return holdsHex(line.bytes, line.previousMacAt, genesisMac(this.#digest, line));
    }
    const tipAt = chain.slot * digestBytes;
    return holdsHex(line.bytes, line.previousMacAt, this.#macs, tipAt, digestBytes);
  }

  advance(chain: ChainState, { sequence, macBytes }: HashedLine): void {
    chain.sequence = sequence;
    const tipAt = chain.slot * digestBytes;
    copyBytes(macBytes, 0, this.#macs, tipAt, digestBytes);
    chain.computedTip = undefined;
    if (chain.stale) return;
    chain.stale = true;
    this.#stale.push(chain);
  }

  /** Root of the tips of all chains as they are; undefined where a chain's key is not known. */
  tipsRoot(): string | undefined {
    if (this.#untagged > 0) return undefined;
    for (const chain of this.#stale) {
      const at = chain.slot * digestBytes;
      if (chain.leaf < 0) chain.leaf = this.#tips.leafOf(this.#tags.subarray(at, at + digestBytes));
      this.#tips.update(chain.leaf, chain.sequence, this.#macs, at);
      chain.stale = false;
    }
    this.#stale = [];
    return toHex(this.#tips.root());
  }
}
