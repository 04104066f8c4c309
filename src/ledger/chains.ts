/**
 * The chains of a ledger: their tips, and what is needed to write their next record. A group that is
 * being committed works on drafts; only a durable group moves the tips. What every chain has is
 * packed by slot, so that a hundred thousand of them are a few arrays, and a snapshot of all is a copy.
 */
import type { ChainName } from "../audit/prepared-batch.ts";
import { chainPensMax } from "../limits.ts";
import { deriveChainKey, genesisMac } from "./chain.ts";
import { ChainNames } from "./chain-names.ts";
import { digestBytes } from "./digest.ts";
import { HeadPen } from "./head-pen.ts";
import type { ScannedLine } from "./line.ts";
import { TipsTree } from "./tips-tree.ts";
import { roomFor } from "./room.ts";
import { tipTag } from "./tips.ts";

export interface Chain extends ChainName {
  readonly slot: number;
  /** Of the newest durable record; 0 for a chain without one. */
  sequence: number;
  /** Of the newest record of the group that is being written. */
  draftSequence: number;
  /** Its place among the MACs of that group; -1 where it has none of the chain. */
  draftAt: number;
  pen: HeadPen | undefined;
  penEpoch: number;
}

/** All chains of a ledger, by slot: how a state snapshot holds them. */
export interface PackedChains {
  /** See `ChainNames`. */
  readonly names: Buffer;
  readonly sequences: Float64Array;
  /** 32 bytes each. */
  readonly macs: Buffer;
  readonly tags: Buffer;
}

const slotsAtFirst = 64;
/** Tips that are settled in one turn: some milliseconds of work. */
const tipsAtOnce = 4096;

export class Chains {
  readonly #descriptorDigest: Uint8Array;
  readonly #names = new ChainNames();
  /** By slot, those that were asked for. */
  readonly #chains: (Chain | undefined)[] = Array.from({ length: slotsAtFirst });
  /** By slot: that of the newest durable record. */
  #sequences: Float64Array = new Float64Array(slotsAtFirst);
  /** By slot: the MAC of the newest durable record, the genesis value before the first. */
  macs: Buffer = Buffer.alloc(slotsAtFirst * digestBytes);
  /** By slot: the place in the tips tree, by the chain's key in the epoch of its first record. */
  #tags: Buffer = Buffer.alloc(slotsAtFirst * digestBytes);
  /** By slot: the derived key, of which epoch, and whether the tag is known. */
  keys: Buffer = Buffer.alloc(slotsAtFirst * digestBytes);
  #keyEpochs: Float64Array = new Float64Array(slotsAtFirst);
  #isTagged: Uint8Array = new Uint8Array(slotsAtFirst);
  /** By slot: its leaf in the tips tree plus one, or 0, and whether the leaf has an older tip. */
  #leaves: Int32Array = new Int32Array(slotsAtFirst);
  #isMoved: Uint8Array = new Uint8Array(slotsAtFirst);
  /** Chains that have a pen, in the order in which they lose it to others. */
  #withPen: Chain[] = [];
  #nextPen = 0;
  #drafts: Chain[] = [];
  #moved: number[] = [];
  #durableCount = 0;
  readonly #tips = new TipsTree();

  constructor(descriptorDigest: Uint8Array) {
    this.#descriptorDigest = descriptorDigest;
  }

  get count(): number {
    return this.#names.count;
  }

  /** Chains with a durable record. */
  get durableCount(): number {
    return this.#durableCount;
  }

  find(name: ChainName): Chain | undefined {
    return this.#at(this.#names.find(name));
  }

  /** The chain of the line. */
  findOf(line: ScannedLine): Chain | undefined {
    return this.#at(this.#names.findOf(line));
  }

  #at(slot: number): Chain | undefined {
    if (slot < 0) return undefined;
    return (this.#chains[slot] ??= this.#chainAt(slot, this.#names.nameOf(slot)));
  }

