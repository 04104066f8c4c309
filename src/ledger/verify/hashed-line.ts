/**
 * A line with all that its bytes alone tell. Lines are hashed some at a time, each hash of all of
 * them before the next: the same few functions then stay in the processor's nearest memory.
 */
import { digestBytes } from "../digest.ts";
import { ScannedLine } from "../line.ts";
import { RecordHashes } from "../record-hashes.ts";

/** More win nothing. */
export const linesAtOnce = 64;

export class HashedLine extends ScannedLine {
  readonly entry: Buffer = Buffer.alloc(digestBytes);
  readonly macBytes: Buffer = Buffer.alloc(digestBytes);
  isBodyTheirs = false;
  /** Only of a body that is theirs. */
  isBodyCanonical = false;
  /** Slot of its chain, -1 where that was not known when the line was hashed. */
  slot = -1;
  /** What the MAC is by the chain's key of this epoch; 0 where none was computed. */
  macEpoch = 0;
  readonly computedMac: Buffer = Buffer.alloc(digestBytes);
}

const hashes = new RecordHashes();

/** Of the first `count` lines: all but what needs a chain. */
export function hashLines(lines: readonly HashedLine[], count: number): void {
  for (let at = 0; at < count; at++) {
    const line = lines[at]!;
    line.isBodyTheirs = line.bodyStart >= 0 && hashes.isBodyTheirs(line);
  }
  for (let at = 0; at < count; at++) hashes.enter(lines[at]!, lines[at]!);
  for (let at = 0; at < count; at++) {
    const line = lines[at]!;
    line.isBodyCanonical = line.isBodyTheirs && line.isCanonicalBody;
  }
}
