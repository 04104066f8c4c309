/** Looks up texts of a request in a list of words, without a string of each. */
import { encodeUtf8 } from "../bytes/utf8.ts";

interface Word<Value> {
  readonly bytes: Uint8Array;
  readonly value: Value;
}

export class Words<Value> {
  /** By length. */
  readonly #words: Word<Value>[][] = [];

  constructor(entries: Iterable<readonly [string, Value]>) {
    for (const [text, value] of entries) {
      const bytes = encodeUtf8(text);
      (this.#words[bytes.length] ??= []).push({ bytes, value });
    }
  }

  /** The value of the word in `bytes[start, stop)`, if it is one. */
  get(bytes: Uint8Array, start: number, stop: number): Value | undefined {
    for (const word of this.#words[stop - start] ?? NO_WORDS) {
      let at = stop - start - 1;
      while (at >= 0 && word.bytes[at] === bytes[start + at]) at--;
      if (at < 0) return word.value as Value;
    }
    return undefined;
  }
}

const NO_WORDS: readonly Word<unknown>[] = [];
