/**
 * The chains of a ledger: their tips, and what is needed to write their next record. A group that is
 * being committed works on drafts; only a durable group moves the tips.
 */
import type { ChainName } from "../audit/prepared-batch.ts";
import { fromHex, toHex } from "../bytes/hex.ts";
import { chainPensMax } from "../limits.ts";
import { createRecordMac, deriveChainKey, genesisMac } from "./chain.ts";
import { TipsTree, tipTag, type Tip } from "./tips.ts";

export interface Chain extends ChainName {
  /** Of the newest durable record; 0 for a chain without one. */
  sequence: number;
  /** Its MAC as hexadecimal; the genesis value for a chain without a record. */
  mac: string;
  draftSequence: number;
  draftMac: string;
  /** Place in the tips tree, by the chain's key in the epoch of its first record. */
  tag: Uint8Array | undefined;
  /** True where the tips tree does not have the tip yet. */
  moved: boolean;
  pen: ChainPen | undefined;
}

/** What writing into one chain needs, kept for the chains in use. */
export interface ChainPen {
  readonly epoch: number;
  /** HMAC of a head, as latin1 text. */
  readonly mac: (head: Uint8Array) => string;
  /** Between kind and previous MAC, and between sequence and time. */
  readonly namespaceText: string;
  readonly tenantText: string;
}

export class Chains {
  readonly #descriptorDigest: Uint8Array;
  readonly #chains = new Map<string, Chain>();
  #withPen: Chain[] = [];
  #drafts: Chain[] = [];
  #moved: Chain[] = [];
  readonly #tips = new TipsTree();

  constructor(descriptorDigest: Uint8Array) {
    this.#descriptorDigest = descriptorDigest;
  }

  get count(): number {
    return this.#chains.size;
  }

  find(name: ChainName): Chain | undefined {
    return this.#chains.get(keyOf(name));
  }

  /** The chain of that name, begun where it is new. */
  open(name: ChainName): Chain {
    const key = keyOf(name);
    const known = this.#chains.get(key);
    if (known !== undefined) return known;
    const mac = toHex(genesisMac(this.#descriptorDigest, name));
    const { namespace, tenant } = name;
    const begun: Chain = {
      namespace,
      tenant,
      sequence: 0,
      mac,
      draftSequence: 0,
      draftMac: mac,
      tag: undefined,
      moved: false,
      pen: undefined,
    };
    this.#chains.set(key, begun);
    return begun;
  }

  /** A chain as a state snapshot has it. */
  restore(name: ChainName, tip: Tip): void {
    const chain = this.open(name);
    chain.tag = tip.tag;
    chain.draftSequence = tip.sequence;
    chain.draftMac = toHex(tip.mac);
    this.#drafts.push(chain);
    this.apply();
  }

  penOf(chain: Chain, epoch: number, epochKey: Uint8Array): ChainPen {
    if (chain.pen?.epoch === epoch) return chain.pen;
    if (chain.pen === undefined) {
      if (this.#withPen.length >= chainPensMax) this.dropPens();
      this.#withPen.push(chain);
    }
    const chainKey = deriveChainKey(epochKey, this.#descriptorDigest, chain);
    chain.tag ??= tipTag(chainKey, this.#descriptorDigest, chain);
    chain.pen = {
      epoch,
      mac: createRecordMac(chainKey),
      namespaceText: `","namespace":"${chain.namespace}","previous_mac":"`,
      tenantText: `,"tenant":"${chain.tenant}","time":"`,
    };
    return chain.pen;
  }

  dropPens(): void {
    for (const chain of this.#withPen) chain.pen = undefined;
    this.#withPen = [];
  }

  /** To be called before a chain's draft is changed for the first time in a group. */
  draft(chain: Chain): void {
    if (chain.draftSequence === chain.sequence) this.#drafts.push(chain);
  }

  /** The group is durable: drafts become tips. */
  apply(): void {
    for (const chain of this.#drafts) {
      chain.sequence = chain.draftSequence;
      chain.mac = chain.draftMac;
      if (chain.moved) continue;
      chain.moved = true;
      this.#moved.push(chain);
    }
    this.#drafts = [];
  }

  /** Root of the tips tree over the durable tips. */
  tipsRoot(): Uint8Array {
    for (const chain of this.#moved) {
      this.#tips.set(tipOf(chain));
      chain.moved = false;
    }
    this.#moved = [];
    return this.#tips.root();
  }

  /** The group failed: as if it had never been. */
  abandon(): void {
    for (const chain of this.#drafts) {
      chain.draftSequence = chain.sequence;
      chain.draftMac = chain.mac;
      if (chain.sequence > 0) continue;
      this.#chains.delete(keyOf(chain));
      this.dropPens();
    }
    this.#drafts = [];
  }

  /** Takes back an `open` that led to no record. */
  forget(chain: Chain): void {
    if (chain.sequence > 0 || chain.draftSequence > 0) return;
    this.#chains.delete(keyOf(chain));
    this.dropPens();
  }

  /** Every chain with a durable record. */
  *tips(): Generator<Chain> {
    for (const chain of this.#chains.values()) if (chain.sequence > 0) yield chain;
  }
}

/** A chain's newest durable record. The chain has one. */
export function tipOf(chain: Chain): Tip {
  return { tag: chain.tag!, sequence: chain.sequence, mac: fromHex(chain.mac) };
}

/** Names hold neither spaces nor control characters. */
function keyOf(name: ChainName): string {
  return `${name.namespace}\n${name.tenant}`;
}
