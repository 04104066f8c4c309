/**
 * The sieve that every byte of a request falls through: sixteen bytes at a time in a vector, it tells
 * which neighbours are worth a look. It knows nothing of protobuf or of words.
 *
 * Attacker-controlled bytes are first looked at here.
 */
import {
  add,
  bytes as byteLanes,
  type Code,
  type Computation,
  type ComputationSource,
  compile,
  get,
  integer,
  lanes,
  lessThan,
  numbered,
  repeatWhile,
  set,
  words,
} from "../../bytes/wasm-module.ts";

/** Three neighbours: what each may be, one character per byte. */
export type Triple = readonly [string, string, string];

/** A block of bytes with something in it, as two words of `hits`: see `Sieve.pass`. */
export const wordsPerHit = 2;
const bytesPerHit = 4 * wordsPerHit;

export const blockBytes = 16;
/** Large enough to make the call cheap, small enough to stay in the cache. */
const chunkBytes = 65_536;
/** A run of one class of bytes counts from here on. */
export const runBytesMin = 7;

/**
 * Finds triples, and runs of at least `runBytesMin` bytes of `run`. A triple is found by the halves
 * of its bytes, so some more are found than were asked for, never less; behind the last byte there
 * are zeros.
 */
export class Sieve {
  /** Words of hits, valid until the next pass. */
  readonly hits: Int32Array;
  readonly #memory: Uint8Array;
  readonly #words: Int32Array;
  readonly #run: Computation["run"];

  /** @param triples at most sixteen */
  constructor(triples: readonly Triple[], run: string) {
    const memory = instance();
    this.#run = memory.run;
    this.#memory = new Uint8Array(memory.memory);
    this.#words = new Int32Array(memory.memory);
    this.hits = new Int32Array(memory.memory, hitsAt);
    this.#memory.set(tablesOf(triples, run));
  }

