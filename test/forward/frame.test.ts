import { crc32 } from "node:zlib";
import { assert, maxSafeNat, nat, property, record } from "fast-check";
import type { Arbitrary } from "fast-check";
import { expect, test } from "vitest";
import type { StagedEntry } from "../../src/ledger/follower.ts";
import { encodeCursor, parseCursor } from "../../src/forward/cursor.ts";
import type { CursorState } from "../../src/forward/cursor.ts";
import {
  encodeHeader,
  encodeWrite,
  frameBytes,
  frameHeaderBytes,
  framePayload,
  parseHeader,
} from "../../src/forward/frame.ts";
import type { FrameHeader } from "../../src/forward/frame.ts";
import { scanSegment } from "../../src/forward/segment-scan.ts";

const index = maxSafeNat();
const uint32 = nat(0xffff_ffff);

test("a header is read as it was written", () => {
  const header: Arbitrary<FrameHeader> = record({
    payloadBytes: uint32,
    payloadChecksum: uint32,
    number: index,
    group: index,
    first: index,
    end: index,
    stagedUnixMs: index,
    writeStart: uint32,
    writeBytes: uint32,
  });
  assert(
    property(header, nat(100), (value, offset) => {
      const bytes = Buffer.alloc(offset + frameHeaderBytes);
      encodeHeader(bytes, offset, value);
      expect(parseHeader(bytes, offset)).toEqual(value);
    }),
  );
});

test("a cursor is read as it was written, and every changed byte is noticed", () => {
  const state: CursorState = {
    next: 7,
    committed: 9,
    logSize: 1234,
    suspensions: [
      {
        sinceUnixMs: 1,
        entries: 2,
        bytes: 3,
        items: 6,
        first: 4,
        end: 5,
        startRecorded: true,
        over: false,
        countsComplete: true,
      },
    ],
  };
  const bytes = encodeCursor(state);
  expect(parseCursor(bytes, "cursor")).toEqual(state);
  for (let at = 0; at < bytes.length; at++) {
    const changed = Uint8Array.from(bytes);
    changed[at]! ^= 1;
    expect(() => parseCursor(changed, "cursor")).toThrow(/cursor is damaged|is damaged/);
    expect(() => parseCursor(bytes.subarray(0, at), "cursor")).toThrow(/is damaged/);
  }
});

test.each([null, [null], [{ entries: 1 }]])(
  "a cursor with %j for its suspensions is damaged, whatever its checksum says",
  (suspensions) => {
    const state = { next: 1, committed: 2, logSize: 3, suspensions: [] };
    const text = Buffer.from(encodeCursor(state)).toString().split("\n", 1)[0]!;
    const changed = text.replace("[]", JSON.stringify(suspensions));
    const sum = crc32(changed).toString(16).padStart(8, "0");
    const bytes = Buffer.from(`${changed}\n${sum}\n`);
    expect(() => parseCursor(bytes, "cursor")).toThrow(/is damaged/);
  },
);

/** Three writes: groups 0, 2 and 2 (the last ones without records before them). */
function segmentOf(): { bytes: Buffer; ends: number[]; starts: number[] } {
  const entry = (size: number, first: number, end: number): StagedEntry => ({
    signal: "traces",
    bytes: Buffer.alloc(size, size),
    first,
    end,
  });
  const writes = [
    { group: 0, entries: [entry(10, 0, 1), entry(0, 1, 2)] },
    { group: 2, entries: [entry(30, 2, 2)] },
    { group: 2, entries: [entry(5, 2, 4), entry(40, 4, 4), entry(7, 4, 5)] },
  ];
  let bytes = Buffer.alloc(0);
  const ends: number[] = [];
  const starts: number[] = [];
  let number = 5;
  for (const { group, entries } of writes) {
    const context = { number, group, stagedUnixMs: 1000 + number, writeStart: bytes.length };
    starts.push(bytes.length);
    bytes = Buffer.concat([bytes, encodeWrite(entries, context)]);
    number += entries.length;
    ends.push(bytes.length);
  }
  return { bytes, ends, starts };
}

test("a whole file is read with what recovery needs", () => {
  const { bytes, starts } = segmentOf();
  expect(scanSegment(bytes, { first: 5, from: 7, committed: 0 })).toEqual({
    next: 11,
    bytes: bytes.length,
    fromOffset: starts[1],
    fromStagedUnixMs: 1007,
    group: 2,
    candidates: [
      { number: 8, offset: starts[2], end: 4 },
      { number: 10, offset: starts[2]! + frameBytes(5) + frameBytes(40), end: 5 },
    ],
    rest: "none",
    torn: undefined,
  });
});

test("cut at any byte, only the last write is torn, and whole writes stay", () => {
  const { bytes, ends } = segmentOf();
  for (let size = 0; size <= bytes.length; size++) {
    const scanned = scanSegment(bytes.subarray(0, size), { first: 5, from: 5, committed: 0 });
    const whole = ends.filter((end) => end <= size).at(-1) ?? 0;
    expect(scanned.bytes).toBe(whole);
    expect(scanned.rest).toBe(size === whole ? "none" : "torn");
  }
});

test("zeros or garbage in the last write are torn, a changed byte before it is damage", () => {
  const { bytes, starts } = segmentOf();
  const last = starts[2]!;
  for (let at = 0; at < bytes.length; at++) {
    const changed = Buffer.from(bytes);
    changed[at]! ^= 0x40;
    const scanned = scanSegment(changed, { first: 5, from: 5, committed: 0 });
    expect(scanned.rest).toBe(at < last ? "damaged" : "torn");
    expect(Math.max(scanned.bytes, last)).toBe(last);
  }
  for (let at = last; at < bytes.length; at++) {
    const zeros = Buffer.concat([bytes.subarray(0, at), Buffer.alloc(bytes.length - at)]);
    expect(scanSegment(zeros, { first: 5, from: 5, committed: 0 })).toMatchObject({
      rest: "torn",
      bytes: last,
    });
  }
});

test("entries of another place are damage, not a torn end", () => {
  const { bytes, starts } = segmentOf();
  const withoutMiddle = Buffer.concat([bytes.subarray(0, starts[1]), bytes.subarray(starts[2])]);
  expect(scanSegment(withoutMiddle, { first: 5, from: 5, committed: 0 }).rest).toBe("damaged");
  expect(scanSegment(bytes, { first: 4, from: 5, committed: 0 }).rest).toBe("damaged");
});

test("a payload that looks like entries changes nothing", () => {
  const inner = segmentOf().bytes;
  const context = { number: 0, group: 0, stagedUnixMs: 0, writeStart: 0 };
  const entry: StagedEntry = { signal: "logs", bytes: inner, first: 0, end: 0 };
  const bytes = encodeWrite([entry], context);
  expect(scanSegment(bytes, { first: 0, from: 0, committed: 0 })).toMatchObject({
    rest: "none",
    next: 1,
  });
  const header = parseHeader(bytes, 0)!;
  expect(framePayload(bytes, 0, header)).toEqual(inner);
  for (let size = 1; size < bytes.length; size++) {
    expect(scanSegment(bytes.subarray(0, size), { first: 0, from: 0, committed: 0 })).toMatchObject(
      { rest: "torn", bytes: 0 },
    );
  }
});
