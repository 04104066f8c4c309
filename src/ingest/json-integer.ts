/**
 * Exact 64-bit integers from JSON numbers, without passing through a double. The grammar was
 * checked before; `1e3` and `5.0` are integers as much as `1000` and `5` are.
 */
const TWO_32 = 0x1_0000_0000;
/** As many digits as every double of that length holds exactly. */
export const EXACT_DIGITS = 15;
/** The longest 64-bit integer, 2^64 - 1. */
const DIGITS_MAX = 20;
const MINUS = 0x2d;
const ZERO = 0x30;
const NINE = 0x39;

export interface Integer {
  negative: boolean;
  /** The magnitude in two halves, both unsigned. */
  high: number;
  low: number;
}

/**
 * Reads the number `text[start, stop)` into `target`.
 *
 * @returns false where it is no integer or its magnitude takes more than 64 bits.
 */
export function readInteger(
  text: Uint8Array,
  start: number,
  stop: number,
  target: Integer,
): boolean {
  target.negative = text[start] === MINUS;
  const from = target.negative ? start + 1 : start;
  if (stop - from <= DIGITS_MAX && readDigits(text, from, stop, target)) return true;
  const plain = plainDigits(Buffer.from(text.subarray(from, stop)).toString("latin1"));
  if (plain === undefined) return false;
  const digits = Buffer.from(plain, "latin1");
  return readDigits(digits, 0, digits.length, target);
}

/** @returns false where there is anything but digits or the value takes more than 64 bits. */
function readDigits(text: Uint8Array, from: number, stop: number, target: Integer): boolean {
  const exact = Math.min(stop, from + EXACT_DIGITS);
  let value = 0;
  let at = from;
  for (; at < exact; at++) {
    const byte = text[at]!;
    if (byte < ZERO || byte > NINE) return false;
    value = value * 10 + (byte - ZERO);
  }
  let high = Math.floor(value / TWO_32);
  let low = value >>> 0;
  for (; at < stop; at++) {
    const byte = text[at]!;
    if (byte < ZERO || byte > NINE) return false;
    const product = low * 10 + (byte - ZERO);
    low = product >>> 0;
    high = high * 10 + Math.floor(product / TWO_32);
    if (high >= TWO_32) return false;
  }
  target.high = high;
  target.low = low;
  return true;
}

/** The digits of a number with fraction or exponent; undefined where it is no 64-bit integer. */
function plainDigits(text: string): string | undefined {
  const [mantissa, exponent] = text.toLowerCase().split("e") as [string, string?];
  const [integer, fraction = ""] = mantissa.split(".") as [string, string?];
  const digits = integer + fraction;
  let first = 0;
  while (digits[first] === "0") first++;
  let last = digits.length;
  while (last > first && digits[last - 1] === "0") last--;
  if (first === last) return "0";
  // Infinity where the exponent is absurd, and then out of range below.
  const zeros = Number(exponent ?? "0") - fraction.length + (digits.length - last);
  if (zeros < 0 || last - first + zeros > DIGITS_MAX) return undefined;
  return digits.slice(first, last) + "0".repeat(zeros);
}