  /**
   * Passes over all of `bytes`, chunk by chunk, and calls `take` where a chunk has hits, with their
   * number and the offset that theirs are relative to. Hit i is `hits[2i]`, where a block begins,
   * and `hits[2i + 1]`: its bit k says that a triple begins at byte k of the block, bit 16 + k that
   * bytes k - 6 to k belong to a run.
   */
  pass(bytes: Uint8Array, take: (hits: number, base: number) => void): void {
    const memory = this.#memory;
    this.#words[runsBefore >> 2] = 0;
    for (let from = 0; from < bytes.length; from += chunkBytes) {
      const size = Math.min(chunkBytes, bytes.length - from);
      // Two bytes more, because a triple may begin with the last.
      const copied = Math.min(size + 2, bytes.length - from);
      memory.set(copied === bytes.length ? bytes : bytes.subarray(from, from + copied), inputAt);
      memory.fill(0, inputAt + copied, inputAt + copied + blockBytes + 2);
      this.#run(inputAt, inputAt + size, hitsAt);
      const hits = (this.#words[hitsEnd >> 2]! - hitsAt) / bytesPerHit;
      if (hits > 0) take(hits, from - inputAt);
    }
  }
}

let instantiate: ReturnType<typeof compile> | undefined;

function instance(): Computation {
  instantiate ??= compile(program());
  return instantiate(hitsAt + (chunkBytes / blockBytes + 1) * bytesPerHit);
}

/**
 * Tables of sixteen bytes, one for each half of a byte: whether a byte is of a class is one bit that
 * the tables of both its halves have. The three bytes of triples 0 to 7, those of triples 8 to 15,
 * and the class of runs; then sixteen bytes of 15, which take the lower half of a byte.
 */
const runTable = 12;
const tables = 14;
const lowerHalfAt = tables * blockBytes;
/** A word that is carried from block to block: bit k, whether byte k of the last is of the run. */
const runsBefore = lowerHalfAt + blockBytes;
const hitsEnd = runsBefore + 4;
const inputAt = 256;
const hitsAt = inputAt + chunkBytes + 2 * blockBytes;

function tablesOf(triples: readonly Triple[], run: string): Uint8Array {
  if (triples.length > 16) throw new RangeError("more than sixteen triples");
  const memory = new Uint8Array(lowerHalfAt + blockBytes);
  const put = (table: number, half: number, bits: number): void => {
    memory[table * blockBytes + half]! |= bits;
  };
  triples.forEach((triple, number) => {
    triple.forEach((side, place) => {
      const table = (number < 8 ? 0 : 6) + 2 * place;
      for (const byte of Buffer.from(side, "latin1")) {
        put(table, byte & 15, 1 << (number & 7));
        put(table + 1, byte >> 4, 1 << (number & 7));
      }
    });
  });
  // Upper halves with the same lower ones share a bit, so that nothing but `run` has it.
  const lowerHalves = new Map<number, number>();
  for (const byte of Buffer.from(run, "latin1")) {
    lowerHalves.set(byte >> 4, (lowerHalves.get(byte >> 4) ?? 0) | (1 << (byte & 15)));
  }
  const kinds = [...new Set(lowerHalves.values())];
  if (kinds.length > 8) throw new RangeError("the run has too many kinds of bytes");
  for (const [upper, lower] of lowerHalves) put(runTable + 1, upper, 1 << kinds.indexOf(lower));
  kinds.forEach((lower, kind) => {
    for (let half = 0; half < 16; half++) if ((lower >> half) & 1) put(runTable, half, 1 << kind);
  });
  memory.fill(15, lowerHalfAt);
  return memory;
}

const [INPUT, INPUT_END, HIT] = [0, 1, 2] as const;
const [MASK, RUNS] = [3, 4] as const;
const firstVector = 5;
const TABLE = numbered(firstVector, tables + 1);
/** Each of the three bytes of all sixteen triples: its lower half, then its upper. */
const LOWER = numbered(firstVector + tables + 1, 3);
const UPPER = numbered(firstVector + tables + 4, 3);
const ZERO = firstVector + tables + 7;

function program(): ComputationSource {
  const inClass = (table: number, place: number): Code =>
    lanes.and(
      byteLanes.lookUp(get(TABLE[table]!), get(LOWER[place]!)),
      byteLanes.lookUp(get(TABLE[table + 1]!), get(UPPER[place]!)),
    );
  const triples = (table: number): Code =>
    lanes.and(lanes.and(inClass(table, 0), inClass(table + 2, 1)), inClass(table + 4, 2));
  const block: Code = [
    ...LOWER.flatMap((local, place) => set(local, lanes.load(get(INPUT), place))),
    ...UPPER.flatMap((local, place) => set(local, byteLanes.shiftRight(get(LOWER[place]!), 4))),
    ...LOWER.flatMap((local) => set(local, lanes.and(get(local), get(TABLE[tables]!)))),
    ...set(MASK, byteLanes.difference(lanes.or(triples(0), triples(6)), get(ZERO))),
    // The block before in the lower half of the word, this one in the upper.
    ...set(
      RUNS,
      words.or(
        get(RUNS),
        words.shiftLeft(byteLanes.difference(inClass(runTable, 0), get(ZERO)), 16),
      ),
    ),
    ...set(MASK, words.or(get(MASK), words.shiftLeft(sevenInARow(RUNS), 16))),
    ...set(RUNS, words.shiftRight(get(RUNS), 16)),
    // Written in any case, kept where there is something: no branch is taken.
    ...words.store(get(HIT), get(INPUT)),
    ...words.store(get(HIT), get(MASK), 4),
    ...set(HIT, add(get(HIT), words.shiftLeft(words.notZero(get(MASK)), 3))),
    ...set(INPUT, add(get(INPUT), integer(blockBytes))),
  ];
  return {
    parameters: 3,
    integers: 2,
    vectors: tables + 8,
    body: [
      ...TABLE.flatMap((local, table) => set(local, lanes.load(integer(0), table * blockBytes))),
      ...set(RUNS, words.load(integer(runsBefore))),
      ...repeatWhile(block, lessThan(get(INPUT), get(INPUT_END))),
      ...words.store(integer(runsBefore), get(RUNS)),
      ...words.store(integer(hitsEnd), get(HIT)),
    ],
  };
}

/** Bit k: bits k + 10 to k + 16 of the local are all set. The local is left alone. */
function sevenInARow(local: number): Code {
  const two = words.and(get(local), words.shiftRight(get(local), 1));
  const four = words.and(two, words.shiftRight(two, 2));
  return words.shiftRight(words.and(four, words.shiftRight(four, 3)), 10);
}
