/**
 * The keyed fingerprint by which a repeated record is told from a conflicting one: equal for bodies
 * that differ in `nonce` and `time.observed` only. Keyed, so that senders find no two bodies with one
 * fingerprint, and stored fingerprints confirm no guess about a body.
 */
import { SipHash, sipHashBytes, sipKeyBytes } from "../bytes/siphash.ts";

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const ZERO = 0x30;

const hashers = new WeakMap<Uint8Array, SipHash>();

/** What fingerprints bodies in which both values are overwritten by zeros. */
export function fingerprinter(key: Uint8Array): SipHash {
  let hasher = hashers.get(key);
  if (hasher === undefined) hashers.set(key, (hasher = new SipHash(key.subarray(0, sipKeyBytes))));
  return hasher;
}

/**
 * SipHash of the body, in which every character of the value of the top-level member `nonce` and of
 * `time.observed` is replaced by `0`.
 *
 * @param key 16 bytes or more
 * @param body canonical JSON; either member may be missing
 */
export function fingerprint(key: Uint8Array, body: Uint8Array): Uint8Array {
  const content = new Uint8Array(body);
  blankVariable(content);
  const result = new Uint8Array(sipHashBytes);
  fingerprinter(key).hash(new DataView(content.buffer), 0, content.length, result, 0);
  return result;
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
