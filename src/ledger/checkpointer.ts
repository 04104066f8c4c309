/**
 * Local checkpoints. The order is the safety argument: the seal is durable before its tiles, they
 * are before the state snapshot, and all of it is before the checkpoint that speaks for it. What is
 * persisted as `checkpoint` is what is published, byte for byte: a size is signed once.
 */
import { join } from "node:path";
import { setImmediate as nextTurn } from "node:timers/promises";

import { sha256Hex } from "../bytes/sha256.ts";
import { reasonOf } from "../bytes/thrown.ts";
import { keyName } from "./chain.ts";
import { signCheckpoint } from "./checkpoint.ts";
import { segmentsDigest } from "./closed-segments.ts";
import { equalBytes } from "./digest.ts";
import type { Files } from "./files.ts";
import { checkpointSigner, checkpointVerifiers, type KeyRing, type LogKey } from "./keys.ts";
import { toHex } from "../bytes/hex.ts";
import { LedgerError } from "./ledger-error.ts";
import type { LedgerMemory } from "./memory.ts";
import { parseNote, verifyNote } from "./note.ts";
import type { SegmentPlace } from "./segment.ts";
import { blockName, encodeState, noChains, parseBlockName } from "./state.ts";
import { parseStateName, stateName } from "./state.ts";
import type { LedgerState, StateReference } from "./state.ts";
import { TileFiles } from "./tile-files.ts";
import type { TileFile } from "./tile.ts";

export interface LocalCheckpoint {
  readonly size: number;
  readonly root: Uint8Array;
  /** The signed note as it stands in the file `checkpoint`. */
  readonly note: Uint8Array;
  readonly sealIndex: number;
}

const nothing = new Uint8Array();

/** What a snapshot of the ledger's memory, taken right after the seal, makes of a checkpoint. */
interface Capture {
  readonly size: number;
  readonly segment: LedgerState["segment"];
  readonly root: Uint8Array;
  readonly partialTiles: readonly TileFile[];
  readonly windowEnd: number;
  readonly windowStart: number;
  /** `own`: the block that holds the window entries since the last one, where it was made. */
  encodeState(segments: LedgerState["segments"], own: StateReference | undefined): Uint8Array;
  /** A snapshot of those entries alone. */
  encodeBlock(segments: LedgerState["segments"]): Uint8Array;
}

export interface CheckpointerParts {
  readonly directory: string;
  readonly origin: string;
  readonly files: Files;
  readonly memory: LedgerMemory;
  keys(): KeyRing;
  segmentPlace(): SegmentPlace;
  /** Appends a seal, alone; calls `onDurable` before anything else is appended. */
  seal(state: StateReference | undefined, onDurable: () => void): Promise<{ index: number }>;
  /** Window entries after which they become a block of their own. */
  readonly blockEntries: number;
  /** The disk holds something else than the log says: nothing may be signed any more. */
  stop(reason: string): void;
}

/** What an earlier run left. */
export interface CheckpointerStart {
  readonly latest: LocalCheckpoint | undefined;
  /** The newest state snapshot, for the next seal. */
  readonly state: StateReference | undefined;
  /** Newest first. */
  readonly blocks: readonly WindowBlock[];
}

export interface WindowBlock extends StateReference {
  /** Position of the window's end in this snapshot. */
  readonly windowEnd: number;
}

export class Checkpointer {
  readonly #parts: CheckpointerParts;
  readonly #tiles: TileFiles;
  #latest: LocalCheckpoint | undefined;
  #state: StateReference | undefined;
  #blocks: readonly WindowBlock[];
  #unsavedTiles: TileFile[] = [];
  #running: Promise<unknown> = Promise.resolve();

  constructor(parts: CheckpointerParts, start: CheckpointerStart) {
    this.#parts = parts;
    this.#tiles = new TileFiles(parts.directory, parts.files);
    this.#latest = start.latest;
    this.#state = start.state;
    this.#blocks = start.blocks;
  }

