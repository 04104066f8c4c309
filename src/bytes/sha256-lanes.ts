/**
 * SHA-256 (FIPS 180-4) of many short messages of one length, four at a time in the lanes of a vector.
 * A native call costs more than hashing a tree node takes: for one or two blocks this is several
 * times quicker, for long messages it is not.
 */
import { dataViewOf } from "./copy.ts";
import {
  add,
  type Code,
  type ComputationSource,
  compile,
  get,
  integer,
  lanes,
  lessThan,
  numbered,
  repeatWhile,
  set,
  when,
} from "./wasm-module.ts";

const digestBytes = 32;
const blockBytes = 64;
const lengthBytes = 8;
const vectorBytes = 16;

/**
 * Messages are a fixed prefix and a payload. Write the payloads into `messages`, then call `digest`;
 * or, where they are many hashes that lie side by side anyway, into `packed`, then `digestPacked`.
 *
 * What lies in `messages` and `digests` belongs to this object and is written over by its next use.
 */
export class Sha256Lanes {
  /** The messages, one each `stride` bytes, behind the prefix `payloadBytes` each. */
  readonly messages: Uint8Array;
  readonly stride: number;
  /** Where the payload begins in each message. */
  readonly payloadAt: number;
  /** The digests of the last messages, 32 bytes each. */
  readonly digests: Uint8Array;
  /** Room for payloads one behind the other: digests take their places. */
  readonly packed: Uint8Array;
  readonly capacity: number;
  readonly #run: (count: number, isPacked: boolean) => void;

  /** @param capacity number of messages at most, a multiple of four */
  constructor(prefix: Uint8Array, payloadBytes: number, capacity: number) {
    const length = prefix.length + payloadBytes;
    const blocks = Math.ceil((length + 1 + lengthBytes) / blockBytes);
    this.stride = blocks * blockBytes;
    this.payloadAt = prefix.length;
    this.capacity = capacity;
    const messagesAt = constantsBytes;
    const digestsAt = messagesAt + capacity * this.stride;
    instantiate ??= compile(program());
    const packedBytes = capacity * Math.max(payloadBytes, digestBytes);
    const { memory, run } = instantiate(digestsAt + packedBytes);
    new Uint8Array(memory).set(constants());
    this.messages = new Uint8Array(memory, messagesAt, capacity * this.stride);
    this.digests = new Uint8Array(memory, digestsAt, capacity * digestBytes);
    this.packed = new Uint8Array(memory, digestsAt, packedBytes);
    this.#pad(prefix, length);
    this.#run = (count, isPacked) => {
      const end = messagesAt + count * this.stride;
      const copied = isPacked ? payloadBytes : 0;
      run(messagesAt, end, digestsAt, this.stride, digestsAt, prefix.length, copied);
    };
  }

  /** Hashes the first `count` messages into `digests`. */
  digest(count: number): void {
    this.#digest(count, false);
  }

  /** Hashes the first `count` payloads of `packed`: multiples of 16 bytes, no less than a digest. */
  digestPacked(count: number): void {
    this.#digest(count, true);
  }

  #digest(count: number, isPacked: boolean): void {
    if (count > this.capacity)
      throw new RangeError(`${count} messages of ${this.capacity} at most`);
    if (count > 0) this.#run(count, isPacked);
  }

  /** Prefix and padding stand in each message from the beginning: payloads do not touch them. */
  #pad(prefix: Uint8Array, length: number): void {
    const view = dataViewOf(this.messages);
    for (let at = 0; at < this.messages.length; at += this.stride) {
      this.messages.set(prefix, at);
      this.messages[at + length] = 0x80;
      view.setUint32(at + this.stride - 4, length * 8);
    }
  }
}

let instantiate: ReturnType<typeof compile> | undefined;

/** In memory from address 0: 64 round constants, then the 8 words of the initial state. */
const roundConstantsAt = 0;
const initialStateAt = 256;
const constantsBytes = initialStateAt + 32;

