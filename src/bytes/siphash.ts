/**
 * SipHash-1-3 with 128 bits (Aumasson and Bernstein, 2012): a keyed hash for texts that may be
 * anybody's, for hashes that nobody is shown. Whoever does not know the key finds no two texts with
 * one hash.
 */
import {
  add,
  type Code,
  compile,
  type Computation,
  type ComputationSource,
  get,
  integer,
  lessThan,
  longs,
  repeatWhile,
  set,
} from "./wasm-module.ts";

export const sipKeyBytes = 16;
export const sipHashBytes = 16;

const wordRounds = 1;
const finalRounds = 3;
const wordBytes = 8;
const stateBytes = 4 * wordBytes;
const resultAt = stateBytes;
const messageAt: number = resultAt + sipHashBytes;
/** Longer messages go through the memory part by part. */
const partBytes = 8192;

/** "somepseudorandomlygeneratedbytes", as four words. */
const INITIAL = [
  0x736f6d6570736575n,
  0x646f72616e646f6dn,
  0x6c7967656e657261n,
  0x7465646279746573n,
] as const;

/** All share one memory, because none is at work while another is. */
export class SipHash {
  readonly #memory: Uint8Array;
  readonly #state: Uint8Array;
  readonly #words: DataView;
  readonly #run: (start: number, end: number) => void;
  readonly #initial: Uint8Array;

  /** @param key 16 bytes */
  constructor(key: Uint8Array) {
    computation ??= compile(program())(messageAt + partBytes + wordBytes);
    this.#memory = new Uint8Array(computation.memory);
    this.#state = new Uint8Array(computation.memory, 0, stateBytes);
    this.#words = new DataView(computation.memory);
    this.#run = computation.run;
    this.#initial = initialState(key);
  }

  /** Writes the hash of `message[start, stop)` to `target` at `at`. */
  // oxlint-disable-next-line max-params -- two places in bytes, on the hot path
  hash(message: DataView, start: number, stop: number, target: Uint8Array, at: number): void {
    const memory = this.#memory;
    this.#state.set(this.#initial);
    let from = start;
    for (; stop - from >= partBytes; from += partBytes) {
      this.#take(message, from, from + partBytes);
      this.#run(messageAt, messageAt + partBytes);
    }
    const rest = stop - from;
    this.#take(message, from, stop);
    // Filled up with zeros, and the length as the last byte of the last word.
    const end = messageAt + rest - (rest % wordBytes) + wordBytes;
    for (let place = messageAt + rest; place < end - 1; place++) memory[place] = 0;
    memory[end - 1] = stop - start;
    this.#run(messageAt, end);
    for (let index = 0; index < sipHashBytes; index++) {
      target[at + index] = memory[resultAt + index]!;
    }
  }

  /** Copies a part to the memory: a loop makes no object as a copy by the engine would. */
  #take(message: DataView, start: number, stop: number): void {
    const words = this.#words;
    let from = start;
    let to = messageAt;
    for (; from + wordBytes <= stop; from += wordBytes, to += wordBytes) {
      words.setBigInt64(to, message.getBigInt64(from, true), true);
    }
    for (; from < stop; from++, to++) words.setUint8(to, message.getUint8(from));
  }
}

let computation: Computation | undefined;

function initialState(key: Uint8Array): Uint8Array {
  const words = new DataView(key.buffer, key.byteOffset, sipKeyBytes);
  const halves = [words.getBigUint64(0, true), words.getBigUint64(8, true)] as const;
  const state = new DataView(new ArrayBuffer(stateBytes));
  for (const [index, word] of INITIAL.entries()) {
    // Of 128 bits.
    const variant = index === 1 ? 0xeen : 0n;
    state.setBigUint64(index * wordBytes, word ^ halves[index % 2]! ^ variant, true);
  }
  return new Uint8Array(state.buffer);
}

const [AT, END] = [0, 1] as const;
const V = [2, 3, 4, 5] as const;
const WORD = 6;

function program(): ComputationSource {
  const word: Code = [
    ...set(WORD, longs.load(get(AT))),
    ...set(V[3], longs.xor(get(V[3]), get(WORD))),
    ...rounds(wordRounds),
    ...set(V[0], longs.xor(get(V[0]), get(WORD))),
    ...set(AT, add(get(AT), integer(wordBytes))),
  ];
  const body: Code = [
    ...V.flatMap((local, index) => set(local, longs.load(integer(0), index * wordBytes))),
    ...repeatWhile(word, lessThan(get(AT), get(END))),
    ...V.flatMap((local, index) => longs.store(integer(0), get(local), index * wordBytes)),
    ...set(V[2], longs.xor(get(V[2]), longs.constant(0xee))),
    ...rounds(finalRounds),
    ...longs.store(integer(0), result, resultAt),
    ...set(V[1], longs.xor(get(V[1]), longs.constant(0xdd))),
    ...rounds(finalRounds),
    ...longs.store(integer(0), result, resultAt + wordBytes),
  ];
  return { parameters: 2, integers: 0, vectors: 0, longs: 5, body };
}

const result: Code = V.map((local) => get(local)).reduce((left, right) => longs.xor(left, right));

function rounds(count: number): Code {
  return Array.from({ length: count }, () => oneRound()).flat();
}

function oneRound(): Code {
  const plus = (to: number, other: number): Code => set(to, longs.add(get(to), get(other)));
  const turn = (to: number, bits: number): Code => set(to, longs.rotateLeft(get(to), bits));
  const mix = (to: number, bits: number, other: number): Code =>
    set(to, longs.xor(longs.rotateLeft(get(to), bits), get(other)));
  const [v0, v1, v2, v3] = V;
  return [
    ...plus(v0, v1),
    ...plus(v2, v3),
    ...mix(v1, 13, v0),
    ...mix(v3, 16, v2),
    ...turn(v0, 32),
    ...plus(v2, v1),
    ...plus(v0, v3),
    ...mix(v1, 17, v2),
    ...mix(v3, 21, v0),
    ...turn(v2, 32),
  ];
}
