/**
 * Content codings, bounded while they inflate. A coding is where a small request becomes a large
 * one, so the limit holds for what comes out, at the moment it comes out.
 */
import { dataViewOf } from "../bytes/copy.ts";
import {
  constants,
  createGunzip,
  createInflate,
  createZstdDecompress,
  gunzipSync,
  inflateSync,
  type ZlibOptions,
  zstdDecompressSync,
  type ZstdOptions,
} from "node:zlib";
import type { Transform } from "node:stream";
import { pool } from "../bytes/pool.ts";
import { deflatedAtOnceBytesMax, inflateAtOnceBytesMax } from "../limits.ts";
import type { Admission } from "./budget.ts";
import { Refusal } from "./refusal.ts";

/** `deflate` has zlib framing (RFC 9110 8.4.1.2). */
export type Encoding = "identity" | "gzip" | "deflate" | "zstd";

const chunkBytes = 256 * 1024;

// RFC 9659: a zstd content coding needs no window over 8 MiB. Without this a few bytes of frame
// header would make the decoder allocate 128 MiB.
const zstdOptions: ZstdOptions = { params: { [constants.ZSTD_d_windowLogMax]: 23 } };

const CODECS = {
  gzip: { atOnce: gunzipSync, stream: (options: ZlibOptions) => createGunzip(options) },
  deflate: { atOnce: inflateSync, stream: (options: ZlibOptions) => createInflate(options) },
  zstd: {
    atOnce: (bytes: Uint8Array, options: ZlibOptions) =>
      zstdDecompressSync(bytes, { ...zstdOptions, ...options } as ZstdOptions),
    stream: (options: ZlibOptions) =>
      createZstdDecompress({ ...zstdOptions, ...options } as ZstdOptions),
  },
} as const;

/** A body as it came, and what it may become. */
export interface Deflated {
  readonly bytes: Uint8Array;
  readonly encoding: Encoding;
  /** After inflation. */
  readonly bytesMax: number;
  /** What comes out is taken from it, and what went in given back. */
  readonly admission: Admission;
}

/**
 * Inflates a body in one call on this thread, which costs half of what a stream does and occupies
 * the thread for a few milliseconds at most.
 *
 * @returns null where it is too large for one step
 * @throws Refusal `too_large` over `bytesMax`, `overloaded`, `bad_compression`
 */
export function inflateAtOnce(deflated: Deflated): Uint8Array | null {
  const { bytes, encoding, bytesMax, admission } = deflated;
  // RFC 9110 allows no coding of nothing, but senders with an empty body name one.
  if (encoding === "identity" || bytes.length === 0) return bytes;
  if (bytes.length > deflatedAtOnceBytesMax) return null;
  try {
    const maxOutputLength = Math.min(bytesMax, inflateAtOnceBytesMax);
    const room = Math.max(roomBytesMin, roomFor(bytes, encoding));
    const chunkSize = Math.min(inflateAtOnceBytesMax, room);
    const inflated = CODECS[encoding].atOnce(bytes, { maxOutputLength, chunkSize });
    admission.take(inflated.length);
    admission.give(bytes.length);
    return pool.compact(inflated, inflated.length);
  } catch (error) {
    if (error instanceof Refusal) throw error;
    if (codeOf(error) === "ERR_BUFFER_TOO_LARGE") return null;
    throw broken(encoding, error);
  }
}

const roomBytesMin = 1024;
/** As telemetry deflates, rounded up. */
const usualFactor = 8;

/** Bytes that the body probably inflates to, and one that no output is left for when it does. */
function roomFor(bytes: Uint8Array, encoding: Encoding): number {
  if (encoding !== "gzip" || bytes.length < 4) return bytes.length * usualFactor;
  // RFC 1952, 2.3.1: it ends with the size of what went in.
  const view = dataViewOf(bytes);
  return view.getUint32(bytes.length - 4, true) + 1;
}

/**
 * Inflates a body of any size on another thread.
 *
 * @throws Refusal as `inflateAtOnce`
 */
export function inflateApart(deflated: Deflated): Promise<Uint8Array> {
  const { bytes, encoding, bytesMax, admission } = deflated;
  if (encoding === "identity") return Promise.resolve(bytes);
  const stream: Transform = CODECS[encoding].stream({ chunkSize: chunkBytes });
  const chunks: Uint8Array[] = [];
  let size = 0;
  return new Promise((resolve, reject) => {
    const stop = (refusal: Refusal): void => {
      stream.destroy();
      admission.give(size);
      size = 0;
      reject(refusal);
    };
    stream.on("data", (chunk: Uint8Array) => {
      if (stream.destroyed) return;
      if (size + chunk.length > bytesMax) {
        stop(tooLarge(`inflates to more than ${bytesMax} bytes`));
        return;
      }
      try {
        admission.take(chunk.length);
      } catch (error) {
        stop(error as Refusal);
        return;
      }
      size += chunk.length;
      chunks.push(chunk);
    });
    stream.on("error", (error) => stop(broken(encoding, error)));
    stream.on("end", () => {
      admission.give(bytes.length);
      resolve(Buffer.concat(chunks, size));
    });
    stream.end(bytes);
  });
}

/** `what` completes "the request …". */
export function tooLarge(what: string): Refusal {
  return new Refusal("too_large", `the request ${what}: send smaller batches`);
}

function broken(encoding: Encoding, cause: unknown): Refusal {
  return new Refusal("bad_compression", `the body is not valid ${encoding}`, cause);
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && "code" in error ? error.code : undefined;
}
