/**
 * What fills a form, as a computation over one memory in which request, forms and bodies lie: runs
 * of text are copied and plain values written, sixteen bytes at a time. It stops at whatever is
 * better done elsewhere.
 *
 * A form is a list of steps of four words: where a run lies and how long it is, what to put behind
 * it (`BLANK`), and where the place is that says from where to where the value lies.
 */
import {
  add,
  bytes as byteLanes,
  call,
  choose,
  type Code,
  type ComputationSource,
  type FunctionSource,
  get,
  giveBack,
  integer,
  lanes,
  lessThan,
  longs,
  numbered,
  repeatForEver,
  repeatIf,
  repeatWhile,
  set,
  small,
  when,
  words,
} from "../bytes/wasm-module.ts";
import { ESCAPE, HEX } from "./json-writer.ts";
import { sentinelLengths, sentinelStarts } from "./sentinels.ts";

export const stepBytes = 16;

const blockBytes = 16;
const hexAt = 0;
const escapesAt = 16;
const lengthsAt: number = escapesAt + 256;
const startsAt: number = lengthsAt + 64;
const pairsAt: number = startsAt + 256;
/** Digits are made here from the last to the first. */
const digitsEnd: number = pairsAt + 200 + 24;
/** A number whose digits are wanted. */
const numberAt: number = digitsEnd + 24;
/** How far the body was written when the computation stopped. */
export const writtenAt: number = numberAt + 8;
export const tablesEnd: number = writtenAt + 8;

/** What stands at the beginning of the memory. */
export function tables(): Uint8Array {
  const memory = new Uint8Array(tablesEnd);
  memory.set(HEX, hexAt);
  memory.set(ESCAPE, escapesAt);
  memory.set(sentinelLengths, lengthsAt);
  memory.set(sentinelStarts, startsAt);
  const pairs = Array.from({ length: 100 }, (_, value) => String(value).padStart(2, "0"));
  memory.set(Buffer.from(pairs.join(""), "latin1"), pairsAt);
  return memory;
}

const character = (text: string): Code => integer(text.charCodeAt(0));
const increase = (local: number, by: Code): Code => set(local, add(get(local), by));

/** JSON text of the bytes between, with its quotes. @returns 0 where it is not all ASCII */
const TEXT = 0;
function text(): FunctionSource {
  const [FROM, TO, OUT, COUNT, BYTE] = numbered(0, 5) as [number, number, number, number, number];
  const [BLOCK, QUOTES, BACKSLASHES, SPACES] = numbered(5, 4) as [number, number, number, number];
  const putByte = (value: Code): Code => [
    ...small.store(get(OUT), value),
    ...increase(OUT, integer(1)),
  ];
  // Bytes beyond ASCII are negative.
  const special = lanes.or(
    byteLanes.less(get(BLOCK), get(SPACES)),
    lanes.or(
      byteLanes.equal(get(BLOCK), get(QUOTES)),
      byteLanes.equal(get(BLOCK), get(BACKSLASHES)),
    ),
  );
  const plain: Code = [
    ...set(BLOCK, lanes.load(get(FROM))),
    ...lanes.store(get(OUT), get(BLOCK)),
    ...set(COUNT, words.lowestBit(words.or(byteLanes.highBits(special), integer(1 << blockBytes)))),
    ...set(COUNT, words.least(COUNT, words.subtract(get(TO), get(FROM)))),
    ...increase(FROM, get(COUNT)),
    ...increase(OUT, get(COUNT)),
  ];
  const digit = (value: Code): Code => small.load(add(integer(hexAt), value));
  const control: Code = [
    ...small.store(get(OUT), character("u")),
    ...small.storePair(get(OUT), integer(0x3030), 1),
    ...small.store(get(OUT), digit(words.shiftRight(get(BYTE), 4)), 3),
    ...small.store(get(OUT), digit(words.and(get(BYTE), integer(15))), 4),
    ...increase(OUT, integer(5)),
  ];
  const LETTER = COUNT;
  const escape: Code = [
    ...set(BYTE, small.load(get(FROM))),
    ...when(lessThan(integer(0x7f), get(BYTE)), giveBack(integer(0))),
    ...increase(FROM, integer(1)),
    ...putByte(character("\\")),
    ...set(LETTER, small.load(add(integer(escapesAt), get(BYTE)))),
    ...when(words.equal(get(LETTER), integer(1)), control, putByte(get(LETTER))),
  ];
  const isSpecial = words.and(
    lessThan(get(COUNT), integer(blockBytes)),
    lessThan(get(FROM), get(TO)),
  );
  return {
    parameters: 3,
    returns: true,
    integers: 2,
    vectors: 4,
    body: [
      ...set(QUOTES, byteLanes.splat(0x22)),
      ...set(BACKSLASHES, byteLanes.splat(0x5c)),
      ...set(SPACES, byteLanes.splat(0x20)),
      ...putByte(character('"')),
      ...repeatIf(lessThan(get(FROM), get(TO)), [...plain, ...when(isSpecial, escape)]),
      ...putByte(character('"')),
      ...get(OUT),
    ],
  };
}