  get latest(): LocalCheckpoint | undefined {
    return this.#latest;
  }

  /** One at a time; commits go on while files are written. */
  checkpoint(): Promise<LocalCheckpoint> {
    const next = this.#running.then(() => this.#checkpoint());
    this.#running = next.catch(() => undefined);
    return next;
  }

  /** Resolves when no checkpoint is under way. */
  async idle(): Promise<void> {
    await this.#running;
  }

  async #checkpoint(): Promise<LocalCheckpoint> {
    let captured: Capture | undefined;
    // Commits go on meanwhile; what they move is little, and left to the seal.
    for (const _ of this.#parts.memory.chains.settleTips()) await nextTurn();
    const { index } = await this.#parts.seal(this.#state, () => {
      captured = this.#capture();
    });
    const capture = captured!;
    try {
      await this.#saveTiles(capture);
      const { state, block } = await this.#saveState(capture);
      const checkpoint = await this.#saveCheckpoint(capture, index);
      this.#state = state;
      if (block !== undefined) this.#blocks = [block, ...this.#blocks];
      await this.#pruneStates(capture);
      return checkpoint;
    } catch (cause) {
      if (cause instanceof LedgerError && cause.code === "damaged") {
        this.#parts.stop(reasonOf(cause));
      }
      const reason = `cannot make a local checkpoint: ${reasonOf(cause)}`;
      throw new LedgerError("unavailable", reason, { cause });
    }
  }

  #capture(): Capture {
    const { memory } = this.#parts;
    const { tree, window } = memory;
    // After a start without a snapshot these are the tiles of the whole log: too many arguments.
    for (const tile of tree.takeFinished()) this.#unsavedTiles.push(tile);
    const block = this.#blocks[0] ?? null;
    const windowStart = Math.max(block?.windowEnd ?? 0, window.end - window.count);
    const place = this.#parts.segmentPlace();
    const content = {
      size: tree.size,
      root: tree.root(),
      counters: { ...memory.counters },
      segment: { first: place.first, end: place.bytes, firstTime: place.firstTime ?? 0n },
      windowEnd: window.end,
      block: block === null ? null : { size: block.size, digest: block.digest },
      edge: tree.serialise(),
      chains: memory.chains.pack(),
      windowEntries: window.copy(windowStart),
    };
    const { epoch } = memory.counters;
    const epochKey = this.#parts.keys().chainKey(epoch)!;
    const { descriptorDigest } = memory;
    const key = { name: keyName(epoch, epochKey), epochKey, descriptorDigest };
    return {
      size: content.size,
      segment: content.segment,
      root: content.root,
      partialTiles: tree.partialTiles(),
      windowEnd: content.windowEnd,
      windowStart,
      encodeState: (segments, own) => {
        const state = { ...content, segments };
        if (own === undefined) return encodeState(state, key);
        return encodeState({ ...state, block: own, windowEntries: nothing }, key);
      },
      encodeBlock: (segments) =>
        encodeState({ ...content, segments, edge: nothing, chains: noChains }, key),
    };
  }

  async #saveTiles(capture: Capture): Promise<void> {
    const tiles = [...this.#unsavedTiles, ...capture.partialTiles];
    await this.#tiles.save(tiles);
    // Tiles that came about meanwhile belong to the next checkpoint.
    this.#unsavedTiles.splice(0, tiles.length - capture.partialTiles.length);
  }

  async #saveState(
    capture: Capture,
  ): Promise<{ readonly state: StateReference; readonly block: WindowBlock | undefined }> {
    const { directory, files } = this.#parts;
    await this.#removeUncovered();
    const segments = await segmentsDigest(directory, files, capture);
    const block = await this.#saveBlock(capture, segments);
    const bytes = capture.encodeState(segments, block);
    await files.replace(join(directory, "state", stateName(capture.size)), bytes, 0o600);
    return { state: { size: capture.size, digest: sha256Hex(bytes) }, block };
  }

  /** Of attempts that failed: a start takes several snapshots without checkpoint for a lost one. */
  async #removeUncovered(): Promise<void> {
    const covered = this.#latest?.size ?? 0;
    await this.#removeStates(
      (await this.#sizesIn(parseStateName)).filter((size) => size > covered),
      (await this.#sizesIn(parseBlockName)).filter((size) => size > covered),
    );
  }

  async #removeStates(states: readonly number[], blocks: readonly number[]): Promise<void> {
    const folder = join(this.#parts.directory, "state");
    for (const name of [...states.map(stateName), ...blocks.map(blockName)]) {
      await this.#parts.files.remove(join(folder, name));
    }
  }

  /** Enough window entries become a block, which this and later snapshots name. */
  async #saveBlock(
    capture: Capture,
    segments: LedgerState["segments"],
  ): Promise<WindowBlock | undefined> {
    const { windowEnd, windowStart, size } = capture;
    if (windowEnd - windowStart < this.#parts.blockEntries) return undefined;
    const bytes = capture.encodeBlock(segments);
    const path = join(this.#parts.directory, "state", blockName(size));
    await this.#parts.files.replace(path, bytes, 0o600);
    return { size, digest: sha256Hex(bytes), windowEnd };
  }

  /** Sizes of the snapshots, or of the blocks. */
  async #sizesIn(parse: (name: string) => number | undefined): Promise<number[]> {
    const names = await this.#parts.files.list(join(this.#parts.directory, "state"));
    return names.map(parse).filter((size) => size !== undefined);
  }

  async #saveCheckpoint(capture: Capture, sealIndex: number): Promise<LocalCheckpoint> {
    const { directory, files, origin } = this.#parts;
    const { size, root } = capture;
    const signers = this.#logKeys().map((key) => checkpointSigner(origin, key));
    const note = signCheckpoint({ origin, size, root }, signers);
    await files.replace(join(directory, "checkpoint"), note, 0o600);
    this.#latest = { size, root, note, sealIndex };
    return this.#latest;
  }

  /**
   * The log key in force and the one before it: whichever checkpoint is the first to be published
   * after a rotation, it is signed by both. After several rotations all of them, from the key that
   * the last checkpoint is under.
   */
  #logKeys(): readonly LogKey[] {
    const { logKeys, directory } = this.#parts.keys();
    const { logKey } = this.#parts.memory.counters;
    const place = logKeys.findIndex((key) => toHex(key.publicKey) === logKey);
    if (place >= 0)
      return logKeys.slice(Math.max(0, Math.min(place - 1, this.#signedBy())), place + 1);
    throw new LedgerError("missing_key", `the log key ${logKey} is not in ${directory}`);
  }

  /** Place among the log keys of the newest that signed the last checkpoint, else of the first. */
  #signedBy(): number {
    const { memory, origin } = this.#parts;
    const { logKeys } = this.#parts.keys();
    if (this.#latest === undefined) {
      const { firstLogKey } = memory.descriptor;
      return logKeys.findIndex(({ publicKey }) => equalBytes(publicKey, firstLogKey));
    }
    const verifiers = checkpointVerifiers(origin, { logKeys });
    const { good } = verifyNote(parseNote(this.#latest.note), verifiers);
    return verifiers.findLastIndex((verifier) => good.includes(verifier));
  }

  /** Keeps the two newest snapshots and the blocks that the window still needs. */
  async #pruneStates({ windowEnd }: Capture): Promise<void> {
    const windowStart = windowEnd - this.#parts.memory.window.capacity;
    this.#blocks = this.#blocks.filter((block) => block.windowEnd > windowStart);
    const kept = new Set(this.#blocks.map(({ size }) => size));
    const states = await this.#sizesIn(parseStateName);
    await this.#removeStates(
      states.toSorted((left, right) => right - left).slice(2),
      (await this.#sizesIn(parseBlockName)).filter((size) => !kept.has(size)),
    );
  }
}
