/** Large writes around the page cache: the same bytes in the file as by the usual way. */
import { constants, readdirSync, readlinkSync } from "node:fs";
import { mkdtemp, open as openFile, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";

import { blockBytes, blockMemory } from "../../../src/bytes/block-memory.ts";
import { withDirectWrites } from "../../../src/ledger/direct-write.ts";
import { nodeFileSystem, type OpenFile } from "../../../src/ledger/file-system.ts";
import { nodeFiles } from "../../../src/ledger/files.ts";
import { directWriteBytesMin } from "../../../src/limits.ts";
import { MemoryDisk } from "../../support/disk/memory-disk.ts";
import { checkLog } from "../check-log.ts";
import { batch, open, recordsOnDisk, temporaryPlace } from "./support.ts";

const large = directWriteBytesMin + 3 * blockBytes;

/** Bytes that differ from place to place, in memory that lies as they will at `position`. */
function bytesFor(position: number, length: number): Uint8Array {
  const start = position % blockBytes;
  const bytes = blockMemory(start + length).subarray(start);
  for (let at = 0; at < length; at++) bytes[at] = 1 + ((at * 31 + (at >> 8)) % 255);
  return bytes;
}

async function temporaryFile(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "spanseal-direct-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  const path = join(folder, "file");
  await writeFile(path, "");
  return path;
}

test.each([
  ["whole blocks", 0, directWriteBytesMin],
  ["whole blocks further on", 2 * blockBytes, directWriteBytesMin],
  ["an end within a block", 0, large + 17],
  ["a beginning within a block", 4095, large + 1],
  ["both", 5, large],
  ["too few blocks", 1, directWriteBytesMin],
])(
  "%s: the file holds what was written, and what was there before",
  async (_, position, length) => {
    const path = await temporaryFile();
    const before = Buffer.alloc(position, "x");
    await writeFile(path, before);
    const file = await nodeFiles.openAppend(path, 0o600);
    const bytes = bytesFor(position, length);
    await file.write(bytes, position);
    // Again behind it, as groups follow one another.
    const next = bytesFor(position + length, length);
    await file.write(next, position + length);
    await file.sync();
    await file.close();
    expect(Buffer.compare(await readFile(path), Buffer.concat([before, bytes, next]))).toBe(0);
  },
);

test("memory that lies otherwise than the file is written too", async () => {
  const path = await temporaryFile();
  const file = await nodeFiles.openAppend(path, 0o600);
  const bytes = bytesFor(1, large);
  await file.write(bytes, 0);
  await file.close();
  expect(Buffer.compare(await readFile(path), bytes)).toBe(0);
});

interface Recorded {
  readonly file: OpenFile;
  /** `[position, length]` of each write. */
  readonly writes: [number, number][];
}

/** A file of `disk` whose writes are noted, and done by `write` where that is given. */
async function recorded(disk: MemoryDisk, write?: OpenFile["write"]): Promise<Recorded> {
  const inner = await disk.open("/file", "r+");
  const writes: [number, number][] = [];
  const file: OpenFile = {
    ...inner,
    close: () => inner.close(),
    write: (bytes, offset, length, position) => {
      writes.push([position, length]);
      return (write ?? inner.write.bind(inner))(bytes, offset, length, position);
    },
  };
  return { file, writes };
}

async function emptyDisk(): Promise<MemoryDisk> {
  const disk = new MemoryDisk();
  await (await disk.open("/file", "wx")).close();
  return disk;
}

function refusal(code: string): Error {
  return Object.assign(new Error(code), { code });
}

async function contentOf(disk: MemoryDisk): Promise<Buffer> {
  return Buffer.from(await disk.readFile("/file"));
}

test("only whole blocks go the direct way", async () => {
  const disk = await emptyDisk();
  const usual = await recorded(disk);
  const direct = await recorded(disk);
  const file = withDirectWrites(usual.file, async () => direct.file);
  const bytes = bytesFor(100, large);
  expect(await file.write(bytes, 0, large, 100)).toEqual({ bytesWritten: large });
  const end = Math.floor((100 + large) / blockBytes) * blockBytes;
  expect(direct.writes).toEqual([[blockBytes, end - blockBytes]]);
  expect(usual.writes).toEqual([
    [100, blockBytes - 100],
    [end, 100 + large - end],
  ]);
  expect(Buffer.compare((await contentOf(disk)).subarray(100), bytes)).toBe(0);
});

test.each(["cannot be opened so", "takes no such write"])(
  "a file that %s is written the usual way from then on",
  async (how) => {
    const disk = await emptyDisk();
    const usual = await recorded(disk);
    const direct = await recorded(disk, () => Promise.reject(refusal("EINVAL")));
    let asked = 0;
    const file = withDirectWrites(usual.file, async () => {
      asked++;
      if (how.startsWith("cannot")) throw refusal("EINVAL");
      return direct.file;
    });
    for (const position of [0, large]) {
      expect(await file.write(bytesFor(position, large), 0, large, position)).toEqual({
        bytesWritten: large,
      });
    }
    await file.close();
    expect(asked).toBe(1);
    expect(direct.writes.length).toBeLessThanOrEqual(1);
    expect(
      Buffer.compare(
        await contentOf(disk),
        Buffer.concat([bytesFor(0, large), bytesFor(large, large)]),
      ),
    ).toBe(0);
  },
);

test("a full disk is told by the usual way", async () => {
  const disk = await emptyDisk();
  const full: OpenFile["write"] = () => Promise.reject(refusal("ENOSPC"));
  const usual = await recorded(disk, full);
  const direct = await recorded(disk, full);
  const file = withDirectWrites(usual.file, async () => direct.file);
  await expect(file.write(bytesFor(0, large), 0, large, 0)).rejects.toMatchObject({
    code: "ENOSPC",
  });
});

test("of blocks that were not all written the first are counted, and no end behind a gap", async () => {
  const disk = await emptyDisk();
  const usual = await recorded(disk);
  const direct = await recorded(disk, async () => ({ bytesWritten: blockBytes }));
  const file = withDirectWrites(usual.file, async () => direct.file);
  const written = await file.write(bytesFor(5, large), 0, large, 5);
  expect(written).toEqual({ bytesWritten: blockBytes - 5 + blockBytes });
});

test("a write is over only when each part of it is", async () => {
  const disk = await emptyDisk();
  const usual = await recorded(disk, () => Promise.reject(refusal("EIO")));
  const slow = Promise.withResolvers<{ bytesWritten: number }>();
  const direct = await recorded(disk, () => slow.promise);
  const file = withDirectWrites(usual.file, async () => direct.file);
  let isOver = false;
  const write = file.write(bytesFor(5, large), 0, large, 5).finally(() => (isOver = true));
  await new Promise((resolve) => setImmediate(resolve));
  expect(isOver).toBe(false);
  slow.resolve({ bytesWritten: large });
  await expect(write).rejects.toMatchObject({ code: "EIO" });
});

test("groups that are large enough for it make a sound log", async () => {
  const place = await temporaryPlace();
  const ledger = await open(place);
  for (const name of ["first", "second", "third"]) {
    const records = Array.from({ length: 700 }, (_, at) => ({ name: `${name} ${at}` }));
    await ledger.append(batch(records));
  }
  await ledger.close();
  await checkLog(place.directory, place.keys);
  expect((await recordsOnDisk(place.directory)).length).toBe(ledger.size);
});

/** How often this process has the file open. */
function timesOpen(path: string): number {
  const numbers = readdirSync("/proc/self/fd");
  return numbers.filter((number) => {
    try {
      return readlinkSync(join("/proc/self/fd", number)) === path;
    } catch {
      return false;
    }
  }).length;
}

async function isDirectPossible(): Promise<boolean> {
  const path = join(tmpdir(), `spanseal-direct-${process.pid}`);
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_DIRECT;
  const file = await openFile(path, flags).catch(() => undefined);
  await file?.close();
  await rm(path, { force: true });
  return file !== undefined;
}

test.runIf(process.platform === "linux" && (await isDirectPossible()))(
  "a file is opened for direct writes once, where there is one, and closed again",
  async () => {
    const path = await temporaryFile();
    const file = await nodeFileSystem.open(path, "r+");
    await file.write(bytesFor(0, 10), 0, 10, 0);
    expect(timesOpen(path)).toBe(1);
    for (const position of [0, large]) {
      await file.write(bytesFor(position, large), 0, large, position);
      expect(timesOpen(path)).toBe(2);
    }
    await file.close();
    expect(timesOpen(path)).toBe(0);
  },
);
