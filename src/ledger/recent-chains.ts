/** Finds the chains of lines by the bytes of their names, without making texts of them. */
import type { ChainName } from "../audit/prepared-batch.ts";
import type { ScannedLine } from "./line.ts";

/** Powers of two; the larger is above the number of chains that a ledger can have. */
const placesAtFirst = 128;
const placesMax = 131_072;

/** Chains that were seen lately, one for each place that their names may have. */
export class RecentChains<Chain extends ChainName> {
  #chains: (Chain | undefined)[] = emptyPlaces(placesAtFirst);
  #notedCount = 0;

  /** The chain of the line, where it was noted and no other took its place. */
  find(line: ScannedLine): Chain | undefined {
    const chain = this.#chains[hashOf(line) & (this.#chains.length - 1)];
    return chain !== undefined && isNamed(chain, line) ? chain : undefined;
  }

  note(line: ScannedLine, chain: Chain): void {
    const { length } = this.#chains;
    if (this.#notedCount++ > length && length < placesMax) {
      this.#chains = emptyPlaces(4 * length);
      this.#notedCount = 0;
    }
    this.#chains[hashOf(line) & (this.#chains.length - 1)] = chain;
  }
}

function emptyPlaces(count: number): undefined[] {
  return Array.from({ length: count });
}

function hashOf({ bytes, namespaceAt, namespaceEnd, tenantAt, tenantEnd }: ScannedLine): number {
  let hash = 0;
  for (let at = namespaceAt; at < namespaceEnd; at++) hash = Math.imul(hash, 31) + bytes[at]!;
  for (let at = tenantAt; at < tenantEnd; at++) hash = Math.imul(hash, 31) + bytes[at]!;
  return hash ^ (hash >>> 15);
}

function isNamed({ namespace, tenant }: ChainName, line: ScannedLine): boolean {
  return (
    isText(namespace, line.bytes, line.namespaceAt, line.namespaceEnd) &&
    isText(tenant, line.bytes, line.tenantAt, line.tenantEnd)
  );
}

function isText(text: string, bytes: Uint8Array, start: number, end: number): boolean {
  if (text.length !== end - start) return false;
  for (let at = 0; at < text.length; at++) {
    if (text.charCodeAt(at) !== bytes[start + at]) return false;
  }
  return true;
}
