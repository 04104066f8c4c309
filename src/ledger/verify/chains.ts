/** Every chain as far as it was read: where it stands, its keys, and its leaf in the tips tree. */
import type { ChainName } from "../../audit/prepared-batch.ts";
import { fromHex, toHex } from "../../bytes/hex.ts";
import { chainsMax } from "../../limits.ts";
import { createRecordMac, genesisMac } from "../chain.ts";
import type { ScannedLine } from "../line.ts";
import { TipsTree, tipTag } from "../tips.ts";
import type { ChainKeySource } from "./keys.ts";

export interface ChainState extends ChainName {
  /** Of the newest record that was read; 0 before the first. */
  sequence: number;
  /** Its MAC as hexadecimal; the genesis value before the first. */
  tip: string;
  /** What the MAC would be by its key, where that is not what the line says. */
  computedTip: string | undefined;
  epoch: number;
  mac: ((head: Uint8Array) => string) | undefined;
  tag: Uint8Array | undefined;
  /** True where the tips tree does not hold the present tip. */
  stale: boolean;
}

export class VerifiedChains {
  readonly #digest: Uint8Array;
  readonly #keys: ChainKeySource | undefined;
  readonly #chains = new Map<string, ChainState>();
  #stale: ChainState[] = [];
  readonly #tips = new TipsTree();
  /** Chains without a known tag: the tips tree cannot be rebuilt. */
  #untagged = 0;

  constructor(descriptorDigest: Uint8Array, keys: ChainKeySource | undefined) {
    this.#digest = descriptorDigest;
    this.#keys = keys;
  }

  get count(): number {
    return this.#chains.size;
  }

  find(line: ScannedLine): ChainState | undefined {
    return this.#chains.get(`${line.namespace}\n${line.tenant}`);
  }

  /** Undefined for one more than a ledger can have. */
  open(line: ScannedLine, epoch: number): ChainState | undefined {
    const key = `${line.namespace}\n${line.tenant}`;
    let chain = this.#chains.get(key);
    if (chain === undefined) {
      if (this.#chains.size >= chainsMax) return undefined;
      chain = this.#begin(line);
      this.#chains.set(key, chain);
    }
    if (chain.epoch !== epoch) this.#enterEpoch(chain, epoch);
    return chain;
  }

  #begin(name: ChainName): ChainState {
    const { namespace, tenant } = name;
    return {
      namespace,
      tenant,
      sequence: 0,
      tip: this.genesis(name),
      computedTip: undefined,
      epoch: 0,
      mac: undefined,
      tag: undefined,
      stale: false,
    };
  }

  #enterEpoch(chain: ChainState, epoch: number): void {
    const key = this.#keys?.keyOf(chain, epoch);
    if (chain.epoch === 0) {
      // The tag is by the key of the epoch in which the chain began.
      if (key === undefined) this.#untagged++;
      else chain.tag = tipTag(key, this.#digest, chain);
    }
    chain.mac = key === undefined ? undefined : createRecordMac(key);
    chain.epoch = epoch;
  }

  genesis(name: ChainName): string {
    return toHex(genesisMac(this.#digest, name));
  }

  /** The MAC function of a chain without opening it. */
  macOf(line: ScannedLine, epoch: number): ((head: Uint8Array) => string) | undefined {
    const known = this.find(line);
    if (known?.epoch === epoch) return known.mac;
    const key = this.#keys?.keyOf(line, epoch);
    return key === undefined ? undefined : createRecordMac(key);
  }

  advance(chain: ChainState, line: ScannedLine): void {
    chain.sequence = line.sequence;
    chain.tip = line.mac;
    chain.computedTip = undefined;
    if (chain.stale) return;
    chain.stale = true;
    this.#stale.push(chain);
  }

  /** Root of the tips of all chains as they are; undefined where a chain's key is not known. */
  tipsRoot(): string | undefined {
    if (this.#untagged > 0) return undefined;
    for (const chain of this.#stale) {
      chain.stale = false;
      const { tag, sequence } = chain;
      if (tag !== undefined) this.#tips.set({ tag, sequence, mac: fromHex(chain.tip) });
    }
    this.#stale = [];
    return toHex(this.#tips.root());
  }
}
