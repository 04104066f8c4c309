/** The hashes of a line, from its bytes where they lie: nothing is copied but into hash inputs. */
import { readHex } from "../bytes/hex.ts";
import { sha256Hex, sha256Latin1 } from "../bytes/sha256.ts";
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

export class RecordHashes {
  readonly #body = new PrefixedInput(PREFIX.body);
  readonly #entryInput = new PrefixedInput(PREFIX.entry);
  /** Of the last line, 32 bytes each. */
  readonly entry: Buffer = Buffer.alloc(digestBytes);
  readonly mac: Buffer = Buffer.alloc(digestBytes);

  /** True where the line's body is the one whose digest its head holds. */
  isBodyTheirs({ bytes, bodyStart, bodyEnd, bodyDigestAt }: ScannedLine): boolean {
    const digest = sha256Hex(this.#body.fill(bytes, bodyStart, bodyEnd, 0));
    for (let at = 0; at < digest.length; at++) {
      if (digest.charCodeAt(at) !== bytes[bodyDigestAt + at]) return false;
    }
    return true;
  }

  /** Sets `entry` and `mac`. */
  enter({ bytes, headStart, headEnd, macAt }: ScannedLine): void {
    readHex(bytes, macAt, this.mac, 0, digestBytes);
    const input = this.#entryInput.fill(bytes, headStart, headEnd, digestBytes);
    const end = input.length - digestBytes;
    for (let at = 0; at < digestBytes; at++) input[end + at] = this.mac[at]!;
    writeLatin1(this.entry, 0, sha256Latin1(input));
  }

  /** True where `mac`, as latin1 text, is that of the last line. */
  isMac(mac: string): boolean {
    for (let at = 0; at < digestBytes; at++) if (mac.charCodeAt(at) !== this.mac[at]) return false;
    return true;
  }
}
