/** Short texts of a request as strings. */
import { decodeUtf8Lossy } from "../../bytes/utf8.ts";

/** Like `decodeUtf8Lossy`, but ASCII, which is nearly everything, takes the short way. */
export function textAt(bytes: Uint8Array, start: number, stop: number): string {
  for (let at = start; at < stop; at++) {
    if (bytes[at]! >= 0x80) return decodeUtf8Lossy(bytes.subarray(start, stop));
  }
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, stop - start).toString("latin1");
}
