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
