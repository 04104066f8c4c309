/**
 * Large writes that go around the page cache: what is written once and seldom read needs no copy in
 * memory, and filling new pages costs more than all else that a commit asks of the kernel. It takes
 * whole blocks, from memory that lies to its pages as the file does to its blocks. So the ends of a
 * write go the usual way, and all of it does where the disk or its file system has no other.
 */
import { blockBytes } from "../bytes/block-memory.ts";
import { directWriteBytesMin } from "../limits.ts";
import type { OpenFile } from "./file-system.ts";

/** `file`, for which `openDirect` opens it once more for such writes, or rejects. */
export function withDirectWrites(file: OpenFile, openDirect: () => Promise<OpenFile>): OpenFile {
  const direct = new DirectWriter(file, openDirect);
  return {
    ...file,
    write: (bytes, offset, length, position) => direct.write({ bytes, offset, length, position }),
    async close() {
      await direct.close();
      await file.close();
    },
  };
}

interface Piece {
  readonly bytes: Uint8Array;
  readonly offset: number;
  readonly length: number;
  readonly position: number;
}

interface Written {
  readonly bytesWritten: number;
}

class DirectWriter {
  readonly #file: OpenFile;
  readonly #openDirect: () => Promise<OpenFile>;
  #direct: OpenFile | undefined;
  #isRefused = false;

  constructor(file: OpenFile, openDirect: () => Promise<OpenFile>) {
    this.#file = file;
    this.#openDirect = openDirect;
  }

  async write(piece: Piece): Promise<Written> {
    const parts = this.#isRefused ? undefined : partsOf(piece);
    if (parts === undefined) return write(this.#file, piece);
    const { before, blocks, after } = parts;
    // Nothing is under way any more when this ends: whoever cuts a failed write back cuts it all.
    const results = await Promise.allSettled([
      write(this.#file, before),
      this.#writeBlocks(blocks),
      write(this.#file, after),
    ]);
    return { bytesWritten: fromTheFront(results, [before, blocks, after]) };
  }

  async #writeBlocks(blocks: Piece): Promise<Written> {
    try {
      this.#direct ??= await this.#openDirect();
      return await write(this.#direct, blocks);
    } catch {
      // Where the reason is another than that it is direct, the usual way tells.
      this.#isRefused = true;
      return write(this.#file, blocks);
    }
  }

  async close(): Promise<void> {
    await this.#direct?.close();
  }
}

async function write(file: OpenFile, { bytes, offset, length, position }: Piece): Promise<Written> {
  if (length === 0) return { bytesWritten: 0 };
  return file.write(bytes, offset, length, position);
}

/** A write in three parts; undefined where it has not enough whole blocks for that. */
function partsOf(
  piece: Piece,
): { readonly before: Piece; readonly blocks: Piece; readonly after: Piece } | undefined {
  const { bytes, offset, length, position } = piece;
  const start = Math.ceil(position / blockBytes) * blockBytes;
  const end = Math.floor((position + length) / blockBytes) * blockBytes;
  const isCongruent = (bytes.byteOffset + offset - position) % blockBytes === 0;
  if (!isCongruent || end - start < directWriteBytesMin) return undefined;
  const between = (from: number, to: number): Piece => ({
    bytes,
    offset: offset + from - position,
    length: to - from,
    position: from,
  });
  return {
    before: between(position, start),
    blocks: between(start, end),
    after: between(end, position + length),
  };
}

/** How much is there without gap: what comes after a short part is written again. */
function fromTheFront(
  results: readonly PromiseSettledResult<Written>[],
  parts: readonly Piece[],
): number {
  let bytesWritten = 0;
  for (const [at, result] of results.entries()) {
    if (result.status === "rejected") throw result.reason;
    bytesWritten += result.value.bytesWritten;
    if (result.value.bytesWritten < parts[at]!.length) break;
  }
  return bytesWritten;
}
