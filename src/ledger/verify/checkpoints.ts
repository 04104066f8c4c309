/**
 * Checkpoints against the log: origin, signatures, root, and how far they reach. Trust begins with
 * the keys that were given and passes to another only where a checkpoint that a trusted key signed
 * covers the rotation and carries the new key's signature too.
 */
import { equalBytes } from "../digest.ts";
import { parseCheckpoint, type Checkpoint } from "../checkpoint.ts";
import { verifyNote, type NoteVerifier } from "../note.ts";
import { messageOf, type Counts, type Findings, type Unchecked } from "./report.ts";
import type { LogKeyRotation } from "./system-records.ts";

export interface CheckpointFile {
  /** As it stands in places: `checkpoint`, `bucket/checkpoints/70000`. */
  readonly file: string;
  readonly isBucket: boolean;
  readonly checkpoint: Checkpoint;
}

/** Parses a checkpoint of this log, reporting why it is none. */
export function readCheckpoint(
  bytes: Uint8Array,
  file: string,
  context: { readonly origin: string; readonly findings: Findings },
): CheckpointFile | undefined {
  const { origin, findings } = context;
  try {
    const checkpoint = parseCheckpoint(bytes);
    if (checkpoint.origin === origin) {
      return { file, isBucket: file.startsWith("bucket/"), checkpoint };
    }
    const detail = `the checkpoint is of the log ${checkpoint.origin}, not of ${origin}`;
    findings.add({ class: "spliced", place: { file }, detail });
  } catch (error) {
    findings.add({ class: "malformed", place: { file }, detail: messageOf(error) });
  }
  return undefined;
}

/** The log as it was when a tree of this size was complete. */
export interface TreeState {
  readonly size: number;
  readonly root: Uint8Array;
  /** Kind of the last record of that tree; undefined where its line is missing. */
  readonly lastKind: string | undefined;
}

export interface CheckpointOptions {
  readonly trusted: readonly NoteVerifier[];
  /** The key that the descriptor names: it proves consistency, never identity. */
  readonly ownKey: NoteVerifier;
  readonly findings: Findings;
  readonly counts: Counts;
  readonly rotations: readonly LogKeyRotation[];
  /** True where every MAC so far was checked and good. */
  areMacsGood(): boolean;
}

export class CheckpointVerifier {
  readonly #options: CheckpointOptions;
  readonly #accepted: NoteVerifier[];
  readonly unchecked: Unchecked[] = [];
  /** Newest size under a good checkpoint, and under one of a trusted key. */
  coveredSize = 0;
  provenSize = 0;
  /** Files with another root than the log has at their size. */
  readonly mismatched: CheckpointFile[] = [];

  constructor(options: CheckpointOptions) {
    this.#options = options;
    this.#accepted = options.trusted.length > 0 ? [...options.trusted] : [options.ownKey];
  }

  /** The log has the checkpoint's size. */
  verify(file: CheckpointFile, state: TreeState): void {
    const { counts, findings } = this.#options;
    counts.checkpoints++;
    const signed = this.#verifySignatures(file);
    if (!signed) return;
    if (!equalBytes(file.checkpoint.root, state.root)) {
      this.mismatched.push(file);
      return;
    }
    if (state.lastKind !== undefined && state.lastKind !== "seal" && state.size > 0) {
      const detail = `the checkpoint does not end with a seal but with ${state.lastKind}`;
      findings.add({ class: "altered", place: { file: file.file, index: state.size - 1 }, detail });
    }
    this.coveredSize = Math.max(this.coveredSize, state.size);
    if (this.#options.trusted.length > 0) this.provenSize = Math.max(this.provenSize, state.size);
    this.#passTrust(file);
  }

  /** The log ends before the checkpoint's size. */
  verifyBeyond(file: CheckpointFile, logSize: number, isLogWhole: boolean): void {
    if (!this.#verifySignatures(file)) return;
    const { size } = file.checkpoint;
    const restored = file.isBucket && isLogWhole;
    const detail = restored
      ? `the bucket holds a checkpoint of ${size} records; the ledger is an older state of ${logSize}`
      : `the checkpoint covers ${size} records, the log ends after ${logSize}`;
    const place = { file: file.file, index: logSize };
    const what = restored ? "rolled_back" : "truncated";
    this.#options.findings.add({ class: what, place, detail, count: size - logSize });
  }

  #verifySignatures(file: CheckpointFile): boolean {
    const { findings, rotations, trusted } = this.#options;
    const { note, size } = file.checkpoint;
    const announced = rotations.filter(({ index }) => index < size);
    const candidates = [...this.#accepted, ...announced.map(({ to }) => to)];
    const { good, bad } = verifyNote(note, candidates);
    const place = { file: file.file };
    if (bad.length > 0) {
      const detail = "the signature of a known key is not of this checkpoint";
      findings.add({ class: "altered", place, detail });
      return false;
    }
    if (good.some((verifier) => this.#isAccepted(verifier))) {
      const newest = announced.at(-1)?.to;
      if (newest === undefined || good.some(({ keyId }) => keyId === newest.keyId)) return true;
      const detail = "the checkpoint is signed by a retired key, not by the one that replaced it";
      findings.add({ class: "wrong_key", place, detail });
      return false;
    }
    if (good.length > 0) {
      const to = good.map(({ keyId }) => keyId).join(", ");
      const detail = `signed by key ${to} alone, which the log names as the successor: have it confirmed by another way`;
      this.unchecked.push({ what: "rotation", detail, end: size });
      return false;
    }
    const whose = trusted.length > 0 ? "none of the trusted keys" : "no key that the ledger names";
    findings.add({ class: "wrong_key", place, detail: `the checkpoint is signed by ${whose}` });
    return false;
  }

  #isAccepted(verifier: NoteVerifier): boolean {
    // By the whole key: another one with the same four bytes of key id is found in an hour.
    return this.#accepted.some(({ publicKey }) => equalBytes(publicKey, verifier.publicKey));
  }

  #passTrust(file: CheckpointFile): void {
    const { note, size } = file.checkpoint;
    const announced = this.#options.rotations.filter(({ index }) => index < size);
    for (const { to } of announced) {
      if (this.#isAccepted(to)) continue;
      if (verifyNote(note, [to]).good.length > 0) this.#accepted.push(to);
    }
  }

  /** Of the checkpoints that do not match, the first is the finding: the others follow from it. */
  settle(): void {
    const [file] = this.mismatched;
    if (file === undefined) return;
    const { findings } = this.#options;
    const { size } = file.checkpoint;
    const replaced = file.isBucket && findings.lineTotal === 0 && this.#options.areMacsGood();
    const detail = replaced
      ? `the bucket holds another history of the first ${size} records: the log went back and on`
      : `the first ${size} records do not have the root that was signed`;
    const place = { file: file.file, index: size - 1 };
    findings.add({ class: replaced ? "rolled_back" : "root_mismatch", place, detail });
  }
}