  #chainAt(slot: number, { namespace, tenant }: ChainName): Chain {
    const sequence = this.#sequences[slot]!;
    return {
      namespace,
      tenant,
      slot,
      sequence,
      draftSequence: sequence,
      draftAt: -1,
      pen: undefined,
      penEpoch: 0,
    };
  }

  /** The chain of that name, begun where it is new. */
  open(name: ChainName): Chain {
    const known = this.find(name);
    if (known !== undefined) return known;
    const slot = this.#names.add(name);
    this.#reserve(slot + 1);
    this.#sequences[slot] = 0;
    this.#keyEpochs[slot] = 0;
    this.#isTagged[slot] = 0;
    this.macs.set(genesisMac(this.#descriptorDigest, name), slot * digestBytes);
    return (this.#chains[slot] = this.#chainAt(slot, name));
  }

  #reserve(count: number): void {
    if (count <= this.#chains.length) return;
    this.#sequences = roomFor(this.#sequences, count);
    this.#keyEpochs = roomFor(this.#keyEpochs, count);
    this.#isTagged = roomFor(this.#isTagged, count);
    this.#leaves = roomFor(this.#leaves, count);
    this.#isMoved = roomFor(this.#isMoved, count);
    const slots = this.#sequences.length;
    while (this.#chains.length < slots) this.#chains.push(undefined);
    this.macs = Buffer.concat([this.macs], slots * digestBytes);
    this.#tags = Buffer.concat([this.#tags], slots * digestBytes);
    this.keys = Buffer.concat([this.keys], slots * digestBytes);
  }

  /** Place in `keys` of the chain's key in that epoch. */
  keyAt(chain: Chain, epoch: number, epochKey: Uint8Array): number {
    const { slot } = chain;
    const at = slot * digestBytes;
    if (this.#keyEpochs[slot] === epoch) return at;
    const key = deriveChainKey(epochKey, this.#descriptorDigest, chain);
    this.keys.set(key, at);
    this.#keyEpochs[slot] = epoch;
    if (this.#isTagged[slot] === 0) {
      // It has no record yet: what stands for its newest MAC is its genesis value.
      this.#tags.set(tipTag(key, this.macs.subarray(at, at + digestBytes)), at);
      this.#isTagged[slot] = 1;
    }
    return at;
  }

  penOf(chain: Chain, epoch: number, epochKey: Uint8Array): HeadPen {
    if (chain.pen !== undefined && chain.penEpoch === epoch) return chain.pen;
    const keyAt = this.keyAt(chain, epoch, epochKey);
    chain.pen ??= this.#takePen(chain);
    chain.pen.use(chain, this.keys, keyAt);
    chain.penEpoch = epoch;
    return chain.pen;
  }

  /** A new pen, or that of the chain which got its own first. */
  #takePen(chain: Chain): HeadPen {
    if (this.#withPen.length < chainPensMax) {
      this.#withPen.push(chain);
      return new HeadPen();
    }
    const place = this.#nextPen++ % chainPensMax;
    const last = this.#withPen[place]!;
    this.#withPen[place] = chain;
    const pen = last.pen!;
    last.pen = undefined;
    return pen;
  }

  /** Derived keys are of other epoch keys from here on. */
  dropKeys(): void {
    for (const chain of this.#withPen) chain.pen = undefined;
    this.#withPen = [];
    this.#nextPen = 0;
    this.#keyEpochs.fill(0);
  }

  /** To be called before a chain's draft is changed for the first time in a group. */
  draft(chain: Chain): void {
    if (chain.draftAt < 0) this.#drafts.push(chain);
  }

  /** The group is durable: drafts become tips. `macs`: of the group's records. */
  apply(macs: Buffer): void {
    for (const chain of this.#drafts) {
      if (chain.sequence === 0) this.#durableCount++;
      chain.sequence = chain.draftSequence;
      this.#sequences[chain.slot] = chain.sequence;
      const from = chain.draftAt * digestBytes;
      macs.copy(this.macs, chain.slot * digestBytes, from, from + digestBytes);
      chain.draftAt = -1;
      this.#move(chain.slot);
    }
    this.#drafts = [];
  }

  #move(slot: number): void {
    if (this.#isMoved[slot] === 1) return;
    this.#isMoved[slot] = 1;
    this.#moved.push(slot);
  }

  /** Root of the tips tree over the durable tips. */
  tipsRoot(): Uint8Array {
    this.#settle(this.#moved);
    this.#moved = [];
    return this.#tips.root();
  }

  #settle(moved: readonly number[]): void {
    for (const slot of moved) {
      const at = slot * digestBytes;
      this.#leaves[slot] ||= this.#tips.leafOf(this.#tags.subarray(at, at + digestBytes)) + 1;
      this.#tips.update(this.#leaves[slot] - 1, this.#sequences[slot]!, this.macs, at);
      this.#isMoved[slot] = 0;
    }
  }

  /**
   * Does most of the work of `tipsRoot` in parts, for who can let others go on in between. Chains of
   * one part have tags that begin alike, so that parts have next to no branch in common.
   */
  *settleTips(): Generator<void> {
    if (this.#moved.length <= tipsAtOnce) return;
    const parts: number[][] = Array.from({ length: 256 }, () => []);
    for (const slot of this.#moved) parts[this.#tags[slot * digestBytes]!]!.push(slot);
    this.#moved = [];
    let part: number[] = [];
    for (const next of parts) {
      part.push(...next);
      if (part.length < tipsAtOnce) continue;
      this.#settle(part);
      this.#tips.root();
      part = [];
      yield;
    }
    this.#settle(part);
  }

  /** The group failed: as if it had never been. */
  abandon(): void {
    // Those that are new came last, in this order.
    for (const chain of this.#drafts.toReversed()) {
      chain.draftSequence = chain.sequence;
      chain.draftAt = -1;
      if (chain.sequence === 0) this.#remove(chain);
    }
    this.#drafts = [];
  }

  /** Takes back an `open` that led to no record: the newest of all chains. */
  forget(chain: Chain): void {
    if (chain.sequence === 0 && chain.draftAt < 0) this.#remove(chain);
  }

  #remove(chain: Chain): void {
    this.#names.removeLast();
    this.#chains[chain.slot] = undefined;
    const place = this.#withPen.indexOf(chain);
    if (place >= 0) this.#withPen[place]!.pen = undefined;
    if (place >= 0) this.#withPen.splice(place, 1);
  }

  /** All chains as a state snapshot has them; each has a durable record then. */
  pack(): PackedChains {
    const used = this.count * digestBytes;
    return {
      names: this.#names.pack(),
      sequences: this.#sequences.slice(0, this.count),
      macs: Buffer.from(this.macs.subarray(0, used)),
      tags: Buffer.from(this.#tags.subarray(0, used)),
    };
  }

  /** Chains as `pack` gave them, into none. */
  restore({ names, sequences, macs, tags }: PackedChains): void {
    const count = sequences.length;
    this.#names.restore(names, count);
    this.#reserve(count);
    this.#sequences.set(sequences);
    this.macs.set(macs);
    this.#tags.set(tags);
    this.#isTagged.fill(1, 0, count);
    for (let slot = 0; slot < count; slot++) this.#move(slot);
    this.#durableCount = count;
  }
}

/** Names hold no line feed. */
export function keyOf(name: ChainName): string {
  return `${name.namespace}\n${name.tenant}`;
}
