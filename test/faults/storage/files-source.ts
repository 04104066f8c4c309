/** A ledger and its bucket on any `Files`, as the verifier reads them. */
import { join } from "node:path";
import { isCode } from "../../../src/bytes/thrown.ts";
import type { Files } from "../../../src/ledger/files.ts";
import { parseSegmentName } from "../../../src/ledger/segment-name.ts";
import { TileFiles } from "../../../src/ledger/tile-files.ts";
import { parseTilePath } from "../../../src/ledger/tile.ts";
import type { LedgerSource } from "../../../src/ledger/verify/source.ts";

export function filesSource(files: Files, directory: string, bucket: string): LedgerSource {
  const segments = join(directory, "segments");
  const kept = join(bucket, "checkpoints");
  const tiles = new TileFiles(directory, files);
  return {
    checkpoint: () => readIfThere(files, join(directory, "checkpoint")),
    tile: (path) => tiles.find(parseTilePath(path)),
    descriptor: () => files.read(join(directory, "ledger.json")),
    async segments() {
      const names = await files.list(segments);
      return names.map((name) => ({
        name,
        firstIndex: parseSegmentName(name),
        async *chunks() {
          yield await files.read(join(segments, name));
        },
      }));
    },
    bucket: {
      checkpoint: () => readIfThere(files, join(bucket, "checkpoint")),
      tile: (path) => readIfThere(files, join(bucket, path)),
      checkpointOfSize: (size) => readIfThere(files, join(kept, String(size))),
      async checkpointSizes() {
        const names = (await files.list(kept)).filter((name) => /^\d+$/.test(name));
        return names.map(Number).toSorted((left, right) => left - right);
      },
    },
  };
}

async function readIfThere(files: Files, path: string): Promise<Uint8Array | undefined> {
  try {
    return await files.read(path);
  } catch (error) {
    if (isCode(error, "ENOENT")) return undefined;
    throw error;
  }
}
