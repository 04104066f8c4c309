/**
 * What tells a repeated record from a conflicting one: equal for bodies that differ in `nonce` and
 * `time.observed` only. Made only where an id comes again, of what came and of what the log has.
 */
import { hash } from "node:crypto";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const ZERO = 0x30;

/**
 * SHA-256 of the body, in which every character of the value of the top-level member `nonce` and of
 * `time.observed` is replaced by `0`, in hexadecimal.
 *
 * @param body canonical JSON; either member may be missing
 */
export function contentDigest(body: Uint8Array): string {
  const content = new Uint8Array(body);
  blankVariable(content);
  return hash("sha256", content, "hex");
}

/** Overwrites the values of `nonce` and `time.observed` in place. */
function blankVariable(body: Uint8Array): void {
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
      at = end;
      continue;
    }
    if (byte === 0x7b || byte === 0x5b) {
      path.push(byte === 0x5b ? "[" : name);
    } else if (byte === 0x7d || byte === 0x5d) path.pop();
    at++;
  }
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
