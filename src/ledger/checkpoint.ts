/** Checkpoints (C2SP tlog-checkpoint): origin, tree size and root as a signed note. */
import { fromBase64, toBase64 } from "../bytes/base64.ts";
import { digestBytes } from "./digest.ts";
import { FormatError } from "./format-error.ts";
import { parseNote, signNote, type NoteSigner, type SignedNote } from "./note.ts";

export interface CheckpointBody {
  readonly origin: string;
  readonly size: number;
  readonly root: Uint8Array;
}

export interface Checkpoint extends CheckpointBody {
  readonly note: SignedNote;
}

/** The text that is signed: three lines, no extension. */
export function encodeCheckpointBody(body: CheckpointBody): string {
  return `${body.origin}\n${body.size}\n${toBase64(body.root)}\n`;
}

/** Signs by every signer; each signer's name is the origin. */
export function signCheckpoint(body: CheckpointBody, signers: readonly NoteSigner[]): Uint8Array {
  return signNote(encodeCheckpointBody(body), signers);
}

/** @throws FormatError where the bytes are no checkpoint. Judges no signature. */
export function parseCheckpoint(bytes: Uint8Array): Checkpoint {
  const note = parseNote(bytes);
  return { ...parseCheckpointBody(note.text), note };
}

/** @throws FormatError for extension lines too: this log writes none. */
export function parseCheckpointBody(text: string): CheckpointBody {
  const lines = text.split("\n");
  if (lines.length !== 4 || lines[3] !== "") {
    throw new FormatError("bad_checkpoint", `expected 3 lines, received ${lines.length - 1}`);
  }
  const [origin = "", sizeText = "", rootText = ""] = lines;
  if (origin === "" || /[\s+]/u.test(origin)) {
    throw new FormatError("bad_checkpoint", "the origin is empty or has a space or a plus");
  }
  const size = Number(sizeText);
  if (!Number.isSafeInteger(size) || size < 0 || String(size) !== sizeText) {
    throw new FormatError("bad_checkpoint", "the tree size is not a decimal number below 2^53");
  }
  return { origin, size, root: parseRoot(rootText) };
}

function parseRoot(text: string): Uint8Array {
  try {
    const root = fromBase64(text);
    if (root.length === digestBytes) return root;
  } catch (cause) {
    throw new FormatError("bad_checkpoint", "the root is not base64", { cause });
  }
  throw new FormatError("bad_checkpoint", "the root is not 32 bytes");
}
