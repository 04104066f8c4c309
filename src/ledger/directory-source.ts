/** A ledger directory, and a directory bucket, as the verifier reads them. */
import { createReadStream } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";

import { verifyChunkBytes } from "../limits.ts";
import { isCode, nodeFiles } from "./files.ts";
import { parseSegmentName } from "./segment-name.ts";
import { TileFiles } from "./tile-files.ts";
import { parseTilePath } from "./tile.ts";
import type { BucketSource, LedgerSource, SegmentSource } from "./verify/source.ts";

/** `bucket` is the log's own prefix: `<bucket>/<origin>/<instance>`. */
export function directorySource(directory: string, bucket?: string): LedgerSource {
  const tiles = new TileFiles(directory, nodeFiles);
  return {
    descriptor: () => readFile(join(directory, "ledger.json")),
    checkpoint: () => readIfThere(join(directory, "checkpoint")),
    tile: (path) => tiles.find(parseTilePath(path)),
    segments: () => segmentsOf(join(directory, "segments")),
    ...(bucket === undefined ? {} : { bucket: directoryBucketSource(bucket) }),
  };
}

function directoryBucketSource(prefix: string): BucketSource {
  const kept = join(prefix, "checkpoints");
  return {
    checkpoint: () => readIfThere(join(prefix, "checkpoint")),
    tile: (path) => readIfThere(join(prefix, path)),
    checkpointOfSize: (size) => readIfThere(join(kept, String(size))),
    async checkpointSizes() {
      const names = (await namesIn(kept)).filter((name) => /^(?:0|[1-9]\d{0,15})$/.test(name));
      return names.map(Number).toSorted((left, right) => left - right);
    },
  };
}

async function segmentsOf(directory: string): Promise<SegmentSource[]> {
  const names = (await namesIn(directory)).filter((name) => name.endsWith(".jsonl"));
  return names.toSorted().map((name) => ({
    name,
    firstIndex: parseSegmentName(name),
    chunks: () => createReadStream(join(directory, name), { highWaterMark: verifyChunkBytes }),
  }));
}

async function namesIn(directory: string): Promise<string[]> {
  return readdir(directory).catch((error: unknown) => {
    if (isCode(error, "ENOENT")) return [];
    throw error;
  });
}

async function readIfThere(path: string): Promise<Uint8Array | undefined> {
  return readFile(path).catch((error: unknown) => {
    if (isCode(error, "ENOENT") || isCode(error, "ENOTDIR")) return undefined;
    throw error;
  });
}
