/**
 * MACs of heads: HMAC-SHA256 (RFC 2104) as two one-shot hashes over padded keys, half the cost of an
 * Hmac object. Results are latin1 strings of 32 characters, the cheapest form that a hash comes in.
 */
import { Sha256Lanes } from "../bytes/sha256-lanes.ts";
import { sha256Latin1 } from "../bytes/sha256.ts";
import { digestBytes, PREFIX } from "./digest.ts";

const blockBytes = 64;
const recordPrefix = Buffer.from(PREFIX.record, "latin1");
/** What stands before a head in the inner hash: the padded key and the prefix of records. */
export const innerFrameBytes: number = blockBytes + recordPrefix.length;
/** Heads are a few hundred bytes; longer ones take a buffer of their own. */
const headBytesUsual = 2048;

const innerPad = 0x36;
const outerPad = 0x5c;

/** Room for `byteCount` bytes, with what stands before a head but for the key. */
export function innerFrame(byteCount: number): Buffer {
  const inner = Buffer.alloc(byteCount);
  inner.fill(innerPad, 0, blockBytes);
  inner.set(recordPrefix, blockBytes);
  return inner;
}

/** Writes the 32-byte chain key at `keys[keyAt]` to what `innerFrame` gave. */
export function writeInnerKey(inner: Uint8Array, keys: Uint8Array, keyAt: number): void {
  for (let at = 0; at < digestBytes; at++) inner[at] = keys[keyAt + at]! ^ innerPad;
}

/** The outer hash of one chain. */
export class OuterHash {
  readonly #input = Buffer.alloc(blockBytes + digestBytes, outerPad);

  useKey(keys: Uint8Array, keyAt: number): void {
    for (let at = 0; at < digestBytes; at++) this.#input[at] = keys[keyAt + at]! ^ outerPad;
  }

  /** MAC from the inner hash as latin1 text. */
  of(inner: string): string {
    writeLatin1(this.#input, blockBytes, inner);
    return sha256Latin1(this.#input);
  }
}

/** Writes a digest of 32 characters. */
export function writeLatin1(target: Uint8Array, at: number, digest: string): void {
  for (let byte = 0; byte < digestBytes; byte++) target[at + byte] = digest.charCodeAt(byte);
}

/** The inner hashes of one head after another. */
class InnerHash {
  readonly #input = innerFrame(innerFrameBytes + headBytesUsual);
  /** Views of the input by length: making one costs as much as hashing a short text. */
  readonly #views: (Buffer | undefined)[] = [];

  useKey(keys: Uint8Array, keyAt: number): void {
    writeInnerKey(this.#input, keys, keyAt);
  }

  /** Of the head `bytes[start, end)`, as latin1 text. */
  of(bytes: Buffer, start: number, end: number): string {
    const length = innerFrameBytes + end - start;
    const isUsual = length <= this.#input.length;
    const input = isUsual ? this.#viewOf(length) : Buffer.alloc(length);
    if (!isUsual) this.#input.copy(input, 0, 0, innerFrameBytes);
    bytes.copy(input, innerFrameBytes, start, end);
    return sha256Latin1(input);
  }

  #viewOf(length: number): Buffer {
    return (this.#views[length] ??= this.#input.subarray(0, length));
  }
}

/** MACs under one chain key after another. */
export class RecordMac {
  readonly #inner = new InnerHash();
  readonly #outer = new OuterHash();
  #keys: Uint8Array | undefined;
  #keyAt = -1;

  /** Later MACs are under the 32-byte key at `keys[keyAt]`, which does not change meanwhile. */
  useKey(keys: Uint8Array, keyAt: number = 0): void {
    if (keys === this.#keys && keyAt === this.#keyAt) return;
    this.#keys = keys;
    this.#keyAt = keyAt;
    this.#inner.useKey(keys, keyAt);
    this.#outer.useKey(keys, keyAt);
  }

  /** MAC of the head `bytes[start, end)`. */
  of(bytes: Buffer, start: number, end: number): string {
    return this.#outer.of(this.#inner.of(bytes, start, end));
  }
}

/** Up to `capacity` MACs, each under its own chain key: their outer hashes are made side by side. */
export class RecordMacs {
  readonly #inner = new InnerHash();
  readonly #outer: Sha256Lanes;
  #count = 0;

  constructor(capacity: number) {
    this.#outer = new Sha256Lanes(new Uint8Array(0), blockBytes + digestBytes, capacity);
    for (let message = 0; message < capacity; message++) {
      const at = message * this.#outer.stride;
      this.#outer.messages.fill(outerPad, at, at + blockBytes);
    }
  }

  /** Begins the MAC of the head `bytes[start, end)` under the key at `keys[keyAt]`. */
  // oxlint-disable-next-line max-params -- two places in bytes, on the hot path
  add(keys: Uint8Array, keyAt: number, bytes: Buffer, start: number, end: number): void {
    const { messages, stride } = this.#outer;
    const to = this.#count++ * stride;
    for (let at = 0; at < digestBytes; at++) messages[to + at] = keys[keyAt + at]! ^ outerPad;
    this.#inner.useKey(keys, keyAt);
    writeLatin1(messages, to + blockBytes, this.#inner.of(bytes, start, end));
  }

  /** All that were begun, 32 bytes each in their order: until the next time. */
  finish(): Uint8Array {
    this.#outer.digest(this.#count);
    this.#count = 0;
    return this.#outer.digests;
  }
}
