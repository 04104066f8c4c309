/**
 * From what is on disk to a ledger that may be appended to, or to a refusal that says what to do.
 * Reads a state snapshot and the log's tail; how long that takes does not depend on how much lies
 * before them.
 */
import { join } from "node:path";

import { reasonOf } from "../bytes/thrown.ts";
import type { Files } from "./files.ts";
import type { LocalCheckpoint, WindowBlock } from "./checkpointer.ts";
import { segmentsDigest } from "./closed-segments.ts";
import { toHex } from "../bytes/hex.ts";
import { equalBytes } from "./digest.ts";
import { LedgerError } from "./ledger-error.ts";
import { scanLine } from "./line.ts";
import type { LedgerMemory } from "./memory.ts";
import { Replay } from "./replay.ts";
import { TileFiles } from "./tile-files.ts";
import { readLineChunks } from "./segment-lines.ts";
import { parseSegmentName, segmentName } from "./segment-name.ts";
import { reopenSegment, type SegmentPlace } from "./segment.ts";
import { loadSnapshot, readLocalCheckpoint, type SnapshotSource } from "./snapshot.ts";
import type { LedgerState, StateReference } from "./state.ts";
import {
  checkOnlyLastGroup,
  listSetAside,
  setAside,
  type BrokenEnd,
  type SetAside,
} from "./torn.ts";

/** A size of this log that something outside it has seen. */
export interface KnownSize {
  /** Who knows it, for the message: `spool`, `bucket`. */
  readonly source: string;
  readonly size: number;
  readonly root?: Uint8Array;
}

export interface RecoveredLedger {
  readonly memory: LedgerMemory;
  /** Where to go on writing; undefined where the next record begins a segment. */
  readonly place: SegmentPlace | undefined;
  readonly checkpoint: LocalCheckpoint | undefined;
  readonly state: StateReference | undefined;
  readonly blocks: readonly WindowBlock[];
  readonly isFirstStart: boolean;
  /** The log ends as an orderly stop leaves it. */
  readonly isClean: boolean;
  readonly setAside: readonly SetAside[];
  /** What was wrong with the end that was set aside in this start. */
  readonly tornReason: string | undefined;
  /** The size up to which durability was known before this start. */
  readonly knownCommitted: number;
}

/** @throws LedgerError `damaged`, `truncated` or `missing_key`, saying what to do. */
export async function recoverLedger(
  source: SnapshotSource,
  known: readonly KnownSize[],
): Promise<RecoveredLedger> {
  const { directory, files } = source;
  const checkpoint = await readLocalCheckpoint(source);
  const snapshot = await loadSnapshot(source, checkpoint);
  const { memory, state } = snapshot;
  const sizes = knownSizes(known, checkpoint, snapshot.sizeKnown);
  const replay = new Replay(memory, source.keys, rootSizes(sizes));
  const tail = await readTail(source, { memory, state, replay });
  const { size } = memory.tree;
  const tiles = new TileFiles(directory, files);
  sizes.push({ source: "tile", size: await tiles.treeSize() });
  checkSizes(source, size, sizes);
  await tiles.checkReach(checkpoint?.size ?? 0);
  await checkRoots(source, { replayed: replay.roots, tiles }, sizes);
  if (tail.broken !== undefined) await cutTornGroup(source, memory, tail.broken);
  const pending = await listSetAside(directory, files);
  const { counters } = memory;
  checkLogKey(source, counters.logKey);
  const isSealed = counters.ending === "closed_and_sealed" && checkpoint?.size === size;
  const isFirstStart = size === 0;
  const isClean = (isFirstStart || isSealed) && pending.length === 0;
  if (!isClean) await rewriteLastGroup(source, replay, tail.place);
  return {
    memory,
    place: tail.place,
    checkpoint,
    state: snapshot.reference,
    blocks: snapshot.blocks,
    isFirstStart,
    isClean,
    setAside: pending,
    tornReason: tail.broken?.reason,
    knownCommitted: Math.max(...sizes.map((one) => one.size)),
  };
}

