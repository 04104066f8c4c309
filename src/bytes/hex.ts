/** Strict lower-case hexadecimal: printing what was parsed gives the input back. */

export function toHex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("hex");
}

/** @throws SyntaxError unless `text` is lower-case hexadecimal of `byteCount` bytes (if given). */
export function fromHex(text: string, byteCount?: number): Uint8Array {
  if (!/^(?:[0-9a-f]{2})*$/.test(text)) {
    throw new SyntaxError("not lower-case hexadecimal");
  }
  if (byteCount !== undefined && text.length !== 2 * byteCount) {
    throw new SyntaxError(
      `expected ${byteCount} bytes of hexadecimal, received ${text.length / 2}`,
    );
  }
  return new Uint8Array(Buffer.from(text, "hex"));
}

const DIGITS = Buffer.from("0123456789abcdef", "latin1");
const HIGH = Uint8Array.from({ length: 256 }, (_, byte) => DIGITS[byte >> 4]!);
const LOW = Uint8Array.from({ length: 256 }, (_, byte) => DIGITS[byte & 15]!);

/** Writes `bytes[start, start + count)` as text to `target` at `at`: for many short values. */
// oxlint-disable-next-line max-params -- two places in bytes, on the hot path
export function writeHex(
  target: Uint8Array,
  at: number,
  bytes: Uint8Array,
  start: number,
  count: number,
): void {
  let to = at;
  for (let from = start; from < start + count; from++) {
    const byte = bytes[from]!;
    target[to] = HIGH[byte]!;
    target[to + 1] = LOW[byte]!;
    to += 2;
  }
}

/** True where the text at `at` is that of `bytes`, or of `bytes[from, from + count)`. */
// oxlint-disable-next-line max-params -- two places in bytes, on the hot path
export function holdsHex(
  text: Uint8Array,
  at: number,
  bytes: Uint8Array,
  from: number = 0,
  count: number = bytes.length,
): boolean {
  let place = at;
  for (let next = from; next < from + count; next++) {
    const byte = bytes[next]!;
    if (text[place] !== HIGH[byte] || text[place + 1] !== LOW[byte]) return false;
    place += 2;
  }
  return true;
}

/** True where the text at `at` is that of bytes which stand as latin1 text. */
export function holdsHexOf(text: Uint8Array, at: number, latin1: string): boolean {
  let place = at;
  for (let next = 0; next < latin1.length; next++) {
    const byte = latin1.charCodeAt(next);
    if (text[place] !== HIGH[byte] || text[place + 1] !== LOW[byte]) return false;
    place += 2;
  }
  return true;
}

const VALUE = new Uint8Array(256);
for (const [value, digit] of DIGITS.entries()) VALUE[digit] = value;

/** Writes the `count` bytes whose text stands at `at`; the digits are known to be such. */
// oxlint-disable-next-line max-params -- two places in bytes, on the hot path
export function readHex(
  text: Uint8Array,
  at: number,
  target: Uint8Array,
  to: number,
  count: number,
): void {
  let place = at;
  for (let next = to; next < to + count; next++) {
    target[next] = VALUE[text[place]!]! * 16 + VALUE[text[place + 1]!]!;
    place += 2;
  }
}
