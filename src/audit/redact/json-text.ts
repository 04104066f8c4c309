/** The content of a JSON string literal as bytes, with the way back to the literal. */
import { encodeUtf8 } from "../../bytes/utf8.ts";

export interface Unescaped {
  readonly bytes: Buffer;
  /** Where byte i comes from: `[starts[i], ends[i])` of the literal's bytes. May be longer than it. */
  readonly starts: Int32Array;
  readonly ends: Int32Array;
}

const SIMPLE: Readonly<Record<number, number>> = {
  0x62: 0x08,
  0x66: 0x0c,
  0x6e: 0x0a,
  0x72: 0x0d,
  0x74: 0x09,
};

/** Undoes the escapes of `bytes[start, stop)`, the inside of a string literal. */
export function unescapeJson(bytes: Uint8Array, start: number, stop: number): Unescaped {
  // No escape is shorter than what it stands for.
  const result = Buffer.allocUnsafe(stop - start);
  const starts = new Int32Array(stop - start);
  const ends = new Int32Array(stop - start);
  let length = 0;
  const put = (byte: number, from: number, to: number): void => {
    result[length] = byte;
    starts[length] = from;
    ends[length++] = to;
  };
  for (let at = start; at < stop;) {
    const byte = bytes[at]!;
    if (byte !== 0x5c || at + 1 >= stop) {
      put(byte, at, at + 1);
      at++;
      continue;
    }
    const escape = readEscape(bytes, at, stop);
    for (const one of escape.bytes) put(one, at, escape.end);
    at = escape.end;
  }
  return { bytes: result.subarray(0, length), starts, ends };
}

function readEscape(
  bytes: Uint8Array,
  at: number,
  stop: number,
): { bytes: ArrayLike<number> & Iterable<number>; end: number } {
  const letter = bytes[at + 1]!;
  const digits = letter === 0x75 ? 4 : letter === 0x78 ? 2 : 0;
  const code = digits === 0 ? -1 : hexAt(bytes, at + 2, Math.min(stop, at + 2 + digits), digits);
  if (code === -1) return { bytes: [SIMPLE[letter] ?? letter], end: at + 2 };
  const end = at + 2 + digits;
  if (code >= 0xd800 && code < 0xdc00 && bytes[end] === 0x5c && bytes[end + 1] === 0x75) {
    const low = hexAt(bytes, end + 2, Math.min(stop, end + 6), 4);
    if (low >= 0xdc00 && low < 0xe000) {
      return { bytes: encodeUtf8(String.fromCharCode(code, low)), end: end + 6 };
    }
  }
  return { bytes: encodeUtf8(String.fromCharCode(code)), end };
}

/** -1 where there are not `count` hexadecimal digits. */
function hexAt(bytes: Uint8Array, start: number, stop: number, count: number): number {
  if (stop - start !== count) return -1;
  let value = 0;
  for (let at = start; at < stop; at++) {
    const digit = Number.parseInt(String.fromCharCode(bytes[at]!), 16);
    if (Number.isNaN(digit)) return -1;
    value = value * 16 + digit;
  }
  return value;
}

const TO_ESCAPE = /["'\\\p{Cc}]/gu;

/** `text` (one character per byte) as it stands inside a string literal with these quotes. */
export function escapeJson(text: string, quote: string): string {
  return text.replace(TO_ESCAPE, (character) =>
    character >= " "
      ? character === quote || character === "\\"
        ? `\\${character}`
        : character
      : `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
