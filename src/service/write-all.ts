/** Writing to a descriptor that may be a pipe, until all of it is there. */
import { writeSync } from "node:fs";
import { isCode } from "../bytes/thrown.ts";

const pauseMs = 1;
const neverWoken = new Int32Array(new SharedArrayBuffer(4));

/**
 * Occupies the thread until the reader has taken everything.
 *
 * @throws the error of node:fs; EAGAIN where a pipe in non-blocking mode stays full for `waitMsMax`
 */
export function writeAll(
  descriptor: number,
  bytes: Uint8Array,
  waitMsMax: number = Infinity,
): void {
  let written = 0;
  let waitedMs = 0;
  while (written < bytes.length) {
    try {
      written += writeSync(descriptor, bytes, written);
    } catch (error) {
      // The reader is slow, not gone.
      if (!isCode(error, "EAGAIN") || waitedMs >= waitMsMax) throw error;
      Atomics.wait(neverWoken, 0, 0, pauseMs);
      waitedMs += pauseMs;
    }
  }
}
