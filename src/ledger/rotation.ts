/** What the new key says in a `key_rotated` record: that its holder took part in the change. */
import { toHex } from "../bytes/hex.ts";
import { deriveChainKey, systemChain } from "./chain.ts";
import { hmacSha256, lengthPrefixed, PREFIX } from "./digest.ts";

export interface RotationClaim {
  readonly descriptorDigest: Uint8Array;
  /** Key names for a chain key, verifier keys for a log key. */
  readonly from: string;
  readonly to: string;
}

/** What is authenticated by the new key, HMAC or signature alike. */
export function rotationMessage(claim: RotationClaim): Uint8Array {
  const parts = lengthPrefixed(claim.descriptorDigest, claim.from, claim.to);
  return Buffer.concat([Buffer.from(PREFIX.rotate, "latin1"), parts]);
}

/** The `proof` of a chain key's rotation: by the system chain's key of the new epoch. */
export function chainRotationProof(newEpochKey: Uint8Array, claim: RotationClaim): string {
  return rotationMac(deriveChainKey(newEpochKey, claim.descriptorDigest, systemChain), claim);
}

/** The same from the system chain's own key of the new epoch. */
export function rotationMac(newSystemKey: Uint8Array, claim: RotationClaim): string {
  return toHex(hmacSha256(newSystemKey, rotationMessage(claim)));
}
