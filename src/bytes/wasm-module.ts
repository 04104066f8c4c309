/**
 * As much of the WebAssembly binary format as a computation over one memory needs: a module with one
 * exported memory, one exported function and the functions that it calls, written by hand.
 * https://webassembly.github.io/spec/core/binary/index.html
 */

/** Instructions and their immediates, as bytes. */
export type Code = readonly number[];

const I32 = 0x7f;
const I64 = 0x7e;
const V128 = 0x7b;

export interface FunctionSource {
  /** Its parameters, all i32: local 0, 1, … */
  readonly parameters: number;
  /** It leaves an i32. */
  readonly returns?: true;
  /** Further i32 locals, numbered behind the parameters. */
  readonly integers: number;
  /** v128 locals, numbered behind those. */
  readonly vectors: number;
  /** i64 locals, numbered last. */
  readonly longs?: number;
  readonly body: Code;
}

export interface ComputationSource extends FunctionSource {
  /** Functions that may be called by their place in this list. */
  readonly calls?: readonly FunctionSource[];
}

/** What of the engine's global is used here; no type library without a browser in it has it. */
declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array<ArrayBuffer>) => CompiledModule;
  readonly Instance: new (module: CompiledModule) => { readonly exports: unknown };
};

interface CompiledModule {
  readonly isWebAssembly?: true;
}

interface Exports {
  readonly memory: { readonly buffer: ArrayBuffer; grow(pages: number): number };
  readonly run: (...parameters: number[]) => number;
}

export interface Computation {
  readonly memory: ArrayBuffer;
  readonly run: (...parameters: number[]) => number;
  /** Makes the memory larger, which `memory` before is then no more; @returns it. */
  readonly grow: (memoryBytes: number) => ArrayBuffer;
}

const pageBytes = 65_536;

/** @returns what makes an instance with a memory of its own of at least so many bytes. */
export function compile(source: ComputationSource): (memoryBytes: number) => Computation {
  const compiled = new WebAssembly.Module(moduleOf(source));
  return (memoryBytes) => {
    const { memory, run } = new WebAssembly.Instance(compiled).exports as Exports;
    const grow = (bytes: number): ArrayBuffer => {
      memory.grow(Math.ceil((bytes - memory.buffer.byteLength) / pageBytes));
      return memory.buffer;
    };
    return { memory: grow(memoryBytes), run, grow };
  };
}

/** A module that exports `memory`, of one page, and `run`. */
function moduleOf(source: ComputationSource): Uint8Array<ArrayBuffer> {
  const functions = [...(source.calls ?? []), source];
  const count = unsigned(functions.length);
  const run = unsigned(functions.length - 1);
  return Uint8Array.from([
    ...preamble,
    ...section(1, [...count, ...functions.flatMap(typeOf)]),
    ...section(3, [...count, ...functions.flatMap((_, index) => unsigned(index))]),
    ...section(5, [1, 0, 1]),
    ...section(7, [2, ...name("memory"), 2, 0, ...name("run"), 0, ...run]),
    ...section(10, [...count, ...functions.flatMap(codeOf)]),
  ]);
}

function typeOf({ parameters, returns }: FunctionSource): Code {
  const results = returns ? [1, I32] : [0];
  return [0x60, ...unsigned(parameters), ...repeated(I32, parameters), ...results];
}

function codeOf({ integers, vectors, longs = 0, body }: FunctionSource): Code {
  const locals = [
    3,
    ...unsigned(integers),
    I32,
    ...unsigned(vectors),
    V128,
    ...unsigned(longs),
    I64,
  ];
  const code = [...locals, ...body, END];
  return [...unsigned(code.length), ...code];
}

/** The magic word and version 1. */
const preamble: Code = [0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0];

const END = 0x0b;
/** A loop without parameters and results. */
const LOOP: Code = [0x03, 0x40];
/** Back to the begin of the innermost loop. */
const BRANCH_IF: Code = [0x0d, 0];

function section(id: number, content: Code): Code {
  return [id, ...unsigned(content.length), ...content];
}

function name(text: string): Code {
  return [text.length, ...Buffer.from(text, "latin1")];
}

