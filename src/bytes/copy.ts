/** Copies of a few bytes: for those a call of `copy` or `set` costs more than the bytes do. */

// oxlint-disable-next-line max-params -- two places in bytes, on the hot path
export function copyBytes(
  from: Uint8Array,
  start: number,
  to: Uint8Array,
  at: number,
  count: number,
): void {
  for (let byte = 0; byte < count; byte++) to[at + byte] = from[start + byte]!;
}

/** `count` is a multiple of eight. */
// oxlint-disable-next-line max-params -- two places in bytes, on the hot path
export function copyWords(
  from: DataView,
  start: number,
  to: DataView,
  at: number,
  count: number,
): void {
  for (let offset = 0; offset < count; offset += 8) {
    to.setBigInt64(at + offset, from.getBigInt64(start + offset, true), true);
  }
}

export function dataViewOf({ buffer, byteOffset, length }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, length);
}
