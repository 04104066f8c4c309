/** Cells of tiles: those of the ledger, one file a level, and those of the bucket. */
import { tilePath } from "../../../src/ledger/tile.ts";
import { tileWidth } from "../../../src/limits.ts";
import type { EvidenceFiles } from "../../ledger/evidence-files.ts";
import type { Cell, Operation } from "./cell.ts";
import { notInBucket, cell, flip, inFile, type Change, type More } from "./damage.ts";
import { keptSizes } from "./subject.ts";

interface TileTarget {
  readonly target: string;
  path(files: EvidenceFiles): string;
  readonly place: string;
  readonly more: More;
  /** Nobody misses it. */
  readonly missing?: More;
}

/** Path of the partial tile that the root of a size needs. */
function partial(level: 0 | 1 | "entries", which: number): TileTarget["path"] {
  return (files) => {
    const size = keptSizes(files).at(which)!;
    const count = level === 1 ? Math.floor(size / tileWidth) : size;
    const tile = { level, index: Math.floor(count / tileWidth), width: count % tileWidth };
    return `bucket/${tilePath(tile)}`;
  };
}

const inBucketOnly: More = { unseen: notInBucket };
const tiles: readonly TileTarget[] = [
  { target: "ledger tile/0", path: () => "ledger/tile/0", place: "tile/0/", more: {} },
  { target: "ledger tile/1", path: () => "ledger/tile/1", place: "tile/1/", more: {} },
  {
    target: "ledger tile/entries",
    path: () => "ledger/tile/entries",
    place: "tile/entries/",
    more: {},
  },
  {
    target: "bucket tile/0, full",
    path: () => "bucket/tile/0/000",
    place: "bucket/tile/0/",
    more: inBucketOnly,
  },
  {
    target: "bucket tile/0, partial",
    path: partial(0, -1),
    place: "bucket/tile/0/",
    more: inBucketOnly,
  },
  {
    target: "bucket tile/0, partial of an older root",
    path: partial(0, 0),
    place: "bucket/tile/0/",
    more: inBucketOnly,
    missing: { unseen: { operator: "L4", auditor: "L4", "no bucket": "H4", "no key": "L4" } },
  },
  {
    target: "bucket tile/1, partial",
    path: partial(1, -1),
    place: "bucket/tile/1/",
    more: inBucketOnly,
  },
  {
    target: "bucket tile/entries, full",
    path: () => "bucket/tile/entries/000",
    place: "bucket/tile/entries/",
    more: inBucketOnly,
  },
  {
    target: "bucket tile/entries, partial",
    path: partial("entries", -1),
    place: "bucket/tile/entries/",
    more: inBucketOnly,
  },
];

function tileCells(tile: TileTarget): Cell[] {
  const at = inFile(tile.place);
  const bytes =
    (change: (all: Buffer) => Buffer): Change =>
    (files) => {
      const path = tile.path(files);
      files.set(path, change(Buffer.from(files.get(path)!)));
    };
  const one = (operation: Operation, damage: Change, more: More = {}): Cell =>
    cell(tile.target, operation, damage, { at, ...tile.more, ...more });
  const slot = tile.target.includes("entries") ? 34 : 32;
  const isLocal = tile.target.startsWith("ledger");
  const beyond = { operator: "H2", auditor: "H2", "no bucket": "H2", "no key": "H2" } as const;
  return [
    one("edit", (files) => flip(files, tile.path(files), 5), { variant: "first hash" }),
    one("edit", (files) => flip(files, tile.path(files), -5), { variant: "last hash" }),
    one("delete", (files) => files.delete(tile.path(files)), tile.missing ?? { classes: ["gap"] }),
    one(
      "insert",
      bytes((all) => Buffer.concat([all, Buffer.alloc(slot)])),
      {
        variant: "a hash behind it",
        ...(isLocal && { unseen: beyond }),
      },
    ),
    one(
      "truncate head",
      bytes((all) => all.subarray(1)),
    ),
    one(
      "truncate tail",
      bytes((all) => all.subarray(0, -1)),
    ),
    ...(tile.target.includes("tile/1") ? [] : rowCells(one, bytes, slot)),
  ];
}

type MakeCell = (operation: Operation, damage: Change, more?: More) => Cell;

function rowCells(
  one: MakeCell,
  bytes: (change: (all: Buffer) => Buffer) => Change,
  slot: number,
): Cell[] {
  const [first, second] = [
    [0, slot],
    [slot, 2 * slot],
  ] as const;
  return [
    one(
      "insert",
      bytes((all) =>
        Buffer.concat([all.subarray(0, slot), Buffer.alloc(slot), all.subarray(slot)]),
      ),
      { variant: "a hash in it" },
    ),
    one(
      "duplicate",
      bytes((all) =>
        Buffer.concat([all.subarray(...first), all.subarray(...first), all.subarray(2 * slot)]),
      ),
    ),
    one(
      "reorder",
      bytes((all) =>
        Buffer.concat([all.subarray(...second), all.subarray(...first), all.subarray(2 * slot)]),
      ),
    ),
  ];
}

export const tileFileCells: readonly Cell[] = tiles.flatMap(tileCells);

const operationsOfLarge: readonly Operation[] = ["edit", "delete", "truncate tail"];

/** Of a full tile of level 1, and of what stands above it: only a large log has them. */
export const largeTileCells: readonly Cell[] = [
  { target: "ledger tile/1, full", path: () => "ledger/tile/1", place: "tile/1/", more: {} },
  { target: "ledger tile/2", path: () => "ledger/tile/2", place: "tile/2/", more: {} },
  {
    target: "bucket tile/1, full",
    path: () => "bucket/tile/1/000",
    place: "bucket/tile/1/",
    more: inBucketOnly,
  },
  {
    target: "bucket tile/2, partial",
    path: () => "bucket/tile/2/000.p/1",
    place: "bucket/tile/2/",
    more: inBucketOnly,
  },
].flatMap((tile) =>
  tileCells(tile).filter(({ operation }) => operationsOfLarge.includes(operation)),
);