function knownSizes(
  known: readonly KnownSize[],
  checkpoint: LocalCheckpoint | undefined,
  stateSize: number,
): KnownSize[] {
  const sizes = [...known, { source: "state", size: stateSize }];
  if (checkpoint !== undefined) {
    sizes.push({ source: "checkpoint", size: checkpoint.size, root: checkpoint.root });
  }
  return sizes;
}

function rootSizes(sizes: readonly KnownSize[]): number[] {
  return sizes.filter(({ root }) => root !== undefined).map(({ size }) => size);
}

interface TailSource {
  readonly memory: LedgerMemory;
  readonly state: LedgerState | undefined;
  readonly replay: Replay;
}

interface Tail {
  readonly place: SegmentPlace | undefined;
  readonly broken: BrokenEnd | undefined;
}

/** Replays every record after the snapshot, segment by segment. */
async function readTail(source: SnapshotSource, tailSource: TailSource): Promise<Tail> {
  const { memory, state } = tailSource;
  const firsts = await segmentFirsts(source, state);
  let place: SegmentPlace | undefined;
  for (const [at, first] of firsts.entries()) {
    const isLast = at === firsts.length - 1;
    const isBegun = state !== undefined && first === state.segment.first;
    if (!isBegun && first !== memory.tree.size) throw missingSegment(source, memory, first);
    const start = isBegun ? state.segment.end : 0;
    const broken = await replaySegment(source, tailSource, { first, start });
    if (broken !== undefined && !isLast) {
      throw new LedgerError(
        "damaged",
        `${broken.path} is damaged at byte ${broken.offset} (${broken.reason}) though a later ` +
          "segment was begun",
        { remedy: 'run "spanseal verify", keep a copy, and restore from a backup' },
      );
    }
    const path = segmentPath(source.directory, first);
    const bytes = broken?.offset ?? (await source.files.size(path));
    const firstTime = bytes === 0 ? undefined : await firstTimeOf(source.files, path);
    place = { first, bytes, firstTime };
    if (broken !== undefined) return { place, broken };
  }
  return { place, broken: undefined };
}

/** The segments to be read: from the one that the snapshot ends in. */
async function segmentFirsts(
  source: SnapshotSource,
  state: LedgerState | undefined,
): Promise<number[]> {
  const folder = join(source.directory, "segments");
  const names = await source.files.list(folder);
  const unknown = names.filter((name) => parseSegmentName(name) === undefined);
  if (unknown.length > 0) {
    const remedy = "move it elsewhere";
    throw new LedgerError("foreign", `${folder} holds ${unknown.join(", ")}`, { remedy });
  }
  const firsts = names.map((name) => parseSegmentName(name)!);
  if (state === undefined) return firsts;
  const { count, digest } = await segmentsDigest(source.directory, source.files, state);
  if (count !== state.segments.count || digest !== state.segments.digest) {
    throw new LedgerError(
      "damaged",
      `${folder} has ${count} segments below record ${state.size}, ${state.segments.count} were ` +
        "there when it was sealed, or of other lengths",
      { remedy: 'run "spanseal verify" and restore what it names from a backup' },
    );
  }
  return firsts.filter((first) => first >= state.segment.first);
}

function missingSegment(source: SnapshotSource, memory: LedgerMemory, first: number): LedgerError {
  const { size } = memory.tree;
  return new LedgerError(
    "damaged",
    `segment ${segmentPath(source.directory, first)} follows record ${size - 1}: records ` +
      `from ${size} are missing`,
    { remedy: `restore the segment ${segmentName(size)} from a backup` },
  );
}