/** The unsigned 64-bit number at an address in decimal. @returns where it ends */
const DIGITS = 1;
function digits(): FunctionSource {
  const [AT, OUT, FIRST] = numbered(0, 3) as [number, number, number];
  const [VALUE, REST] = numbered(3, 2) as [number, number];
  const pair = longs.subtract(get(VALUE), longs.multiply(get(REST), longs.constant(100)));
  const step: Code = [
    ...set(REST, longs.divide(get(VALUE), longs.constant(100))),
    ...set(FIRST, words.subtract(get(FIRST), integer(2))),
    ...small.storePair(
      get(FIRST),
      small.loadPair(add(integer(pairsAt), words.shiftLeft(longs.toWord(pair), 1))),
    ),
    ...set(VALUE, get(REST)),
  ];
  const leadingZero = words.and(
    words.equal(small.load(get(FIRST)), character("0")),
    lessThan(get(FIRST), integer(digitsEnd - 1)),
  );
  return {
    parameters: 2,
    returns: true,
    integers: 1,
    vectors: 0,
    longs: 2,
    body: [
      ...set(VALUE, longs.load(get(AT))),
      ...set(FIRST, integer(digitsEnd)),
      ...repeatWhile(step, words.isZero(longs.isZero(get(VALUE)))),
      ...set(FIRST, add(get(FIRST), leadingZero)),
      // At most twenty.
      ...lanes.store(get(OUT), lanes.load(get(FIRST))),
      ...longs.store(get(OUT), longs.load(add(get(FIRST), integer(blockBytes))), blockBytes),
      ...add(get(OUT), words.subtract(integer(digitsEnd), get(FIRST))),
    ],
  };
}

const [STEP, OUT] = [0, 1] as const;
const [FROM, TO, AT, SIZE] = [2, 3, 4, 5] as const;
const [BLOCK, DIGIT, HALF] = [6, 7, 8] as const;
const [VALUE, SHIFT] = [9, 10] as const;

const stop: Code = [...words.store(integer(writtenAt), get(OUT)), ...giveBack(get(STEP))];
const put = (value: string): Code => [
  ...small.store(get(OUT), character(value)),
  ...increase(OUT, integer(1)),
];

/** From `FROM` up to `TO`, and up to fifteen bytes more, which are written over. */
const copy: Code = [
  ...set(AT, get(OUT)),
  ...increase(OUT, words.subtract(get(TO), get(FROM))),
  ...repeatWhile(
    [
      ...lanes.store(get(AT), lanes.load(get(FROM))),
      ...increase(AT, integer(blockBytes)),
      ...increase(FROM, integer(blockBytes)),
    ],
    lessThan(get(AT), get(OUT)),
  ),
];

const writeText: Code = [
  ...set(AT, call(TEXT, get(FROM), get(TO), get(OUT))),
  ...when(words.isZero(get(AT)), stop),
  ...set(OUT, get(AT)),
];

/** A text that may be one that stands for nothing is left to be looked at. */
const writeCheckedText: Code = [
  ...set(SIZE, words.subtract(get(TO), get(FROM))),
  ...when(
    lessThan(get(SIZE), integer(sentinelLengths.length)),
    when(
      words.and(
        small.load(add(integer(lengthsAt), get(SIZE))),
        words.or(
          words.isZero(get(SIZE)),
          small.load(add(integer(startsAt), small.load(get(FROM)))),
        ),
      ),
      stop,
    ),
  ),
  ...writeText,
];

/** Up to seven bytes of a varint; a negative number has ten. */
const writeInteger: Code = [
  ...when(lessThan(integer(7), words.subtract(get(TO), get(FROM))), stop),
  ...set(VALUE, longs.constant(0)),
  ...set(SHIFT, longs.constant(0)),
  ...repeatIf(lessThan(get(FROM), get(TO)), [
    ...set(
      VALUE,
      longs.or(
        get(VALUE),
        longs.shiftLeft(longs.ofWord(words.and(small.load(get(FROM)), integer(0x7f))), get(SHIFT)),
      ),
    ),
    ...set(SHIFT, longs.subtract(get(SHIFT), longs.constant(-7))),
    ...increase(FROM, integer(1)),
  ]),
  ...longs.store(integer(numberAt), get(VALUE)),
  ...set(OUT, call(DIGITS, integer(numberAt), get(OUT))),
];

