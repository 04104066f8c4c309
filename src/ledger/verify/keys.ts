/** The chain keys that a verifier was given: all of them, some epochs, or those of one chain. */
import type { ChainName } from "../../audit/prepared-batch.ts";
import { deriveChainKey, keyName } from "../chain.ts";

export interface ChainKeySource {
  /** The name that records of this epoch must carry; undefined where the epoch key is not known. */
  nameOf(epoch: number): string | undefined;
  /** The derived key of one chain; undefined where it is not known. */
  keyOf(chain: ChainName, epoch: number): Uint8Array | undefined;
}

/** All chains of the epochs that `epochKey` knows. */
export function chainKeySource(
  epochKey: (epoch: number) => Uint8Array | undefined,
  descriptorDigest: Uint8Array,
): ChainKeySource {
  return {
    nameOf(epoch) {
      const key = epochKey(epoch);
      return key === undefined ? undefined : keyName(epoch, key);
    },
    keyOf(chain, epoch) {
      const key = epochKey(epoch);
      return key === undefined ? undefined : deriveChainKey(key, descriptorDigest, chain);
    },
  };
}