async function replaySegment(
  source: SnapshotSource,
  { replay, memory }: TailSource,
  from: { readonly first: number; readonly start: number },
): Promise<BrokenEnd | undefined> {
  const path = segmentPath(source.directory, from.first);
  const fileBytes = await source.files.size(path);
  if (fileBytes < from.start) {
    throw new LedgerError(
      "truncated",
      `${path} has ${fileBytes} bytes, ${from.start} were durable: the log was cut or restored ` +
        "from an older copy",
      { remedy: "restore the newest copy" },
    );
  }
  const brokenAt = (offset: number, reason: string): BrokenEnd => ({
    path,
    offset,
    bytes: fileBytes - offset,
    size: memory.tree.size,
    reason,
  });
  for await (const chunk of readLineChunks(source.files, path, from.start)) {
    let start = 0;
    for (const end of chunk.ends) {
      const place = { segment: from.first, start: chunk.offset + start };
      try {
        replay.line(chunk.bytes, start, end - 1, place);
      } catch (error) {
        if (error instanceof LedgerError) throw error;
        return brokenAt(chunk.offset + start, reasonOf(error));
      }
      start = end;
    }
    if (chunk.isLast && start < chunk.bytes.length) {
      return brokenAt(chunk.offset + start, "the last line is incomplete");
    }
  }
  return undefined;
}

function segmentPath(directory: string, first: number): string {
  return join(directory, "segments", segmentName(first));
}

async function firstTimeOf(files: Files, path: string): Promise<bigint | undefined> {
  for await (const { bytes, ends } of readLineChunks(files, path, 0)) {
    const end = ends[0];
    if (end !== undefined) return BigInt(scanLine(bytes, 0, end - 1).time);
  }
  return undefined;
}

/** A log that is shorter than anybody has seen it lost records that were acknowledged. */
function checkSizes(source: SnapshotSource, size: number, sizes: readonly KnownSize[]): void {
  for (const known of sizes) {
    if (known.size <= size) continue;
    throw new LedgerError(
      "truncated",
      `the log in ${source.directory} has ${size} whole records, ${known.source} knows ` +
        `${known.size}: it was cut, damaged, or restored from an older copy`,
      { remedy: "restore the newest copy, or begin a new ledger in another ledger.directory" },
    );
  }
}

/** Without the key in force no root could be signed any more. */
function checkLogKey({ keys }: SnapshotSource, logKey: string): void {
  if (keys.logKeys.some(({ publicKey }) => toHex(publicKey) === logKey)) return;
  throw new LedgerError(
    "missing_key",
    `the log's roots are signed by the key ${logKey}, which is not in ${keys.directory}`,
    { remedy: "restore the keys that belong to this ledger" },
  );
}

async function checkRoots(
  source: SnapshotSource,
  own: { readonly replayed: ReadonlyMap<number, Uint8Array>; readonly tiles: TileFiles },
  sizes: readonly KnownSize[],
): Promise<void> {
  for (const { source: who, size, root } of sizes) {
    if (root === undefined) continue;
    const ownRoot = own.replayed.get(size) ?? (await own.tiles.rootOf(size));
    if (equalBytes(ownRoot, root)) continue;
    throw new LedgerError(
      "damaged",
      `the log in ${source.directory} has another root at size ${size} than ${who} knows: ` +
        "it is another log or was changed",
      { remedy: "restore the copy that belongs to it" },
    );
  }
}

async function cutTornGroup(
  source: SnapshotSource,
  memory: LedgerMemory,
  broken: BrokenEnd,
): Promise<void> {
  const { directory, files, keys } = source;
  const torn = { directory, files, keys, descriptorDigest: memory.descriptorDigest };
  await checkOnlyLastGroup(torn, broken);
  await setAside(torn, broken);
}

/**
 * After a failed fsync the kernel may hold pages that it believes to be written and that are not.
 * If the process that saw the failure is gone, nobody knows: the last group is written once more.
 */
async function rewriteLastGroup(
  source: SnapshotSource,
  replay: Replay,
  place: SegmentPlace | undefined,
): Promise<void> {
  const { lastGroup } = replay;
  if (lastGroup === undefined || place === undefined || lastGroup.segment !== place.first) return;
  const path = segmentPath(source.directory, place.first);
  const { start } = lastGroup;
  const bytes = await source.files.readRange(path, start, place.bytes - start);
  const file = await reopenSegment(source.files, path);
  try {
    await file.write(bytes, start);
    await file.sync();
  } finally {
    await file.close();
  }
  await source.files.syncDirectory(join(source.directory, "segments"));
}
