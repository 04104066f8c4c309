/**
 * The chains of a ledger: their tips, and what is needed to write their next record. A group that is
 * being committed works on drafts; only a durable group moves the tips. What every chain has is
 * packed by slot, so that a hundred thousand of them are a few arrays, and a snapshot of all is a copy.
 */
import type { ChainName } from "../audit/prepared-batch.ts";
import { chainPensMax } from "../limits.ts";
import { deriveChainKey, genesisMac } from "./chain.ts";
import { digestBytes } from "./digest.ts";
import { HeadPen } from "./head-pen.ts";
import { TipsTree } from "./tips-tree.ts";
import { tipTag, type Tip } from "./tips.ts";

export interface Chain extends ChainName {
  readonly slot: number;
  /** Of the newest durable record; 0 for a chain without one. */
  sequence: number;
  /** Of the newest record of the group that is being written. */
  draftSequence: number;
  /** Its place among the MACs of that group; -1 where it has none of the chain. */
  draftAt: number;
  /** True where the tips tree does not have the tip yet. */
  moved: boolean;
  pen: HeadPen | undefined;
  penEpoch: number;
}

/** All chains of a ledger, by slot: how a state snapshot holds them. */
export interface PackedChains {
  /** Namespace and tenant of each, each with a line feed behind it: names have none. */
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
  readonly #chains = new Map<string, Chain>();
  /** By slot: the MAC of the newest durable record, the genesis value before the first. */
  macs: Buffer = Buffer.alloc(slotsAtFirst * digestBytes);
  /** By slot: the place in the tips tree, by the chain's key in the epoch of its first record. */
  #tags: Buffer = Buffer.alloc(slotsAtFirst * digestBytes);
  /** By slot: the derived key, of which epoch, and whether the tag is known. */
  keys: Buffer = Buffer.alloc(slotsAtFirst * digestBytes);
  #keyEpochs: Float64Array = new Float64Array(slotsAtFirst);
  #isTagged: Uint8Array = new Uint8Array(slotsAtFirst);
  /** As in `PackedChains`: the first `#namesEnd` bytes. */
  #names: Buffer = Buffer.alloc(slotsAtFirst * digestBytes);
  #namesEnd = 0;
  /** Chains that have a pen, in the order in which they lose it to others. */
  #withPen: Chain[] = [];
  #nextPen = 0;
  #drafts: Chain[] = [];
  #moved: Chain[] = [];
  #durableCount = 0;
  readonly #tips = new TipsTree();

  constructor(descriptorDigest: Uint8Array) {
    this.#descriptorDigest = descriptorDigest;
  }

  get count(): number {
    return this.#chains.size;
  }

  /** Chains with a durable record. */
  get durableCount(): number {
    return this.#durableCount;
  }

  find(name: ChainName): Chain | undefined {
    return this.#chains.get(keyOf(name));
  }

