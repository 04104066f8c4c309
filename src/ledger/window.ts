/**
 * The newest record ids with their indexes, packed: what a repeat is recognised by. The window is a
 * function of the log: the last `capacity` action records in log order, whatever restarts lie
 * between.
 *
 * Ids come from senders and are not keyed, so buckets are chosen by a hash with a secret of this
 * process. A bucket names its newest entry, each entry an older one of its bucket. Nothing is
 * unlinked: a link is followed only while it leads to an older entry, so one to a slot that was
 * taken over ends the walk or passes entries of other buckets, which no id of this one equals.
 *
 * All stands in one memory, of which pages become resident as they are written to. It stays, so it
 * lies apart from memory that comes and goes, which it would break into pieces.
 */
import { dataViewOf } from "../bytes/copy.ts";
import { recordIdBytes } from "../audit/prepared-batch.ts";
import { blockMemory } from "../bytes/block-memory.ts";

/** One entry as `copy` gives it: id, index as unsigned 64-bit big-endian. */
export const entryBytes: number = recordIdBytes + 8;

/** An entry in memory: four words id, low word of its index, older slot. */
const entryWords = 6;
const indexAt = 4;
const olderAt = 5;

export class DedupeWindow {
  readonly capacity: number;
  /** Position, in log order and without end, of the entry after the newest. */
  end = 0;
  readonly #words: Uint32Array;
  /** Slot of each bucket's newest entry; the entry there may be another bucket's. */
  readonly #newest: Uint32Array;
  readonly #secret: number;
  #count = 0;
  /** Index of the newest entry. */
  #lastIndex = 0;
  #lastSlot: number;

  /** `secret`: 32 random bits. */
  constructor(capacity: number, secret: number) {
    this.capacity = capacity;
    this.#lastSlot = capacity - 1;
    this.#secret = secret;
    const words = capacity * entryWords;
    const buckets = 2 ** Math.max(4, Math.ceil(Math.log2(capacity)));
    const { buffer } = blockMemory(4 * (words + buckets));
    this.#words = new Uint32Array(buffer, 0, words);
    this.#newest = new Uint32Array(buffer, 4 * words, buckets);
  }

  /** An empty window of its own with the same secret. */
  another(capacity: number): DedupeWindow {
    return new DedupeWindow(capacity, this.#secret);
  }

  get count(): number {
    return this.#count;
  }

  /** The slot of the newest entry with the id at word `offset` of `ids`, or -1. */
  newest(ids: Uint32Array, offset: number): number {
    return this.#alike(this.#newest[this.#bucket(ids, offset)]!, -1, ids, offset);
  }

  /** The slot of the next older entry with the id of the one in `slot`, or -1. */
  older(slot: number): number {
    const words = this.#words;
    const at = slot * entryWords;
    return this.#alike(words[at + olderAt]!, this.#ageOf(slot), words, at);
  }

  /** Follows the links of a bucket from an entry that is expected to be older than `newerAge`. */
  // oxlint-disable-next-line max-params -- a place in the window and one in the ids
  #alike(first: number, newerAge: number, ids: Uint32Array, offset: number): number {
    const words = this.#words;
    let slot = first;
    for (let age = newerAge; ;) {
      const olderAge = this.#ageOf(slot);
      if (olderAge <= age || olderAge >= this.#count) return -1;
      age = olderAge;
      const at = slot * entryWords;
      if (
        words[at] === ids[offset] &&
        words[at + 1] === ids[offset + 1] &&
        words[at + 2] === ids[offset + 2] &&
        words[at + 3] === ids[offset + 3]
      ) {
        return slot;
      }
      slot = words[at + olderAt]!;
    }
  }

  /** Index of the record in `slot`. The window never spans 2^32 records. */
  indexOf(slot: number): number {
    const low = this.#words[slot * entryWords + indexAt]!;
    return this.#lastIndex - ((this.#lastIndex - low) >>> 0);
  }

  /** Adds the record `index` whose id stands at word `offset`. */
  add(ids: Uint32Array, offset: number, index: number): void {
    // As `end % capacity`, which costs more than the rest.
    const next = this.#lastSlot + 1;
    const slot = next === this.capacity ? 0 : next;
    const words = this.#words;
    const at = slot * entryWords;
    words[at] = ids[offset]!;
    words[at + 1] = ids[offset + 1]!;
    words[at + 2] = ids[offset + 2]!;
    words[at + 3] = ids[offset + 3]!;
    words[at + indexAt] = index;
    const bucket = this.#bucket(ids, offset);
    words[at + olderAt] = this.#newest[bucket]!;
    this.#newest[bucket] = slot;
    this.#lastSlot = slot;
    this.#lastIndex = index;
    this.end++;
    if (this.#count < this.capacity) this.#count++;
  }

  /** Adds entries as `copy` gave them. */
  restore(entries: Uint8Array): void {
    const view = dataViewOf(entries);
    // A copy, because words must be aligned.
    const words = new Uint32Array(new Uint8Array(entries).buffer);
    for (let start = 0; start < entries.length; start += entryBytes) {
      const index = view.getUint32(start + 16) * 2 ** 32 + view.getUint32(start + 20);
      this.add(words, start / 4, index);
    }
  }

  /** A copy of the entries from position `start` on, which must still be in the window. */
  copy(start: number): Uint8Array {
    const bytes = Buffer.alloc((this.end - start) * entryBytes);
    const words = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    for (let position = start; position < this.end; position++) {
      const slot = position % this.capacity;
      const at = slot * entryWords;
      const to = ((position - start) * entryBytes) / 4;
      for (let word = 0; word < indexAt; word++) words[to + word] = this.#words[at + word]!;
      const index = this.indexOf(slot);
      bytes.writeUInt32BE(Math.floor(index / 2 ** 32), (to + indexAt) * 4);
      bytes.writeUInt32BE(index >>> 0, (to + indexAt + 1) * 4);
    }
    return bytes;
  }

  /** Empties the window; the next entry takes position `end`. */
  clear(end: number = 0): void {
    this.#count = 0;
    this.end = end;
    this.#lastSlot = (end + this.capacity - 1) % this.capacity;
  }

  /** How many entries are newer than the one in `slot`. */
  #ageOf(slot: number): number {
    const distance = this.#lastSlot - slot;
    return distance < 0 ? distance + this.capacity : distance;
  }

  #bucket(words: Uint32Array, at: number): number {
    let hash = this.#secret;
    for (let word = 0; word < 4; word++) {
      hash = Math.imul(hash ^ words[at + word]!, 0x9e37_79b1);
      hash ^= hash >>> 15;
    }
    return (Math.imul(hash, 0x85eb_ca6b) >>> 7) & (this.#newest.length - 1);
  }
}
