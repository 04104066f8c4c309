/**
 * What the matrix damages: the files of a log and its bucket, an older state of them, another log,
 * and the keys. From a ledger built in memory, or from what a real sidecar left (the slow suite).
 */
import { ed25519Signer, parseVkey, type NoteVerifier } from "../../../src/ledger/note.ts";
import { tileWidth } from "../../../src/limits.ts";
import { billing, LedgerBuilder, patients } from "../../ledger/builder.ts";
import { filesOf, type EvidenceFiles } from "../../ledger/evidence-files.ts";

export interface Subject {
  /** Several segments, tenants and boots, at least three roots, and records behind the newest. */
  readonly files: EvidenceFiles;
  /** The same log at the end of its first boot, when its bucket had all of it. */
  readonly older: EvidenceFiles;
  /** Another log, whose tenants have the same names. */
  readonly other: EvidenceFiles;
  readonly trusted: readonly NoteVerifier[];
  chainKey(epoch: number): Uint8Array | undefined;
}

/** One record of a subject, as it stands in its segment. */
export interface Found {
  /** Path of the segment, and the name that reports give it. */
  readonly path: string;
  readonly segment: string;
  /** From 0. */
  readonly at: number;
  readonly text: string;
  readonly head: Readonly<Record<string, string | number>>;
}

const segmentFolder = "ledger/segments/";

export function segmentPaths(files: EvidenceFiles): string[] {
  return [...files.keys()].filter((path) => path.startsWith(segmentFolder)).toSorted();
}

/** Latin1, so that every byte stays as it is. */
export function linesOf(files: EvidenceFiles, path: string): string[] {
  return files.get(path)!.toString("latin1").split("\n").slice(0, -1);
}

export function setLines(files: EvidenceFiles, path: string, lines: readonly string[]): void {
  files.set(path, Buffer.from(lines.map((line) => `${line}\n`).join(""), "latin1"));
}

export function recordsOf(files: EvidenceFiles): Found[] {
  return segmentPaths(files).flatMap((path) =>
    linesOf(files, path).map((text, at) => {
      const { head } = JSON.parse(text) as { head: Found["head"] };
      return { path, segment: path.slice(segmentFolder.length), at, text, head };
    }),
  );
}

/** Sizes of the roots that the bucket keeps, ascending. */
export function keptSizes(files: EvidenceFiles): number[] {
  const folder = "bucket/checkpoints/";
  const names = [...files.keys()].filter((path) => path.startsWith(folder));
  return names.map((path) => Number(path.slice(folder.length))).toSorted((a, b) => a - b);
}

function firstBoot(seed: number): LedgerBuilder {
  const ledger = new LedgerBuilder({ seed }).opened();
  const act = (count: number): void => {
    for (let at = 0; at < count; at++) ledger.group().action(patients).action(billing);
  };
  act(24);
  ledger.checkpoint();
  ledger.group().gap(3).gap(2, patients);
  act(25);
  ledger.rotateSegment();
  act(30);
  ledger.rotateChainKey();
  act(30);
  ledger.group().action(patients);
  ledger.closed().store();
  return ledger;
}

export function builtSubject(): Subject {
  const older = firstBoot(1);
  const ledger = firstBoot(1);
  ledger.rotateSegment().opened();
  for (let at = 0; at < 22; at++) ledger.group().action(billing).action(patients);
  ledger.checkpoint();
  for (let at = 0; at < 4; at++) ledger.group().action(patients).action(billing);
  return {
    files: filesOf(ledger),
    older: filesOf(older),
    other: filesOf(firstBoot(2)),
    trusted: [parseVkey(ledger.vkey)],
    chainKey: (epoch) => ledger.chainKey(epoch),
  };
}

/** A log of one record more than a full tile of level 1 covers, and its seal. */
export function largeSubject(): Subject {
  const ledger = new LedgerBuilder({ seed: 3 }).opened().group();
  while (ledger.size <= tileWidth ** 2) ledger.action(patients);
  const files = filesOf(ledger.checkpoint());
  return {
    files,
    older: files,
    other: files,
    trusted: [parseVkey(ledger.vkey)],
    chainKey: (epoch) => ledger.chainKey(epoch),
  };
}

/** Somebody's own key under the log's name. */
export function forger(origin: string): ReturnType<typeof ed25519Signer> {
  return ed25519Signer(origin, new Uint8Array(32).fill(0xee));
}