/** The first 32 bits behind the point of cube and square roots of primes, FIPS 180-4, 4.2.2 and 5.3.3. */
function constants(): Uint8Array {
  const fraction = (root: number): number => Math.floor((root % 1) * 2 ** 32);
  const primes = firstPrimes(64);
  const words = [
    ...primes.map((prime) => fraction(Math.cbrt(prime))),
    ...primes.slice(0, 8).map((prime) => fraction(Math.sqrt(prime))),
  ];
  return new Uint8Array(Uint32Array.from(words).buffer);
}

function firstPrimes(count: number): number[] {
  const primes: number[] = [];
  for (let candidate = 2; primes.length < count; candidate++) {
    if (primes.every((prime) => candidate % prime !== 0)) primes.push(candidate);
  }
  return primes;
}

const [MESSAGE, END, DIGEST, STRIDE] = [0, 1, 2, 3] as const;
/** The next packed payload, where one begins in a message, and its bytes: 0 where none is packed. */
const [PACKED, PAYLOAD_AT, PACKED_BYTES] = [4, 5, 6] as const;
const parameters = 7;
/** Where the present block of each of four messages lies, and where the first's last block ends. */
const BLOCK = [7, 8, 9, 10] as const;
const BLOCKS_END = 11;
const PACKED_END = 12;
const TO = 13;
const firstVector = 14;
const STATE = numbered(firstVector, 8);
const WORKING = numbered(firstVector + 8, 8);
const SCHEDULE = numbered(firstVector + 16, 16);
const ROWS = numbered(firstVector + 32, 4);
const PAIRS = numbered(firstVector + 36, 4);
const T1 = firstVector + 40;
/** a xor b of this round and of the one before, in turns. */
const A_XOR_B = [firstVector + 41, firstVector + 42] as const;

function program(): ComputationSource {
  const fourMessages: Code = [
    ...STATE.flatMap((local, word) =>
      set(local, lanes.loadSplat(integer(0), initialStateAt + 4 * word)),
    ),
    ...BLOCK.flatMap((local, lane) =>
      set(local, lane === 0 ? get(MESSAGE) : add(get(BLOCK[lane - 1]!), get(STRIDE))),
    ),
    ...when(get(PACKED_BYTES), unpackFour()),
    ...set(BLOCKS_END, add(get(MESSAGE), get(STRIDE))),
    ...repeatWhile(compressBlock(), lessThan(get(BLOCK[0]), get(BLOCKS_END))),
    ...storeDigests(),
    ...set(MESSAGE, get(BLOCK[3])),
    ...set(DIGEST, add(get(DIGEST), integer(4 * digestBytes))),
  ];
  return {
    parameters,
    integers: firstVector - parameters,
    vectors: 43,
    body: repeatWhile(fourMessages, lessThan(get(MESSAGE), get(END))),
  };
}

/** Payloads to their places in four messages; their digests then lie where the first of them lay. */
function unpackFour(): Code {
  return BLOCK.flatMap((message) => [
    ...set(TO, add(get(message), get(PAYLOAD_AT))),
    ...set(PACKED_END, add(get(PACKED), get(PACKED_BYTES))),
    ...repeatWhile(
      [
        ...lanes.store(get(TO), lanes.load(get(PACKED))),
        ...set(TO, add(get(TO), integer(vectorBytes))),
        ...set(PACKED, add(get(PACKED), integer(vectorBytes))),
      ],
      lessThan(get(PACKED), get(PACKED_END)),
    ),
  ]);
}

/** One block of each of four messages into the state, and on to the next blocks. */
function compressBlock(): Code {
  const code: number[] = [...loadSchedule()];
  WORKING.forEach((local, word) => code.push(...set(local, get(STATE[word]!))));
  code.push(...set(A_XOR_B[1], lanes.xor(get(WORKING[1]!), get(WORKING[2]!))));
  for (let round = 0; round < 64; round++) {
    if (round >= 16) code.push(...expandSchedule(round));
    code.push(...oneRound(round));
  }
  STATE.forEach((local, word) =>
    code.push(...set(local, lanes.add(get(local), get(WORKING[word]!)))),
  );
  BLOCK.forEach((local) => code.push(...set(local, add(get(local), integer(blockBytes)))));
  return code;
}

