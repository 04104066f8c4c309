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

const PADDING = 0x3d;
const IS_DIGIT = new Uint8Array(256);
for (const digit of "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/-_") {
  IS_DIGIT[digit.charCodeAt(0)] = 1;
}

/**
 * Base64 as senders write it, given as ASCII: either alphabet, padded or not.
 *
 * @throws SyntaxError for anything else.
 */
export function fromLenientBase64(text: Uint8Array): Uint8Array {
  let end = text.length;
  while (end > 0 && end > text.length - 2 && text[end - 1] === PADDING) end--;
  let wellFormed = end % 4 !== 1;
  for (let at = 0; at < end; at++) wellFormed &&= IS_DIGIT[text[at]!] === 1;
  if (!wellFormed) throw new SyntaxError("not base64");
  const digits = Buffer.from(text.buffer, text.byteOffset, end).toString("latin1");
  // Buffer understands both alphabets.
  return Buffer.from(digits, "base64");
}
