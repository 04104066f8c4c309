/**
 * A ledger directory, and a directory bucket, as the verifier reads them. Anybody may have put
 * anything there: what is no plain file is refused, and no more is read than the format allows.
 */
import { readdir } from "node:fs/promises";
import { join } from "node:path";

import { isCode } from "../bytes/thrown.ts";
import { descriptorBytesMax, noteBytesMax, tileFileBytesMax, verifyChunkBytes } from "../limits.ts";
import { nodeFileSystem, notPlain, type OpenFile } from "./file-system.ts";
import { nodeFiles } from "./files.ts";
import { parseSegmentName } from "./segment-name.ts";
import { TileFiles } from "./tile-files.ts";
import { parseTilePath } from "./tile.ts";
import type { BucketSource, LedgerSource, SegmentSource } from "./verify/source.ts";

/** `bucket` is the log's own prefix: `<bucket>/<origin>/<instance>`. */
export function directorySource(directory: string, bucket?: string): LedgerSource {
  const tiles = new TileFiles(directory, { ...nodeFiles, readRange: readPlainRange });
  return {
    descriptor: async () => {
      const bytes = await readAtMost(join(directory, "ledger.json"), descriptorBytesMax);
      return bytes ?? new Uint8Array();
    },
    checkpoint: () => readAtMost(join(directory, "checkpoint"), noteBytesMax),
    tile: (path) => tiles.find(parseTilePath(path)),
    segments: () => segmentsOf(join(directory, "segments")),
    ...(bucket === undefined ? {} : { bucket: directoryBucketSource(bucket) }),
  };
}

function directoryBucketSource(prefix: string): BucketSource {
  const kept = join(prefix, "checkpoints");
  return {
    checkpoint: () => readAtMost(join(prefix, "checkpoint"), noteBytesMax),
    tile: (path) => readAtMost(join(prefix, path), tileFileBytesMax),
    checkpointOfSize: (size) => readAtMost(join(kept, String(size)), noteBytesMax),
    async checkpointSizes() {
      const names = (await namesIn(kept)).filter((name) => /^(?:0|[1-9]\d{0,15})$/.test(name));
      const sizes = names.map(Number);
      return sizes.filter(Number.isSafeInteger).toSorted((left, right) => left - right);
    },
  };
}

async function segmentsOf(directory: string): Promise<SegmentSource[]> {
  const names = (await namesIn(directory)).filter((name) => name.endsWith(".jsonl"));
  return names.toSorted().map((name) => ({
    name,
    firstIndex: parseSegmentName(name),
    chunks: () => chunksOf(join(directory, name)),
  }));
}

/** Two buffers in turns: the next chunk is read while one is looked at. */
async function* chunksOf(path: string): AsyncGenerator<Uint8Array> {
  const file = await openPlain(path);
  if (file === undefined) return;
  let [present, other] = [
    Buffer.allocUnsafe(verifyChunkBytes),
    Buffer.allocUnsafe(verifyChunkBytes),
  ];
  let reading = file.read(present, 0, verifyChunkBytes, 0);
  try {
    for (let position = 0; ;) {
      const { bytesRead } = await reading;
      if (bytesRead === 0) return;
      position += bytesRead;
      reading = file.read(other, 0, verifyChunkBytes, position);
      yield present.subarray(0, bytesRead);
      [present, other] = [other, present];
    }
  } finally {
    await reading.catch(() => undefined);
    await file.close();
  }
}

async function namesIn(directory: string): Promise<string[]> {
  return readdir(directory).catch((error: unknown) => {
    if (isCode(error, "ENOENT") || isCode(error, "ENOTDIR")) return [];
    throw error;
  });
}

/** The file, or of a longer one the bytes that show that it is too long; undefined without one. */
async function readAtMost(path: string, bytesMax: number): Promise<Uint8Array | undefined> {
  const file = await openPlain(path);
  return file && readAndClose(file, 0, bytesMax + 1);
}

async function readPlainRange(path: string, start: number, byteCount: number): Promise<Uint8Array> {
  const file = await openPlain(path);
  return file === undefined ? new Uint8Array() : readAndClose(file, start, byteCount);
}

async function readAndClose(file: OpenFile, start: number, bytesMax: number): Promise<Uint8Array> {
  try {
    const bytes = Buffer.alloc(bytesMax);
    let end = 0;
    while (end < bytesMax) {
      const { bytesRead } = await file.read(bytes, end, bytesMax - end, start + end);
      if (bytesRead === 0) break;
      end += bytesRead;
    }
    return bytes.subarray(0, end);
  } finally {
    await file.close();
  }
}

/** @throws LedgerError for a folder, a pipe, a device, a link in a circle. */
async function openPlain(path: string): Promise<OpenFile | undefined> {
  const file = await nodeFileSystem.open(path, "r").catch((error: unknown) => {
    if (isCode(error, "ENOENT") || isCode(error, "ENOTDIR")) return undefined;
    throw error;
  });
  if (file === undefined || !(await file.stat()).isDirectory()) return file;
  await file.close();
  throw notPlain(path);
}
