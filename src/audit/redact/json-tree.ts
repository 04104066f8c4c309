/**
 * JSON as bounds into its bytes, so that values can be changed and all else stays as it was written.
 * Python's `repr` of the same structures is read too: agents log it wherever they mean JSON.
 */
import { nestingDepthMax, redactionJsonValuesMax } from "../../limits.ts";
import { isDigit, isLetter, lower } from "./ascii.ts";

export interface JsonNode {
  readonly kind: "object" | "array" | "string" | "number" | "literal";
  /** Bounds, with the quotes of a string and the brackets of a container. */
  readonly start: number;
  end: number;
  /** The string before the colon, for a member. */
  readonly key: JsonNode | undefined;
  /** Whether a string holds a backslash. */
  readonly escaped: boolean;
  readonly children: readonly JsonNode[];
}

interface Container extends JsonNode {
  readonly children: JsonNode[];
}

const noChildren: readonly JsonNode[] = [];

interface Reader {
  readonly bytes: Buffer;
  at: number;
  /** How many were read. */
  values: number;
}

const isSpace = (byte: number | undefined): boolean =>
  byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

/** A cheap look at the first byte: whether parsing is worth a try. */
export function looksLikeJson(bytes: Uint8Array): boolean {
  let at = 0;
  while (isSpace(bytes[at])) at++;
  return bytes[at] === 0x7b || bytes[at] === 0x5b || bytes[at] === 0x22;
}

/**
 * The values in `bytes`: one, or several with white space between them.
 *
 * @returns undefined where the bytes are no JSON, or nested deeper than the limit; `too_many` where
 *   there are more values than are looked at one by one
 */
export function parseJsonTree(bytes: Buffer): readonly JsonNode[] | "too_many" | undefined {
  const reader: Reader = { bytes, at: 0, values: 0 };
  const roots: JsonNode[] = [];
  for (skipSpace(reader); reader.at < bytes.length; skipSpace(reader)) {
    const root = parseValue(reader);
    if (reader.values > redactionJsonValuesMax) return "too_many";
    if (root === undefined) return undefined;
    roots.push(root);
  }
  return roots.length === 0 ? undefined : roots;
}

function skipSpace(reader: Reader): void {
  while (isSpace(reader.bytes[reader.at])) reader.at++;
}

/** Iterative: the depth is the sender's. */
function parseValue(reader: Reader): JsonNode | undefined {
  const open: Container[] = [];
  let key: JsonNode | undefined;
  for (;;) {
    skipSpace(reader);
    const parent = open.at(-1);
    if (parent?.kind === "object") {
      if (!isClosing(reader, parent) || parent.children.length > 0) {
        key = parseKey(reader);
        if (key === undefined) return undefined;
      }
    }
    let node: JsonNode | undefined;
    if (parent !== undefined && parent.children.length === 0 && isClosing(reader, parent)) {
      node = close(reader, open);
    } else {
      const container = parseOpening(reader, key);
      node = container ?? parseScalar(reader, key);
      key = undefined;
      if (node === undefined || ++reader.values > redactionJsonValuesMax) return undefined;
      parent?.children.push(node);
      if (container !== undefined) {
        if (open.push(container) > nestingDepthMax) return undefined;
        continue;
      }
    }
    // After a value: a comma goes on, a bracket closes, and so on outwards.
    for (;;) {
      if (open.length === 0) return node;
      skipSpace(reader);
      if (reader.bytes[reader.at] === 0x2c) {
        reader.at++;
        break;
      }
      if (!isClosing(reader, open.at(-1)!)) return undefined;
      node = close(reader, open);
    }
  }
}

function isClosing(reader: Reader, node: JsonNode): boolean {
  return reader.bytes[reader.at] === (node.kind === "object" ? 0x7d : 0x5d);
}

function close(reader: Reader, open: JsonNode[]): JsonNode {
  const node = open.pop()!;
  node.end = ++reader.at;
  return node;
}

