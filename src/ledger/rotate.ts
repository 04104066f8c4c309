/** What `key_rotated` says: both keys take part, the old one by the record's own MAC. */
import { fromHex, toHex } from "../bytes/hex.ts";
import { keyName } from "./chain.ts";
import type { ControlMembers } from "./control.ts";
import type { KeyRing } from "./keys.ts";
import { LedgerError } from "./ledger-error.ts";
import type { LedgerMemory } from "./memory.ts";
import { encodeVkey } from "./note.ts";
import { chainRotationProof, rotationMessage } from "./rotation.ts";

/** What a rotation wrote down: names of chain keys, or verifier keys. */
export interface Rotated {
  readonly index: number;
  readonly from: string;
  readonly to: string;
}

/** @throws LedgerError `missing_key` where `keys` has another chain key of the epoch, or none. */
export function requireKeyInUse(epoch: number, present: KeyRing, keys: KeyRing): void {
  const [own, other] = [present.chainKey(epoch)!, keys.chainKey(epoch)];
  if (other !== undefined && keyName(epoch, other) === keyName(epoch, own)) return;
  const message = `the key folder ${keys.directory} lacks the chain key in use`;
  throw new LedgerError("missing_key", message);
}

/** @throws LedgerError `missing_key` where `keys` has no newer chain key. */
export function chainRotation(memory: LedgerMemory, keys: KeyRing): ControlMembers["key_rotated"] {
  const { counters, descriptorDigest } = memory;
  const oldKey = keys.chainKey(counters.epoch);
  // One epoch at a time: each key is vouched for by the one before it.
  const newEpoch = counters.epoch + 1;
  const newKey = keys.chainKey(newEpoch);
  if (oldKey === undefined || newKey === undefined) throw noNewer("chain", keys);
  const from = keyName(counters.epoch, oldKey);
  const to = keyName(newEpoch, newKey);
  const proof = chainRotationProof(newKey, { descriptorDigest, from, to });
  return { from, to, proof, purpose: "chain" };
}

/** @throws LedgerError `missing_key` where `keys` has no newer log key than the one in force. */
export function logRotation(
  memory: LedgerMemory,
  origin: string,
  keys: KeyRing,
): ControlMembers["key_rotated"] {
  const { counters, descriptorDigest } = memory;
  const place = keys.logKeys.findIndex(({ publicKey }) => toHex(publicKey) === counters.logKey);
  // One key at a time here too: a checkpoint is signed by the key in force and the one before it.
  const newKey = place < 0 ? undefined : keys.logKeys[place + 1];
  if (newKey === undefined) throw noNewer("log", keys);
  const from = encodeVkey(origin, fromHex(counters.logKey));
  const to = encodeVkey(origin, newKey.publicKey);
  const proof = toHex(newKey.sign(rotationMessage({ descriptorDigest, from, to })));
  return { from, to, proof, purpose: "log" };
}

function noNewer(kind: string, keys: KeyRing): LedgerError {
  return new LedgerError(
    "missing_key",
    `${keys.directory} has no newer ${kind} key than the one in use`,
    { remedy: "add one first" },
  );
}
