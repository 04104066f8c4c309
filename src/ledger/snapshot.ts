/** What a start begins from: the local checkpoint and the newest state snapshot it covers. */
import { join } from "node:path";

import { sha256Hex } from "../bytes/sha256.ts";
import { isCode, reasonOf } from "../bytes/thrown.ts";
import { epochOf, keyName } from "./chain.ts";
import { Chains } from "./chains.ts";
import { parseCheckpoint, type Checkpoint } from "./checkpoint.ts";
import type { LocalCheckpoint, WindowBlock } from "./checkpointer.ts";
import { equalBytes } from "./digest.ts";
import { checkpointName, type LedgerIdentity } from "./directory.ts";
import { type Files } from "./files.ts";
import { checkpointVerifiers, type KeyRing } from "./keys.ts";
import type { LedgerBounds } from "./ledger-options.ts";
import { LedgerError } from "./ledger-error.ts";
import { newCounters, type LedgerMemory } from "./memory.ts";
import { verifyNote } from "./note.ts";
import { blockName, parseState, parseStateName, stateName } from "./state.ts";
import type { LedgerState, StateKeySource, StateReference } from "./state.ts";
import { TreeEdge } from "./tree.ts";
import { DedupeWindow, entryBytes } from "./window.ts";

export interface SnapshotSource {
  readonly directory: string;
  readonly files: Files;
  readonly identity: LedgerIdentity;
  readonly keys: KeyRing;
  readonly bounds: Pick<LedgerBounds, "dedupeWindowRecords">;
  randomBytes(count: number): Uint8Array;
}

/** The persisted checkpoint; undefined where none was made yet. @throws LedgerError `damaged`. */
export async function readLocalCheckpoint(
  source: SnapshotSource,
): Promise<LocalCheckpoint | undefined> {
  const path = join(source.directory, checkpointName);
  let note: Uint8Array;
  try {
    note = await source.files.read(path);
  } catch (error) {
    if (isCode(error, "ENOENT")) return undefined;
    throw error;
  }
  try {
    const { size, root } = verified(parseCheckpoint(note), source);
    return { size, root, note, sealIndex: size - 1 };
  } catch (cause) {
    throw new LedgerError(
      "damaged",
      `${path} is not a checkpoint of this log (${reasonOf(cause)})`,
      { remedy: "restore it from the bucket, or the log keys from their backup", cause },
    );
  }
}

function verified(checkpoint: Checkpoint, { identity, keys }: SnapshotSource): Checkpoint {
  if (checkpoint.origin !== identity.origin) throw new Error(`its origin is ${checkpoint.origin}`);
  const { good, bad } = verifyNote(checkpoint.note, checkpointVerifiers(identity.origin, keys));
  if (good.length === 0 || bad.length > 0)
    throw new Error("no log key of the key folder signed it");
  return checkpoint;
}

export interface Snapshot {
  readonly memory: LedgerMemory;
  /** What memory was loaded from; undefined where the whole log is to be replayed. */
  readonly state: LedgerState | undefined;
  readonly reference: StateReference | undefined;
  readonly blocks: readonly WindowBlock[];
  /** Largest size that a genuine snapshot tells of, also one that no checkpoint covers. */
  readonly sizeKnown: number;
}

