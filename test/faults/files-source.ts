/** A ledger and its bucket on any `Files`, as the verifier reads them. */
import { join } from "node:path";
import { isCode } from "../../src/ledger/files.ts";
import type { Files } from "../../src/ledger/files.ts";
import { parseSegmentName } from "../../src/ledger/segment-name.ts";
import type { LedgerSource, TreeStore } from "../../src/ledger/verify/source.ts";

export function filesSource(files: Files, directory: string, bucket: string): LedgerSource {
  const segments = join(directory, "segments");
  const kept = join(bucket, "checkpoints");
  return {
    ...treeStore(files, directory),
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
      ...treeStore(files, bucket),
      checkpointOfSize: (size) => readIfThere(files, join(kept, String(size))),
      async checkpointSizes() {
        const names = (await files.list(kept)).filter((name) => /^\d+$/.test(name));
        return names.map(Number).toSorted((left, right) => left - right);
      },
    },
  };
}

function treeStore(files: Files, directory: string): TreeStore {
  return {
    checkpoint: () => readIfThere(files, join(directory, "checkpoint")),
    tile: (path) => readIfThere(files, join(directory, path)),
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
