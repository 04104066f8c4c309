/**
 * The names of a ledger's chains, numbered as they come. They are found by the bytes of a line without
 * making texts of them, and kept as a state snapshot has them: a hundred thousand are a few arrays.
 */
import { randomBytes } from "node:crypto";

import type { ChainName } from "../audit/prepared-batch.ts";
import { chainNameCharsMax } from "../limits.ts";
import type { ScannedLine } from "./line.ts";
import { roomFor } from "./room.ts";

const LINE_FEED = 0x0a;
const slotsAtFirst = 64;
const usualBytes = 32;
/** Names come from senders: none can choose many that fall into one place. */
const secret: number = randomBytes(4).readInt32LE();

export class ChainNames {
  #count = 0;
  /** Namespace and tenant of each, each with a line feed behind it: names have none. */
  #bytes: Buffer = Buffer.alloc(slotsAtFirst * usualBytes);
  /** By slot: where its names begin; those of the next one are the end. */
  #starts: Uint32Array = new Uint32Array(slotsAtFirst + 1);
  /** By hash: a slot plus one, or 0. At least half are free. */
  #places: Int32Array = new Int32Array(2 * slotsAtFirst);
  /** The names that are looked for. */
  readonly #wanted = Buffer.alloc(2 * (chainNameCharsMax + 1));

  get count(): number {
    return this.#count;
  }

  /** The slot of the chain, or -1. */
  find({ namespace, tenant }: ChainName): number {
    const middle = putText(this.#wanted, 0, namespace);
    return this.#find(putText(this.#wanted, middle, tenant));
  }

  /** The slot of the line's chain, or -1. */
  findOf({ bytes, namespaceAt, namespaceEnd, tenantAt, tenantEnd }: ScannedLine): number {
    const middle = putBytes(this.#wanted, 0, bytes, [namespaceAt, namespaceEnd]);
    return this.#find(putBytes(this.#wanted, middle, bytes, [tenantAt, tenantEnd]));
  }

  #find(wantedEnd: number): number {
    const places = this.#places;
    for (let place = hashOf(this.#wanted, 0, wantedEnd); ; place++) {
      const slot = places[place & (places.length - 1)]! - 1;
      if (slot < 0 || this.#isWanted(slot, wantedEnd)) return slot;
    }
  }

  #isWanted(slot: number, wantedEnd: number): boolean {
    const start = this.#starts[slot]!;
    if (this.#starts[slot + 1]! - start !== wantedEnd) return false;
    const [bytes, wanted] = [this.#bytes, this.#wanted];
    for (let at = 0; at < wantedEnd; at++) if (bytes[start + at] !== wanted[at]) return false;
    return true;
  }

  nameOf(slot: number): ChainName {
    const text = this.#bytes.toString("latin1", this.#starts[slot], this.#starts[slot + 1]);
    const [namespace, tenant] = text.split("\n") as [string, string];
    return { namespace, tenant };
  }

  /** Answers the slot of a chain that has none yet. */
  add({ namespace, tenant }: ChainName): number {
    const slot = this.#count++;
    const start = this.#starts[slot]!;
    const text = `${namespace}\n${tenant}\n`;
    this.#reserve(this.#count, start + text.length);
    this.#bytes.write(text, start, "latin1");
    this.#starts[slot + 1] = start + text.length;
    if (2 * this.#count > this.#places.length) this.#placeAll();
    else this.#place(slot);
    return slot;
  }

  #reserve(count: number, byteCount: number): void {
    if (byteCount > this.#bytes.length) {
      this.#bytes = Buffer.concat([this.#bytes], Math.max(2 * this.#bytes.length, byteCount));
    }
    this.#starts = roomFor(this.#starts, count + 1);
  }

  #placeAll(): void {
    this.#places = new Int32Array(2 ** Math.ceil(Math.log2(4 * this.#count)));
    for (let slot = 0; slot < this.#count; slot++) this.#place(slot);
  }

  #place(slot: number): void {
    this.#places[this.#placeOf(slot, 0)] = slot + 1;
  }

  /** The first place of the slot's name that holds `held`. */
  #placeOf(slot: number, held: number): number {
    const places = this.#places;
    let place = hashOf(this.#bytes, this.#starts[slot]!, this.#starts[slot + 1]!);
    while (places[place & (places.length - 1)] !== held) place++;
    return place & (places.length - 1);
  }

  /** Takes the newest name back. No other was placed behind it. */
  removeLast(): void {
    this.#places[this.#placeOf(this.#count - 1, this.#count)] = 0;
    this.#count--;
  }

  /** All names in order. */
  pack(): Buffer {
    return Buffer.from(this.#bytes.subarray(0, this.#starts[this.#count]));
  }

  /** `count` names as `pack` gave them, into none. */
  restore(names: Uint8Array, count: number): void {
    this.#reserve(count, names.length);
    this.#bytes.set(names);
    for (let at = 0, feeds = 0; at < names.length; at++) {
      if (names[at] === LINE_FEED && ++feeds % 2 === 0) this.#starts[feeds / 2] = at + 1;
    }
    this.#count = count;
    this.#placeAll();
  }
}

/** Answers where it ends. @throws RangeError for what no chain can be called: one would become two. */
function putText(target: Uint8Array, at: number, name: string): number {
  let bits = 0;
  for (let char = 0; char < name.length; char++) {
    const code = name.charCodeAt(char);
    target[at + char] = code;
    bits |= code;
  }
  if (bits > 0x7f || name.length > chainNameCharsMax) {
    throw new RangeError(`no chain can be of the name ${name}`);
  }
  target[at + name.length] = LINE_FEED;
  return at + name.length + 1;
}

function putBytes(
  target: Uint8Array,
  at: number,
  bytes: Uint8Array,
  [start, end]: readonly [number, number],
): number {
  let to = at;
  for (let from = start; from < end; from++) target[to++] = bytes[from]!;
  target[to] = LINE_FEED;
  return to + 1;
}

function hashOf(bytes: Uint8Array, start: number, end: number): number {
  let hash = secret;
  for (let at = start; at < end; at++) {
    hash = Math.imul(hash ^ bytes[at]!, 0x9e37_79b1);
    hash ^= hash >>> 15;
  }
  return hash >>> 1;
}
