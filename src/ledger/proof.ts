/** Inclusion proofs as text (C2SP tlog-proof): index, path, and the checkpoint they lead to. */
import { fromBase64, toBase64 } from "../bytes/base64.ts";
import { decodeUtf8, encodeUtf8 } from "../bytes/utf8.ts";
import { proofBytesMax } from "../limits.ts";
import { digestBytes } from "./digest.ts";
import { FormatError } from "./format-error.ts";

const PROOF_START = "c2sp.org/tlog-proof@v1";
/** A tree of 2^63 leaves has paths of this length. */
const pathLengthMax = 63;

export interface LogProof {
  /** Opaque to the format; spanseal puts a record's head and MAC here. */
  readonly extra?: Uint8Array;
  readonly index: number;
  /** Leaf to root. */
  readonly path: readonly Uint8Array[];
  /** The signed checkpoint, byte for byte. */
  readonly checkpoint: Uint8Array;
}

export function encodeProof(proof: LogProof): Uint8Array {
  const extra = proof.extra === undefined ? [] : [`extra ${toBase64(proof.extra)}`];
  const lines = [PROOF_START, ...extra, `index ${proof.index}`, ...proof.path.map(toBase64)];
  return Buffer.concat([encodeUtf8(`${lines.join("\n")}\n\n`), proof.checkpoint]);
}

/** @throws FormatError unless `bytes` is what `encodeProof` gives. Judges no signature or path. */
export function parseProof(bytes: Uint8Array): LogProof {
  if (bytes.length > proofBytesMax) {
    throw new FormatError("bad_proof", `proof of ${bytes.length} bytes, at most ${proofBytesMax}`);
  }
  const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const split = view.indexOf("\n\n");
  if (split < 0) throw new FormatError("bad_proof", "no empty line before the checkpoint");
  try {
    const lines = decodeUtf8(view.subarray(0, split)).split("\n");
    return { ...parseLines(lines), checkpoint: bytes.subarray(split + 2) };
  } catch (cause) {
    if (cause instanceof FormatError) throw cause;
    throw new FormatError("bad_proof", "proof: a line is not base64", { cause });
  }
}

function parseLines(lines: readonly string[]): Omit<LogProof, "checkpoint"> {
  const rest = [...lines];
  if (rest.shift() !== PROOF_START) {
    throw new FormatError("bad_proof", `expected the line ${PROOF_START}`);
  }
  const extra = rest[0]?.startsWith("extra ") ? rest.shift()!.slice("extra ".length) : undefined;
  const indexText = /^index (0|[1-9]\d{0,15})$/.exec(rest.shift() ?? "")?.[1];
  const index = Number(indexText);
  if (!Number.isSafeInteger(index)) throw new FormatError("bad_proof", "expected a line: index N");
  if (rest.length > pathLengthMax) throw new FormatError("bad_proof", "path is too long");
  const path = rest.map((line) => fromBase64(line));
  if (path.some((hash) => hash.length !== digestBytes)) {
    throw new FormatError("bad_proof", "a hash of the path is not 32 bytes");
  }
  return { ...(extra === undefined ? {} : { extra: fromBase64(extra) }), index, path };
}
