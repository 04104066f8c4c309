/** The hashes of a line, from its bytes where they lie: nothing is copied but into hash inputs. */
import { hash } from "node:crypto";

import { digestBytes, PREFIX } from "../digest.ts";
import type { LineView } from "./ordering.ts";

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
  fill(bytes: Buffer, bounds: { start: number; end: number }, extra: number): Buffer {
    const at = this.#prefix.length;
    const length = at + bounds.end - bounds.start + extra;
    if (length > this.#buffer.length) this.#grow(length * 2);
    bytes.copy(this.#buffer, at, bounds.start, bounds.end);
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
  readonly #leafInput = Buffer.alloc(1 + digestBytes);
  /** Entry and leaf hash of the last line, 32 bytes each. */
  readonly entry: Buffer = this.#leafInput.subarray(1);
  readonly leaf: Buffer = Buffer.alloc(digestBytes);
  /** MAC of the last line as latin1 text, as `createRecordMac` gives it. */
  macText = "";

  bodyDigestHex(view: LineView): string {
    const bounds = { start: view.scanned.bodyStart, end: view.scanned.bodyEnd };
    return hash("sha256", this.#body.fill(view.bytes, bounds, 0), "hex");
  }

  /** Sets `entry`, `leaf` and `macText`. */
  enter(view: LineView): void {
    const { scanned } = view;
    const bounds = { start: scanned.headStart, end: scanned.headEnd };
    const input = this.#entryInput.fill(view.bytes, bounds, digestBytes);
    const macAt = input.length - digestBytes;
    input.write(scanned.mac, macAt, digestBytes, "hex");
    this.macText = input.toString("latin1", macAt);
    this.entry.write(hash("sha256", input, "binary"), 0, digestBytes, "latin1");
    this.leaf.write(hash("sha256", this.#leafInput, "binary"), 0, digestBytes, "latin1");
  }
}
