/**
 * What tells a repeated record from a conflicting one: equal for bodies that differ in `nonce`,
 * `time.observed` and `flags` only. Flags also say what was known of the record's trace, which is
 * more when the record comes again. Made only where an id comes again, of what came and of what the
 * log has.
 */
import { sha256Hex } from "../bytes/sha256.ts";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const ZERO = 0x30;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;
const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;

/**
 * SHA-256 of the body without the top-level member `flags`, in which every character of the value
 * of the top-level member `nonce` and of `time.observed` is replaced by `0`, in hexadecimal.
 *
 * @param body canonical JSON; any of the members may be missing
 */
export function contentDigest(body: Uint8Array): string {
  const content = Buffer.from(body);
  const flags = blankVariable(content);
  const parts = [content.subarray(0, flags.start), content.subarray(flags.end)];
  return sha256Hex(Buffer.concat(parts));
}

/**
 * Overwrites the values of `nonce` and `time.observed` in place.
 *
 * @returns the bounds of `flags` with the comma behind it: other members follow
 */
function blankVariable(body: Uint8Array): { start: number; end: number } {
  const flags = { start: 0, end: 0 };
  const path: string[] = [];
  let name = "";
  let at = 0;
  while (at < body.length) {
    const byte = body[at]!;
    if (byte === QUOTE) {
      const end = stringEnd(body, at);
      const isName = body[end] === 0x3a;
      if (isName)
        name = Buffer.from(body.buffer, body.byteOffset + at + 1, end - at - 2).toString("latin1");
      else if (isVariable(path, name)) body.fill(ZERO, at + 1, end - 1);
      if (isName && path.length === 1 && name === "flags") flags.start = at;
      at = end;
      continue;
    }
    if (byte === OPEN_OBJECT || byte === OPEN_LIST) {
      path.push(byte === OPEN_LIST ? "[" : name);
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_LIST) path.pop();
    at++;
    if (byte === CLOSE_LIST && path.length === 1 && name === "flags") flags.end = at + 1;
  }
  return flags;
}

/** The path's first element is the top-level object itself. */
function isVariable(path: readonly string[], name: string): boolean {
  if (path.length === 1) return name === "nonce";
  return path.length === 2 && path[1] === "time" && name === "observed";
}

/** The position after the closing quote of the string that opens at `at`. */
function stringEnd(body: Uint8Array, at: number): number {
  let position = at + 1;
  while (position < body.length && body[position] !== QUOTE) {
    position += body[position] === BACKSLASH ? 2 : 1;
  }
  return position + 1;
}