/** Loads the newest whole snapshot at or below the checkpoint; older ones where it is damaged. */
export async function loadSnapshot(
  source: SnapshotSource,
  checkpoint: LocalCheckpoint | undefined,
): Promise<Snapshot> {
  const names = await source.files.list(join(source.directory, "state"));
  const sizes = names.map(parseStateName).filter((size) => size !== undefined);
  let sizeKnown = 0;
  for (const size of sizes.toSorted((left, right) => right - left)) {
    const found = await readSnapshotFile(source, stateName(size), { size });
    if (found === undefined) continue;
    sizeKnown = Math.max(sizeKnown, size);
    if (checkpoint === undefined || size > checkpoint.size) continue;
    if (size === checkpoint.size && !equalBytes(found.state.root, checkpoint.root)) {
      throw new LedgerError(
        "damaged",
        `state/${size} and the checkpoint of size ${size} have different roots`,
        { remedy: "restore the ledger from a backup" },
      );
    }
    const older = await readBlocks(source, found.state);
    if (older === undefined) continue;
    const memory = memoryFrom(source, found.state, older);
    const reference = { size, digest: found.digest };
    return {
      memory,
      state: found.state,
      reference,
      sizeKnown,
      blocks: older.map(blockOf),
    };
  }
  if (checkpoint === undefined && sizes.length > 1) {
    throw new LedgerError(
      "damaged",
      `${source.directory} has ${sizes.length} state snapshots but no ${checkpointName}`,
      { remedy: "restore it from the bucket" },
    );
  }
  const memory = emptyMemory(source);
  return { memory, state: undefined, reference: undefined, blocks: [], sizeKnown };
}

interface SnapshotFile {
  readonly state: LedgerState;
  readonly digest: string;
}

/** Undefined where the file is not there, not whole or not genuine. */
async function readSnapshotFile(
  source: SnapshotSource,
  name: string,
  wanted: { readonly size: number; readonly digest?: string },
): Promise<SnapshotFile | undefined> {
  try {
    const bytes = await source.files.read(join(source.directory, "state", name));
    const digest = sha256Hex(bytes);
    if (wanted.digest !== undefined && wanted.digest !== digest) return undefined;
    const state = parseState(bytes, keySource(source));
    return state.size === wanted.size ? { state, digest } : undefined;
  } catch (error) {
    if (isCode(error, "ENOENT")) return undefined;
    if (error instanceof LedgerError && error.code === "damaged") return undefined;
    throw error;
  }
}

function keySource({ keys, identity }: SnapshotSource): StateKeySource {
  return (name) => {
    const epoch = epochOf(name);
    const epochKey = keys.chainKey(epoch);
    if (epochKey === undefined || keyName(epoch, epochKey) !== name) return undefined;
    return { name, epochKey, descriptorDigest: identity.digest };
  };
}

/** The blocks before a snapshot, newest first, as far as the window reaches. */
async function readBlocks(
  source: SnapshotSource,
  state: LedgerState,
): Promise<SnapshotFile[] | undefined> {
  const blocks: SnapshotFile[] = [];
  let { block } = state;
  let count = state.windowEntries.length / entryBytes;
  while (block !== null && count < source.bounds.dedupeWindowRecords) {
    const found = await readSnapshotFile(source, blockName(block.size), block);
    if (found === undefined) return undefined;
    blocks.push(found);
    count += found.state.windowEntries.length / entryBytes;
    block = found.state.block;
  }
  return blocks;
}

function blockOf({ state, digest }: SnapshotFile): WindowBlock {
  return { size: state.size, digest, windowEnd: state.windowEnd };
}

function memoryFrom(
  source: SnapshotSource,
  state: LedgerState,
  blocks: readonly SnapshotFile[],
): LedgerMemory {
  const memory = emptyMemory(source);
  Object.assign(memory.counters, state.counters);
  memory.tree = TreeEdge.parse(state.size, state.edge);
  memory.chains.restore(state.chains);
  const parts = [state, ...blocks.map((block) => block.state)].toReversed();
  const count = parts.reduce((sum, part) => sum + part.windowEntries.length / entryBytes, 0);
  memory.window.clear(state.windowEnd - count);
  for (const part of parts) memory.window.restore(part.windowEntries);
  return memory;
}

function emptyMemory(source: SnapshotSource): LedgerMemory {
  const { identity, keys } = source;
  const secret = Buffer.from(source.randomBytes(4)).readUInt32LE();
  return {
    descriptor: identity.descriptor,
    descriptorDigest: identity.digest,
    writer: identity.instance,
    chains: new Chains(identity.digest),
    tree: new TreeEdge(),
    window: new DedupeWindow(source.bounds.dedupeWindowRecords, secret),
    counters: newCounters(keys.chainEpoch, identity.descriptor),
  };
}
