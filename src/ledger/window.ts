/**
 * The newest record ids with their fingerprints and MACs, packed: what a repeat is recognised by.
 * The window is a function of the log: the last `capacity` action records in log order, whatever
 * restarts lie between.
 *
 * Ids come from senders and are not keyed, so buckets are chosen by a hash with a secret of this
 * process, entries of one bucket are linked in log order, and the number of entries of one id that
 * a lookup compares is bounded.
 */
import { digestBytes, fingerprintBytes, recordIdBytes } from "../audit/prepared-batch.ts";

/** One entry: id, fingerprint, MAC of the record, which names it in `conflict_of`. */
export const entryBytes: number = recordIdBytes + fingerprintBytes + digestBytes;
const entryWords = entryBytes / 4;
const macOffset = recordIdBytes + fingerprintBytes;
const none = 0xffff_ffff;
/** Versions of one id that are told apart; a further one always counts as another conflict. */
const versionsMax = 64;

export class DedupeWindow {
  readonly capacity: number;
  /** Position, in log order and without end, of the entry after the newest. */
  end = 0;
  readonly #ring: Buffer;
  readonly #words: Uint32Array;
  readonly #heads: Uint32Array;
  readonly #tails: Uint32Array;
  readonly #next: Uint32Array;
  readonly #secret: number;
  readonly #mask: number;
  #count = 0;

  /** `secret`: 32 random bits. */
  constructor(capacity: number, secret: number) {
    this.capacity = capacity;
    this.#secret = secret;
    // Pages of a large array become resident as they are used, not before.
    const memory = new ArrayBuffer(capacity * entryBytes);
    this.#ring = Buffer.from(memory);
    this.#words = new Uint32Array(memory);
    const buckets = 2 ** Math.max(4, Math.ceil(Math.log2(capacity)));
    this.#mask = buckets - 1;
    this.#heads = new Uint32Array(buckets).fill(none);
    this.#tails = new Uint32Array(buckets);
    this.#next = new Uint32Array(capacity);
  }

  get count(): number {
    return this.#count;
  }

  /**
   * Looks up the id at `offset` of `ids`. Answers the slot of an entry with the same fingerprint
   * (a repeat), else `-2 - slot` of the newest entry with that id (a conflict), else -1.
   */
  find(ids: Uint32Array, fingerprints: Uint32Array, offset: number): number {
    const words = this.#words;
    let version = -1;
    let versions = 0;
    let slot = this.#heads[this.#bucket(ids, offset)]!;
    while (slot !== none && versions < versionsMax) {
      const at = slot * entryWords;
      if (
        words[at] === ids[offset] &&
        words[at + 1] === ids[offset + 1] &&
        words[at + 2] === ids[offset + 2] &&
        words[at + 3] === ids[offset + 3]
      ) {
        if (
          words[at + 4] === fingerprints[offset] &&
          words[at + 5] === fingerprints[offset + 1] &&
          words[at + 6] === fingerprints[offset + 2] &&
          words[at + 7] === fingerprints[offset + 3]
        ) {
          return slot;
        }
        version = -2 - slot;
        versions++;
      }
      slot = this.#next[slot]!;
    }
    return version;
  }

  /** The MAC of the record in `slot` as hexadecimal. */
  macAt(slot: number): string {
    const start = slot * entryBytes + macOffset;
    return this.#ring.toString("hex", start, start + digestBytes);
  }

  /** Notes the MAC that stands at `offset` of `macs`. */
  setMac(slot: number, macs: Buffer, offset: number): void {
    macs.copy(this.#ring, slot * entryBytes + macOffset, offset, offset + digestBytes);
  }

  /** Adds the entry whose id and fingerprint stand at word `offset`; answers its slot. */
  add(ids: Uint32Array, fingerprints: Uint32Array, offset: number): number {
    const slot = this.#claim();
    const at = slot * entryWords;
    const words = this.#words;
    for (let word = 0; word < 4; word++) {
      words[at + word] = ids[offset + word]!;
      words[at + 4 + word] = fingerprints[offset + word]!;
    }
    this.#link(slot);
    return slot;
  }

  /** Adds entries as `copy` gave them. */
  restore(entries: Uint8Array): void {
    for (let start = 0; start < entries.length; start += entryBytes) {
      const slot = this.#claim();
      this.#ring.set(entries.subarray(start, start + entryBytes), slot * entryBytes);
      this.#link(slot);
    }
  }

  /** A copy of the entries at positions `[start, end)`, which must still be in the window. */
  copy(start: number, end: number = this.end): Uint8Array {
    const bytes = new Uint8Array((end - start) * entryBytes);
    const first = (start % this.capacity) * entryBytes;
    const beforeWrap = Math.min(bytes.length, this.#ring.length - first);
    bytes.set(this.#ring.subarray(first, first + beforeWrap));
    bytes.set(this.#ring.subarray(0, bytes.length - beforeWrap), beforeWrap);
    return bytes;
  }

  /** Empties the window; the next entry takes position `end`. */
  clear(end: number = 0): void {
    this.#heads.fill(none);
    this.#count = 0;
    this.end = end;
  }

  #claim(): number {
    const slot = this.end % this.capacity;
    if (this.#count === this.capacity) this.#evict(slot);
    this.#count++;
    this.end++;
    return slot;
  }

  #link(slot: number): void {
    const bucket = this.#bucket(this.#words, slot * entryWords);
    this.#next[slot] = none;
    if (this.#heads[bucket] === none) this.#heads[bucket] = slot;
    else this.#next[this.#tails[bucket]!] = slot;
    this.#tails[bucket] = slot;
  }

  /** The oldest entry of all is the first of its bucket. */
  #evict(slot: number): void {
    this.#heads[this.#bucket(this.#words, slot * entryWords)] = this.#next[slot]!;
    this.#count--;
  }

  #bucket(words: Uint32Array, at: number): number {
    let hash = this.#secret;
    for (let word = 0; word < 4; word++) {
      hash = Math.imul(hash ^ words[at + word]!, 0x9e37_79b1);
      hash ^= hash >>> 15;
    }
    return (Math.imul(hash, 0x85eb_ca6b) >>> 7) & this.#mask;
  }
}
