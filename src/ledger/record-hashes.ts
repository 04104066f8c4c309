/** The hashes of a line, from its bytes where they lie: nothing is copied but into hash inputs. */
import { copyBytes } from "../bytes/copy.ts";
import { holdsHexOf, readHex } from "../bytes/hex.ts";
import { sha256Latin1 } from "../bytes/sha256.ts";
import { digestBytes, PREFIX } from "./digest.ts";
import type { ScannedLine } from "./line.ts";
import { writeLatin1 } from "./record-mac.ts";

const inputBytesAtFirst = 64 * 1024;

/** Views up to this length are kept: making one costs as much as hashing a short text. */
const viewBytesMax = 4096;

/** A growing buffer that begins with a prefix. */
class PrefixedInput {
  #buffer = Buffer.alloc(inputBytesAtFirst);
  #views: (Buffer | undefined)[] = [];
  readonly #prefix: Buffer;

  constructor(prefix: string) {
    this.#prefix = Buffer.from(prefix, "latin1");
    this.#prefix.copy(this.#buffer);
  }

  /** Prefix, then `bytes[start, end)`, then room for `extra` bytes. */
  // oxlint-disable-next-line max-params -- a place in bytes, on the hot path
  fill(bytes: Buffer, start: number, end: number, extra: number): Buffer {
    const at = this.#prefix.length;
    const length = at + end - start + extra;
    if (length > this.#buffer.length) this.#grow(length * 2);
    bytes.copy(this.#buffer, at, start, end);
    if (length > viewBytesMax) return this.#buffer.subarray(0, length);
    return (this.#views[length] ??= this.#buffer.subarray(0, length));
  }

  #grow(length: number): void {
    this.#buffer = Buffer.alloc(length);
    this.#prefix.copy(this.#buffer);
    this.#views = [];
  }
}

export interface RecordDigests {
  /** 32 bytes each. */
  readonly entry: Buffer;
  readonly macBytes: Buffer;
}

export class RecordHashes {
  readonly #body = new PrefixedInput(PREFIX.body);
  readonly #entryInput = new PrefixedInput(PREFIX.entry);

  /** True where the line's body is the one whose digest its head holds. */
  isBodyTheirs({ bytes, bodyStart, bodyEnd, bodyDigestAt }: ScannedLine): boolean {
    const digest = sha256Latin1(this.#body.fill(bytes, bodyStart, bodyEnd, 0));
    return holdsHexOf(bytes, bodyDigestAt, digest);
  }

  /** Writes the line's tree entry and its MAC. */
  enter({ bytes, headStart, headEnd, macAt }: ScannedLine, to: RecordDigests): void {
    const { entry, macBytes } = to;
    readHex(bytes, macAt, macBytes, 0, digestBytes);
    const input = this.#entryInput.fill(bytes, headStart, headEnd, digestBytes);
    const end = input.length - digestBytes;
    copyBytes(macBytes, 0, input, end, digestBytes);
    writeLatin1(entry, 0, sha256Latin1(input));
  }
}
