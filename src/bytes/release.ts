/** Memory that is given back when it is done with, and not when a collection finds out. */

/**
 * Frees what `bytes` lies in, unless it is a smaller part of it. Whoever still looks at it finds
 * nothing. A request takes megabytes and few objects, so collections come late for it: this is what
 * keeps the process small, and the full collections rare.
 */
export function release(bytes: Uint8Array): void {
  const { buffer } = bytes;
  if (bytes.length > 0 && buffer instanceof ArrayBuffer && fills(bytes)) buffer.transfer(0);
}

/** Whether nearly all memory that `bytes` lies in is its own. */
export function fills(bytes: Uint8Array): boolean {
  return 2 * bytes.length >= bytes.buffer.byteLength;
}
