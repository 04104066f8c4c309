/**
 * A record's inclusion proof (C2SP tlog-proof). Its extra data is the record's line without body
 * and line feed, so the proof alone tells which record of which chain it speaks of, and a body can
 * be held against it.
 */
import { bodyDigest, encodeLine, parseLine, treeEntry, type ParsedLine } from "./chain.ts";
import { parseCheckpoint } from "./checkpoint.ts";
import { equalBytes } from "./digest.ts";
import { FormatError } from "./format-error.ts";
import { inclusionProof, leafHash, verifyInclusion } from "./merkle.ts";
import type { SubtreeReader } from "./merkle.ts";
import { verifyNote } from "./note.ts";
import type { NoteVerifier } from "./note.ts";
import { encodeProof, parseProof } from "./proof.ts";

/** @throws RangeError where the checkpoint does not cover the record */
export async function proveRecord(
  record: ParsedLine,
  checkpoint: Uint8Array,
  subtrees: (size: number) => SubtreeReader,
): Promise<Uint8Array> {
  const { size } = parseCheckpoint(checkpoint);
  const { index } = record.head;
  const path = await inclusionProof(index, size, subtrees(size));
  const line = encodeLine(Buffer.from(record.headBytes).toString(), record.mac, undefined);
  return encodeProof({ extra: line.subarray(0, -1), index, path, checkpoint });
}

export interface ProofJudgement {
  /** The record without its body. */
  readonly record: ParsedLine;
  readonly origin: string;
  readonly size: number;
  /** Whether the record stands at its index under the checkpoint's root. */
  readonly isIncluded: boolean;
  /** Whether one of the given keys signed the checkpoint. */
  readonly isTrusted: boolean;
}

/**
 * @param trustedFor the keys that are believed about the log of this origin
 * @throws FormatError where the bytes are no proof of a record
 */
export function judgeProof(
  bytes: Uint8Array,
  trustedFor: (origin: string) => readonly NoteVerifier[],
): ProofJudgement {
  const proof = parseProof(bytes);
  if (proof.extra === undefined) {
    throw new FormatError("bad_proof", "the proof does not say which record it is about");
  }
  const record = parseLine(proof.extra);
  if (record.body !== undefined) {
    throw new FormatError("bad_proof", "the proof carries a body, which no root speaks for");
  }
  const { origin, size, root, note } = parseCheckpoint(proof.checkpoint);
  const leaf = leafHash(treeEntry(record.headBytes, record.mac));
  const isPlaced = record.head.index === proof.index;
  const isIncluded =
    isPlaced && verifyInclusion(leaf, { index: proof.index, size, root }, proof.path);
  const { good, bad } = verifyNote(note, trustedFor(origin));
  // The log's own signature has the origin as its name; others do not speak for the log.
  const isTrusted = bad.length === 0 && good.some(({ name }) => name === origin);
  return { record, origin, size, isIncluded, isTrusted };
}

/** Whether `line` (as a segment holds it, with body) is the record that a proof is about. */
export function isProvenLine(line: ParsedLine, proven: ParsedLine): boolean {
  return (
    equalBytes(line.headBytes, proven.headBytes) &&
    equalBytes(line.mac, proven.mac) &&
    line.body !== undefined &&
    equalBytes(bodyDigest(line.body), proven.head.bodyDigest)
  );
}
