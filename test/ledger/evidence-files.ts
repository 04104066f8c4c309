/**
 * The files of a built ledger and of its bucket as paths and bytes, `ledger/…` and `bucket/…`: to be
 * damaged one by one, read by the verifier from memory, or written to a disk.
 */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";

import { parseCheckpoint } from "../../src/ledger/checkpoint.ts";
import { parseSegmentName, segmentName } from "../../src/ledger/segment-name.ts";
import { parseTilePath, slotBytes, tilePath, tilesOf } from "../../src/ledger/tile.ts";
import type { LedgerSource } from "../../src/ledger/verify/source.ts";
import { tileWidth } from "../../src/limits.ts";
import type { LedgerBuilder } from "./builder.ts";

export type EvidenceFiles = Map<string, Buffer>;

export function filesOf(ledger: LedgerBuilder): EvidenceFiles {
  const files: EvidenceFiles = new Map();
  const put = (path: string, bytes: Uint8Array | string): void => {
    files.set(path, Buffer.from(bytes as Uint8Array));
  };
  put("ledger/ledger.json", ledger.descriptor);
  for (const [at, { first, lines }] of ledger.segments.entries()) {
    const rest = at === ledger.segments.length - 1 ? ledger.tail : "";
    put(
      `ledger/segments/${segmentName(first)}`,
      `${lines.map((line) => `${line}\n`).join("")}${rest}`,
    );
  }
  const { local, bucket } = ledger;
  if (local.checkpoint !== undefined) {
    put("ledger/checkpoint", local.checkpoint);
    const { size } = parseCheckpoint(local.checkpoint);
    for (const tile of tilesOf(size)) {
      const path = `ledger/tile/${tile.level}`;
      const before = files.get(path) ?? Buffer.alloc(0);
      put(path, Buffer.concat([before, local.tiles.get(tilePath(tile))!]));
    }
  }
  if (bucket.checkpoint !== undefined) put("bucket/checkpoint", bucket.checkpoint);
  for (const [path, bytes] of bucket.tiles) put(`bucket/${path}`, bytes);
  for (const [size, bytes] of ledger.bucket.kept) put(`bucket/checkpoints/${size}`, bytes);
  return files;
}

export async function writeFiles(root: string, files: EvidenceFiles): Promise<void> {
  for (const [path, bytes] of files) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), bytes);
  }
}

/** What the verifier reads, by the rules of `directorySource`. */
export function memorySource(files: EvidenceFiles, options: { bucket: boolean }): LedgerSource {
  const namesIn = (folder: string): string[] =>
    [...files.keys()]
      .filter((path) => path.startsWith(folder))
      .map((path) => path.slice(folder.length))
      .filter((name) => !name.includes("/"))
      .toSorted();
  const read = async (path: string): Promise<Uint8Array | undefined> => files.get(path);
  return {
    descriptor: async () => files.get("ledger/ledger.json") ?? Buffer.alloc(0),
    checkpoint: () => read("ledger/checkpoint"),
    tile: async (path) => {
      const { level, index, width } = parseTilePath(path);
      const start = index * tileWidth * slotBytes(level);
      const end = start + width * slotBytes(level);
      const bytes = files.get(`ledger/tile/${level}`)?.subarray(start, end);
      return bytes?.length === end - start ? bytes : undefined;
    },
    segments: async () =>
      namesIn("ledger/segments/").map((name) => ({
        name,
        firstIndex: parseSegmentName(name),
        async *chunks() {
          yield Uint8Array.from(files.get(`ledger/segments/${name}`)!);
        },
      })),
    ...(options.bucket && {
      bucket: {
        checkpoint: () => read("bucket/checkpoint"),
        tile: (path: string) => read(`bucket/${path}`),
        checkpointSizes: async () =>
          namesIn("bucket/checkpoints/")
            .map(Number)
            .toSorted((left, right) => left - right),
        checkpointOfSize: (size: number) => read(`bucket/checkpoints/${size}`),
      },
    }),
  };
}
