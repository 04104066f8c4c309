/**
 * Where in a text a string of JSON may end or change its meaning: a map with one bit per byte, made
 * sixteen bytes at a time in a vector, so that who walks the text can leap from one to the next.
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
  repeatWhile,
  set,
  words,
} from "./wasm-module.ts";

const blockBytes = 16;
/** One word of the map. */
const strideBytes = 2 * blockBytes;
const roomBytesAtFirst = 65_536;

export class SpecialBytes {
  /** The text, from its beginning; behind it stands one zero, which is special. */
  text: Uint8Array = new Uint8Array(0);
  /** Bit `i % 32` of word `i / 32` is set where byte `i` is a control, `"`, `\` or not ASCII. */
  map: Int32Array = new Int32Array(0);
  #run: Computation["run"] = () => 0;

  /** Takes `bytes[start, end)` as the text; what was taken before is gone. */
  take(bytes: Buffer, start: number, end: number): void {
    const length = end - start;
    if (length + strideBytes > this.text.length) this.#reserve(length + strideBytes);
    bytes.copy(this.text, 0, start, end);
    this.text[length] = 0;
    const strides = Math.floor(length / strideBytes) + 1;
    this.#run(textAt, textAt + strides * strideBytes, textAt + this.text.length);
  }

  #reserve(bytes: number): void {
    const room = Math.max(roomBytesAtFirst, 2 ** Math.ceil(Math.log2(bytes)));
    instantiate ??= compile(program());
    const { memory, run } = instantiate(textAt + room + room / 8);
    new Uint8Array(memory).set(tables());
    this.text = new Uint8Array(memory, textAt, room);
    this.map = new Int32Array(memory, textAt + room, room / strideBytes);
    this.#run = run;
  }
}

let instantiate: ReturnType<typeof compile> | undefined;

/** By half of a byte; a byte is special where what both its halves give has a bit in common. */
const lowerTableAt = 0;
const upperTableAt = blockBytes;
const lowerHalfAt = 2 * blockBytes;
const textAt = 4 * blockBytes;

function tables(): Uint8Array {
  const memory = new Uint8Array(textAt);
  const [others, quote, backslash] = [1, 2, 4];
  memory.fill(others, lowerTableAt, lowerTableAt + blockBytes);
  for (const upper of [0, 1, 8, 9, 10, 11, 12, 13, 14, 15]) memory[upperTableAt + upper] = others;
  for (const [byte, bit] of [
    ['"', quote],
    ["\\", backslash],
  ] as const) {
    const code = byte.charCodeAt(0);
    memory[lowerTableAt + (code & 15)]! |= bit;
    memory[upperTableAt + (code >> 4)]! |= bit;
  }
  memory.fill(15, lowerHalfAt, lowerHalfAt + blockBytes);
  return memory;
}

const [TEXT, TEXT_END, MAP] = [0, 1, 2] as const;
const [LOWER_TABLE, UPPER_TABLE, LOWER_HALF, ZERO, BLOCK] = [3, 4, 5, 6, 7] as const;

function program(): ComputationSource {
  const special = (offset: number): Code => [
    ...set(BLOCK, lanes.load(get(TEXT), offset)),
    ...byteLanes.difference(
      lanes.and(
        byteLanes.lookUp(get(LOWER_TABLE), lanes.and(get(BLOCK), get(LOWER_HALF))),
        byteLanes.lookUp(get(UPPER_TABLE), byteLanes.shiftRight(get(BLOCK), 4)),
      ),
      get(ZERO),
    ),
  ];
  const stride: Code = [
    ...words.store(
      get(MAP),
      words.or(special(0), words.shiftLeft(special(blockBytes), blockBytes)),
    ),
    ...set(MAP, add(get(MAP), integer(4))),
    ...set(TEXT, add(get(TEXT), integer(strideBytes))),
  ];
  return {
    parameters: 3,
    integers: 0,
    vectors: 5,
    body: [
      ...set(LOWER_TABLE, lanes.load(integer(0), lowerTableAt)),
      ...set(UPPER_TABLE, lanes.load(integer(0), upperTableAt)),
      ...set(LOWER_HALF, lanes.load(integer(0), lowerHalfAt)),
      ...repeatWhile(stride, lessThan(get(TEXT), get(TEXT_END))),
    ],
  };
}