  /** The chain of that name, begun where it is new. */
  open(name: ChainName): Chain {
    const key = keyOf(name);
    const known = this.#chains.get(key);
    if (known !== undefined) return known;
    const begun = this.#begin(name);
    this.#chains.set(key, begun);
    this.macs.set(genesisMac(this.#descriptorDigest, name), begun.slot * digestBytes);
    this.#appendName(key);
    return begun;
  }

  #appendName(key: string): void {
    const end = this.#namesEnd + key.length + 1;
    if (end > this.#names.length) this.#names = doubled(this.#names);
    this.#names.write(`${key}\n`, this.#namesEnd, "latin1");
    this.#namesEnd = end;
  }

  #begin(name: ChainName): Chain {
    const slot = this.#chains.size;
    if ((slot + 1) * digestBytes > this.macs.length) this.#grow();
    this.#keyEpochs[slot] = 0;
    this.#isTagged[slot] = 0;
    const { namespace, tenant } = name;
    return {
      namespace,
      tenant,
      slot,
      sequence: 0,
      draftSequence: 0,
      draftAt: -1,
      moved: false,
      pen: undefined,
      penEpoch: 0,
    };
  }

  #grow(): void {
    this.macs = doubled(this.macs);
    this.#tags = doubled(this.#tags);
    this.keys = doubled(this.keys);
    const epochs = this.#keyEpochs;
    this.#keyEpochs = new Float64Array(2 * epochs.length);
    this.#keyEpochs.set(epochs);
    const tagged = this.#isTagged;
    this.#isTagged = new Uint8Array(2 * tagged.length);
    this.#isTagged.set(tagged);
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
      this.#tags.set(tipTag(key, this.#descriptorDigest, chain), at);
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
      const from = chain.draftAt * digestBytes;
      macs.copy(this.macs, chain.slot * digestBytes, from, from + digestBytes);
      chain.draftAt = -1;
      this.#move(chain);
    }
    this.#drafts = [];
  }

  #move(chain: Chain): void {
    if (chain.moved) return;
    chain.moved = true;
    this.#moved.push(chain);
  }

  /** Root of the tips tree over the durable tips. */
  tipsRoot(): Uint8Array {
    this.#settle(this.#moved);
    this.#moved = [];
    return this.#tips.root();
  }

  #settle(moved: readonly Chain[]): void {
    for (const chain of moved) {
      this.#tips.set(this.#tipOf(chain));
      chain.moved = false;
    }
  }

  /**
   * Does most of the work of `tipsRoot` in parts, for who can let others go on in between. Chains of
   * one part have tags that begin alike, so that parts have next to no branch in common.
   */
  *settleTips(): Generator<void> {
    if (this.#moved.length <= tipsAtOnce) return;
    const parts: Chain[][] = Array.from({ length: 256 }, () => []);
    for (const chain of this.#moved) parts[this.#tags[chain.slot * digestBytes]!]!.push(chain);
    this.#moved = [];
    let part: Chain[] = [];
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

  #tipOf({ slot, sequence }: Chain): Tip {
    const [start, end] = [slot * digestBytes, (slot + 1) * digestBytes];
    return { tag: this.#tags.subarray(start, end), sequence, mac: this.macs.subarray(start, end) };
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
    const key = keyOf(chain);
    this.#chains.delete(key);
    this.#namesEnd -= key.length + 1;
    const place = this.#withPen.indexOf(chain);
    if (place >= 0) this.#withPen[place]!.pen = undefined;
    if (place >= 0) this.#withPen.splice(place, 1);
  }

  /** All chains as a state snapshot has them; each has a durable record then. */
  pack(): PackedChains {
    const used = this.#chains.size * digestBytes;
    return {
      names: Buffer.from(this.#names.subarray(0, this.#namesEnd)),
      sequences: Float64Array.from(this.#chains.values(), ({ sequence }) => sequence),
      macs: Buffer.from(this.macs.subarray(0, used)),
      tags: Buffer.from(this.#tags.subarray(0, used)),
    };
  }

  /** Chains as `pack` gave them, into none. */
  restore({ names, sequences, macs, tags }: PackedChains): void {
    const parts = names.toString("latin1").split("\n");
    for (const [slot, sequence] of sequences.entries()) {
      const name = { namespace: parts[2 * slot]!, tenant: parts[2 * slot + 1]! };
      const chain = this.#begin(name);
      const key = keyOf(name);
      this.#chains.set(key, chain);
      this.#appendName(key);
      chain.sequence = sequence;
      chain.draftSequence = sequence;
      this.#isTagged[slot] = 1;
      this.#move(chain);
    }
    this.macs.set(macs);
    this.#tags.set(tags);
    this.#durableCount = sequences.length;
  }
}

function doubled(bytes: Buffer): Buffer {
  const longer = Buffer.alloc(2 * bytes.length);
  longer.set(bytes);
  return longer;
}

/** Names hold neither spaces nor control characters. */
export function keyOf(name: ChainName): string {
  return `${name.namespace}\n${name.tenant}`;
}