function repeated(value: number, count: number): Code {
  return Array.from({ length: count }, () => value);
}

function unsigned(value: number): Code {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>>= 7) {
    if (rest < 0x80) return [...bytes, rest];
    bytes.push((rest & 0x7f) | 0x80);
  }
}

function signed(value: number): Code {
  const bytes: number[] = [];
  for (let rest = value; ; rest >>= 7) {
    if (rest >= -0x40 && rest < 0x40) return [...bytes, rest & 0x7f];
    bytes.push((rest & 0x7f) | 0x80);
  }
}

export const integer = (value: number): Code => [0x41, ...signed(value)];
export const get = (local: number): Code => [0x20, ...unsigned(local)];
export const set = (local: number, value: Code): Code => [...value, 0x21, ...unsigned(local)];
export const add = (left: Code, right: Code): Code => [...left, ...right, 0x6a];

/** The numbers of `count` locals from `first` on, or of so many bytes. */
export const numbered = (first: number, count: number): number[] =>
  Array.from({ length: count }, (_, index) => first + index);

/** Runs `body` at least once, and again while `condition` is not zero. */
export const repeatWhile = (body: Code, condition: Code): Code => [
  ...LOOP,
  ...body,
  ...condition,
  ...BRANCH_IF,
  END,
];

/** Runs `body` as long as `condition` is not zero, perhaps never. */
export const repeatIf = (condition: Code, body: Code): Code =>
  when(condition, repeatWhile(body, condition));

/** Runs `body` again and again: one that ends it gives back a value. */
export const repeatForEver = (body: Code): Code => [...LOOP, ...body, 0x0c, 0, END, 0x00];

export const when = (condition: Code, then: Code, otherwise: Code = []): Code => [
  ...condition,
  0x04,
  0x40,
  ...then,
  ...(otherwise.length > 0 ? [0x05, ...otherwise] : []),
  END,
];

/** Runs the case that `number` names, the last one where there is none. */
export const choose = (number: Code, cases: readonly Code[]): Code => {
  const last = cases.length - 1;
  const targets = cases.flatMap((_, index) => unsigned(index));
  let code: Code = [...number, 0x0e, ...unsigned(last), ...targets];
  for (const [index, one] of cases.entries()) {
    // A block ends before each case; behind it the way leads out of all that are left.
    code = [0x02, 0x40, ...code, END, ...one, 0x0c, ...unsigned(last - index)];
  }
  return [0x02, 0x40, ...code, END];
};

export const call = (place: number, ...parameters: readonly Code[]): Code => [
  ...parameters.flat(),
  0x10,
  ...unsigned(place),
];

export const giveBack = (value: Code): Code => [...value, 0x0f];

export const lessThan = (left: Code, right: Code): Code => [...left, ...right, 0x49];

const vector = (opcode: number): Code => [0xfd, ...unsigned(opcode)];
const at = (offset: number): Code => [0, ...unsigned(offset)];

/** Words of 32 bits. */
export const words = {
  load: (address: Code, offset = 0): Code => [...address, 0x28, ...at(offset)],
  store: (address: Code, value: Code, offset = 0): Code => [
    ...address,
    ...value,
    0x36,
    ...at(offset),
  ],
  subtract: (left: Code, right: Code): Code => [...left, ...right, 0x6b],
  equal: (left: Code, right: Code): Code => [...left, ...right, 0x46],
  isZero: (value: Code): Code => [...value, 0x45],
  least: (left: number, right: Code): Code => [
    ...get(left),
    ...right,
    ...lessThan(get(left), right),
    0x1b,
  ],
  /** The place of the lowest bit that is set. */
  lowestBit: (value: Code): Code => [...value, 0x68],
  and: (left: Code, right: Code): Code => [...left, ...right, 0x71],
  or: (left: Code, right: Code): Code => [...left, ...right, 0x72],
  shiftLeft: (value: Code, bits: number): Code => [...value, ...integer(bits), 0x74],
  /** Zeros move in. */
  shiftRight: (value: Code, bits: number): Code => [...value, ...integer(bits), 0x76],
  /** 1 or 0. */
  notZero: (value: Code): Code => [...value, ...integer(0), 0x47],
} as const;

