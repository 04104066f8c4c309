/**
 * Every chain as far as it was read: where it stands, its keys, and its leaf in the tips tree. What
 * each has of 32 bytes is packed by slot: there may be a hundred thousand.
 */
import type { ChainName } from "../../audit/prepared-batch.ts";
import { holdsHex, readHex, toHex } from "../../bytes/hex.ts";
import { chainsMax } from "../../limits.ts";
import { genesisMac } from "../chain.ts";
import { ChainNames } from "../chain-names.ts";
import { digestBytes } from "../digest.ts";
import type { ScannedLine } from "../line.ts";
import { RecordMac } from "../record-mac.ts";
import { TipsTree } from "../tips-tree.ts";
import { roomFor } from "../room.ts";
import { tipTag } from "../tips.ts";
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
  readonly #otherMac = new RecordMac();
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
  open(line: ScannedLine, epoch: number): ChainState | undefined {
    let chain = this.find(line);
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
    this.#mac.forgetKey();
    chain.hasKey = key !== undefined;
    chain.epoch = epoch;
  }

  /** The MAC of the line's head by the chain's key, as latin1 text. The chain has a key. */
  macOf(chain: ChainState, line: ScannedLine): string {
    this.#mac.useKey(this.#keys, chain.slot * digestBytes);
    return this.#mac.of(line.bytes, line.headStart, line.headEnd);
  }

  /** True where the line's MAC is that of its head, undefined where no key tells; opens nothing. */
  isGenuine(line: ScannedLine, epoch: number): boolean | undefined {
    const key = this.#keySource?.keyOf(line, epoch);
    if (key === undefined) return undefined;
    this.#otherMac.useKey(key);
    const mac = Buffer.from(this.#otherMac.of(line.bytes, line.headStart, line.headEnd), "latin1");
    return holdsHex(line.bytes, line.macAt, mac);
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

  advance(chain: ChainState, line: ScannedLine): void {
    chain.sequence = line.sequence;
    readHex(line.bytes, line.macAt, this.#macs, chain.slot * digestBytes, digestBytes);
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