const writeBoolean: Code = [
  ...when(words.notZero(words.subtract(words.subtract(get(TO), get(FROM)), integer(1))), stop),
  ...when(
    words.and(small.load(get(FROM)), integer(0x7f)),
    [...words.store(get(OUT), integer(0x65757274)), ...increase(OUT, integer(4))],
    [
      ...words.store(get(OUT), integer(0x736c6166)),
      ...small.store(get(OUT), character("e"), 4),
      ...increase(OUT, integer(5)),
    ],
  ),
];

/** A list of nothing but short texts as encoders write them, see `isListOfTexts`. */
const isShortText: Code = [
  words.equal(small.load(get(FROM)), integer(0x0a)),
  words.equal(small.load(get(FROM), 2), integer(0x0a)),
  lessThan(words.subtract(get(SIZE), integer(2)), integer(126)),
  words.equal(small.load(get(FROM), 3), words.subtract(get(SIZE), integer(2))),
  words.isZero(lessThan(get(TO), add(get(FROM), add(get(SIZE), integer(2))))),
].reduce((left, right) => words.and(left, right));
const writeList: Code = [
  ...set(AT, add(get(OUT), integer(1))),
  ...repeatIf(lessThan(get(FROM), get(TO)), [
    ...set(SIZE, small.load(get(FROM), 1)),
    ...when(words.isZero(isShortText), stop),
    ...increase(SIZE, add(get(FROM), integer(2))),
    ...set(AT, call(TEXT, add(get(FROM), integer(4)), get(SIZE), get(AT))),
    ...when(words.isZero(get(AT)), stop),
    ...small.store(get(AT), character(",")),
    ...increase(AT, integer(1)),
    ...set(FROM, get(SIZE)),
  ]),
  ...small.store(get(OUT), character("[")),
  // In place of the last comma.
  ...set(OUT, words.subtract(get(AT), lessThan(add(get(OUT), integer(1)), get(AT)))),
  ...put("]"),
];

const writeTime: Code = [
  ...when(words.isZero(get(FROM)), stop),
  ...put('"'),
  ...set(OUT, call(DIGITS, get(FROM), get(OUT))),
  ...put('"'),
];

/** Bytes of a vector and those of another in turns, from the first or the ninth on. */
const inTurns = (first: number): number[] =>
  numbered(first, 8).flatMap((place) => [place, place + blockBytes]);

function writeHex(byteCount: 8 | 16): Code {
  const digitsOf = (first: number): Code =>
    byteLanes.lookUp(
      lanes.load(integer(hexAt)),
      lanes.shuffle(get(HALF), get(BLOCK), inTurns(first)),
    );
  return [
    ...set(BLOCK, lanes.load(get(FROM))),
    ...set(HALF, byteLanes.shiftRight(get(BLOCK), 4)),
    ...set(BLOCK, lanes.and(get(BLOCK), get(DIGIT))),
    ...put('"'),
    ...lanes.store(get(OUT), digitsOf(0)),
    ...(byteCount === 16 ? lanes.store(get(OUT), digitsOf(8), 16) : []),
    ...increase(OUT, integer(2 * byteCount)),
    ...put('"'),
  ];
}

/** By `BLANK`: whatever is not here is stopped at. */
const writers: readonly Code[] = [
  stop,
  writeText,
  writeCheckedText,
  writeInteger,
  writeBoolean,
  writeList,
  writeHex(16),
  writeHex(8),
  writeTime,
  copy,
  stop,
];

/** From the step at an address on. @returns the step that it stopped at, behind whose run it is */
export function program(): ComputationSource {
  const step: Code = [
    ...set(FROM, words.load(get(STEP))),
    ...set(TO, add(get(FROM), words.load(get(STEP), 4))),
    ...copy,
    ...set(AT, words.load(get(STEP), 12)),
    ...set(FROM, words.load(get(AT))),
    ...set(TO, words.load(get(AT), 4)),
    ...choose(words.load(get(STEP), 8), writers),
    ...increase(STEP, integer(stepBytes)),
  ];
  return {
    calls: [text(), digits()],
    parameters: 2,
    returns: true,
    integers: 4,
    vectors: 3,
    longs: 2,
    body: [...set(DIGIT, byteLanes.splat(15)), ...repeatForEver(step)],
  };
}
