/**
 * As much of the WebAssembly binary format as a computation over one memory needs: a module with one
 * exported memory and one exported function, written by hand.
 * https://webassembly.github.io/spec/core/binary/index.html
 */

/** Instructions and their immediates, as bytes. */
export type Code = readonly number[];

const I32 = 0x7f;
const V128 = 0x7b;

export interface ComputationSource {
  /** The function's parameters, all i32: local 0, 1, … */
  readonly parameters: number;
  /** Further i32 locals, numbered behind the parameters. */
  readonly integers: number;
  /** v128 locals, numbered last. */
  readonly vectors: number;
  readonly body: Code;
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
  readonly run: (...parameters: number[]) => void;
}

export interface Computation {
  readonly memory: ArrayBuffer;
  readonly run: (...parameters: number[]) => void;
}

const pageBytes = 65_536;

/** @returns what makes an instance with a memory of its own of at least so many bytes. */
export function compile(source: ComputationSource): (memoryBytes: number) => Computation {
  const compiled = new WebAssembly.Module(moduleOf(source));
  return (memoryBytes) => {
    const { memory, run } = new WebAssembly.Instance(compiled).exports as Exports;
    memory.grow(Math.ceil(memoryBytes / pageBytes) - 1);
    return { memory: memory.buffer, run };
  };
}

/** A module that exports `memory`, of one page, and `run`. */
function moduleOf(source: ComputationSource): Uint8Array<ArrayBuffer> {
  const locals = [2, ...unsigned(source.integers), I32, ...unsigned(source.vectors), V128];
  const code = [...locals, ...source.body, END];
  return Uint8Array.from([
    ...preamble,
    ...section(1, [
      1,
      0x60,
      ...unsigned(source.parameters),
      ...repeated(I32, source.parameters),
      0,
    ]),
    ...section(3, [1, 0]),
    ...section(5, [1, 0, 1]),
    ...section(7, [2, ...name("memory"), 2, 0, ...name("run"), 0, 0]),
    ...section(10, [1, ...unsigned(code.length), ...code]),
  ]);
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
  and: (left: Code, right: Code): Code => [...left, ...right, 0x71],
  or: (left: Code, right: Code): Code => [...left, ...right, 0x72],
  shiftLeft: (value: Code, bits: number): Code => [...value, ...integer(bits), 0x74],
  /** Zeros move in. */
  shiftRight: (value: Code, bits: number): Code => [...value, ...integer(bits), 0x76],
  /** 1 or 0. */
  notZero: (value: Code): Code => [...value, ...integer(0), 0x47],
} as const;

/** Vectors of sixteen bytes. */
export const bytes = {
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
