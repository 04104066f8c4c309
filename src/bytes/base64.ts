/** Strict standard base64 with padding (RFC 4648 section 4): one text per value. */

export function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("base64");
}

/** @throws SyntaxError for the URL alphabet, missing padding, white space or stray bits. */
export function fromBase64(text: string): Uint8Array {
  const bytes = new Uint8Array(Buffer.from(text, "base64"));
  // Buffer skips what it does not know; only the one canonical text encodes back to itself.
  if (toBase64(bytes) !== text) throw new SyntaxError("not canonical base64");
  return bytes;
}