/** FIPS 180-4, 6.2.2 step 3. Instead of moving the eight variables, their names move on by one. */
function oneRound(round: number): Code {
  const variable = (place: number): Code => get(WORKING[(place - round + 64) % 8]!);
  const local = (place: number): number => WORKING[(place - round + 64) % 8]!;
  const [a, b, d, e, f, g, h] = [0, 1, 3, 4, 5, 6, 7].map(variable) as [
    Code,
    Code,
    Code,
    Code,
    Code,
    Code,
    Code,
  ];
  const [now, before] = [A_XOR_B[round % 2]!, A_XOR_B[(round + 1) % 2]!];
  const choice = lanes.xor(g, lanes.and(e, lanes.xor(f, g)));
  const majority = lanes.xor(b, lanes.and(get(now), get(before)));
  const word = lanes.add(
    get(SCHEDULE[round % 16]!),
    lanes.loadSplat(integer(0), roundConstantsAt + 4 * round),
  );
  return [
    ...set(T1, lanes.add(lanes.add(h, word), lanes.add(rotations(e, [6, 11, 25]), choice))),
    ...set(local(3), lanes.add(d, get(T1))),
    ...set(now, lanes.xor(a, b)),
    ...set(local(7), lanes.add(get(T1), lanes.add(rotations(a, [2, 13, 22]), majority))),
  ];
}

/** FIPS 180-4, 6.2.2 step 1, in place of the word that is needed no more. */
function expandSchedule(round: number): Code {
  const word = (back: number): Code => get(SCHEDULE[(round - back) % 16]!);
  const small0 = lanes.xor(rotations(word(15), [7, 18]), lanes.shiftRight(word(15), 3));
  const small1 = lanes.xor(rotations(word(2), [17, 19]), lanes.shiftRight(word(2), 10));
  const sum = lanes.add(lanes.add(word(16), small0), lanes.add(word(7), small1));
  return set(SCHEDULE[round % 16]!, sum);
}

/** The value rotated right by each of `counts`, all of them combined by xor. */
function rotations(value: Code, counts: readonly number[]): Code {
  return counts
    .flatMap((bits) => [lanes.shiftRight(value, bits), lanes.shiftLeft(value, 32 - bits)])
    .reduce((left, right) => lanes.xor(left, right));
}

function loadSchedule(): Code {
  return [0, 1, 2, 3].flatMap((quarter) => [
    ...ROWS.flatMap((row, lane) => set(row, lanes.load(get(BLOCK[lane]!), 16 * quarter))),
    ...transpose(SCHEDULE.slice(4 * quarter, 4 * quarter + 4)),
  ]);
}

function storeDigests(): Code {
  return [0, 4].flatMap((half) => [
    ...ROWS.flatMap((row, word) => set(row, get(STATE[half + word]!))),
    ...transpose(ROWS),
    ...ROWS.flatMap((row, lane) =>
      lanes.store(get(DIGEST), get(row), lane * digestBytes + 4 * half),
    ),
  ]);
}

/** Rows to columns, `targets` from ROWS, with the bytes of each word turned around. */
function transpose(targets: readonly number[]): Code {
  const [low, high] = [interleaved(0), interleaved(8)];
  const pairs = [low, high].flatMap((bytes, half) =>
    [0, 2].flatMap((row) =>
      set(PAIRS[2 * half + row / 2]!, lanes.shuffle(get(ROWS[row]!), get(ROWS[row + 1]!), bytes)),
    ),
  );
  const halves = [numbered(0, 8).concat(numbered(16, 8)), numbered(8, 8).concat(numbered(24, 8))];
  const columns = targets.flatMap((target, column) => {
    const pair = column < 2 ? 0 : 2;
    return set(
      target,
      lanes.shuffle(get(PAIRS[pair]!), get(PAIRS[pair + 1]!), halves[column % 2]!),
    );
  });
  return [...pairs, ...columns];
}

/** Two words of each side in turns, from byte `first` on, each with its bytes turned around. */
function interleaved(first: number): number[] {
  return [first, first + 16, first + 4, first + 20].flatMap((word) => [
    word + 3,
    word + 2,
    word + 1,
    word,
  ]);
}