/** Words of 64 bits. */
export const longs = {
  constant: (value: number): Code => [0x42, ...signed(value)],
  load: (address: Code): Code => [...address, 0x29, ...at(0)],
  store: (address: Code, value: Code, offset = 0): Code => [
    ...address,
    ...value,
    0x37,
    ...at(offset),
  ],
  or: (left: Code, right: Code): Code => [...left, ...right, 0x84],
  subtract: (left: Code, right: Code): Code => [...left, ...right, 0x7d],
  multiply: (left: Code, right: Code): Code => [...left, ...right, 0x7e],
  divide: (left: Code, right: Code): Code => [...left, ...right, 0x80],
  shiftLeft: (value: Code, bits: Code): Code => [...value, ...bits, 0x86],
  isZero: (value: Code): Code => [...value, 0x50],
  ofWord: (value: Code): Code => [...value, 0xad],
  toWord: (value: Code): Code => [...value, 0xa7],
} as const;

/** Single bytes and pairs of them, as words. */
export const small = {
  load: (address: Code, offset = 0): Code => [...address, 0x2d, ...at(offset)],
  store: (address: Code, value: Code, offset = 0): Code => [
    ...address,
    ...value,
    0x3a,
    ...at(offset),
  ],
  loadPair: (address: Code, offset = 0): Code => [...address, 0x2f, ...at(offset)],
  storePair: (address: Code, value: Code, offset = 0): Code => [
    ...address,
    ...value,
    0x3b,
    ...at(offset),
  ],
} as const;

/** Vectors of sixteen bytes. */
export const bytes = {
  /** One byte in all sixteen places. */
  splat: (value: number): Code => [...integer(value), ...vector(0x0f)],
  equal: (left: Code, right: Code): Code => [...left, ...right, ...vector(0x23)],
  /** Of signed bytes. */
  less: (left: Code, right: Code): Code => [...left, ...right, ...vector(0x25)],
  /** A word whose bit i is the highest of byte i. */
  highBits: (value: Code): Code => [...value, ...vector(0x64)],
  /** Zeros move in. */
  shiftRight: (value: Code, bits: number): Code => [...value, ...integer(bits), ...vector(0x6d)],
  /** @param places for each byte which byte of `table` it becomes, 0 to 15 */
  lookUp: (table: Code, places: Code): Code => [...table, ...places, ...vector(0x100)],
  /** A word whose bit i says whether byte i of the two differs. */
  difference: (left: Code, right: Code): Code => [
    ...left,
    ...right,
    ...vector(0x24),
    ...vector(0x64),
  ],
} as const;

/** Vectors of four 32-bit lanes. */
export const lanes = {
  load: (address: Code, offset = 0): Code => [...address, ...vector(0x00), ...at(offset)],
  /** One 32-bit word of memory in all four lanes. */
  loadSplat: (address: Code, offset: number): Code => [...address, ...vector(0x09), ...at(offset)],
  store: (address: Code, value: Code, offset = 0): Code => [
    ...address,
    ...value,
    ...vector(0x0b),
    ...at(offset),
  ],
  /** @param bytes which byte of both vectors (0–15 left, 16–31 right) goes to each place */
  shuffle: (left: Code, right: Code, bytes: readonly number[]): Code => [
    ...left,
    ...right,
    ...vector(0x0d),
    ...bytes,
  ],
  and: (left: Code, right: Code): Code => [...left, ...right, ...vector(0x4e)],
  or: (left: Code, right: Code): Code => [...left, ...right, ...vector(0x50)],
  xor: (left: Code, right: Code): Code => [...left, ...right, ...vector(0x51)],
  add: (left: Code, right: Code): Code => [...left, ...right, ...vector(0xae)],
  shiftLeft: (value: Code, bits: number): Code => [...value, ...integer(bits), ...vector(0xab)],
  shiftRight: (value: Code, bits: number): Code => [...value, ...integer(bits), ...vector(0xad)],
} as const;