function parseKey(reader: Reader): JsonNode | undefined {
  const key = parseString(reader, undefined);
  skipSpace(reader);
  if (key === undefined || reader.bytes[reader.at] !== 0x3a) return undefined;
  reader.at++;
  skipSpace(reader);
  return key;
}

/** A container whose `end` is still -1. */
function parseOpening(reader: Reader, key: JsonNode | undefined): Container | undefined {
  const start = reader.at;
  const byte = reader.bytes[start];
  if (byte !== 0x7b && byte !== 0x5b) return undefined;
  reader.at++;
  const kind = byte === 0x7b ? "object" : "array";
  return { kind, start, end: -1, key, escaped: false, children: [] };
}

function parseScalar(reader: Reader, key: JsonNode | undefined): JsonNode | undefined {
  const byte = reader.bytes[reader.at];
  if (byte === 0x22 || byte === 0x27) return parseString(reader, key);
  return parseWord(reader, key);
}

function parseString(reader: Reader, key: JsonNode | undefined): JsonNode | undefined {
  const { bytes, at: start } = reader;
  const quote = bytes[start];
  if (quote !== 0x22 && quote !== 0x27) return undefined;
  let escaped = false;
  const end = bytes.length;
  for (let at = start + 1; at < end; at++) {
    const byte = bytes[at]!;
    if (byte === 0x5c) {
      escaped = true;
      at++;
    } else if (byte === quote) {
      reader.at = at + 1;
      return { kind: "string", start, end: at + 1, key, escaped, children: noChildren };
    }
  }
  return undefined;
}

const LITERALS: readonly Buffer[] = (
  ["true", "false", "null", "True", "False", "None", "NaN", "Infinity", "-Infinity"] as const
).map((word) => Buffer.from(word));
const wordBytesMax = 400;

function parseWord(reader: Reader, key: JsonNode | undefined): JsonNode | undefined {
  const { bytes, at: start } = reader;
  const limit = Math.min(bytes.length, start + wordBytesMax + 1);
  let end = numberEnd(bytes, start, limit);
  const isNumber = end > start && (end === limit || !isWordByte(bytes[end]!));
  if (!isNumber) {
    while (end < limit && isWordByte(bytes[end]!)) end++;
    if (!LITERALS.some((one) => isAt(one, bytes, start, end))) return undefined;
  }
  reader.at = end;
  const kind = isNumber ? "number" : "literal";
  return { kind, start, end, key, escaped: false, children: noChildren };
}

function isAt(literal: Buffer, bytes: Buffer, start: number, end: number): boolean {
  const size = end - start;
  let at = 0;
  while (at < size && literal[at] === bytes[start + at]) at++;
  return at === size && size === literal.length;
}

/** The end of the longest number of JSON that begins at `start`, with leading zeros or not. */
function numberEnd(bytes: Buffer, start: number, limit: number): number {
  const whole = bytes[start] === 0x2d ? start + 1 : start;
  let end = digitsEnd(bytes, whole, limit);
  if (end === whole) return start;
  if (bytes[end] === 0x2e) {
    const fraction = digitsEnd(bytes, end + 1, limit);
    if (fraction > end + 1) end = fraction;
  }
  if (end < limit && lower(bytes[end]!) === 0x65) {
    const sign = bytes[end + 1] === 0x2b || bytes[end + 1] === 0x2d ? 1 : 0;
    const exponent = digitsEnd(bytes, end + 1 + sign, limit);
    if (exponent > end + 1 + sign) end = exponent;
  }
  return end;
}

function digitsEnd(bytes: Buffer, start: number, limit: number): number {
  let at = start;
  while (at < limit && isDigit(bytes[at]!)) at++;
  return at;
}

function isWordByte(byte: number): boolean {
  return isLetter(byte) || isDigit(byte) || byte === 0x2b || byte === 0x2d || byte === 0x2e;
}
