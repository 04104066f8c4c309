/** Memory is used again, but never what others look at, nor without bound. */
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import { Pool } from "../../src/bytes/pool.ts";

const KIB = 1024;
const idleMs = 1000;

function poolOf(kibMax: number): Pool {
  return new Pool({ bytesMax: kibMax * KIB, idleMs });
}

function acquireMarked(pool: Pool, size: number): Uint8Array {
  const bytes = pool.acquire(size);
  bytes.set(Buffer.from("mark"));
  return bytes;
}

function isMarked(bytes: Uint8Array): boolean {
  return Buffer.from(bytes.subarray(0, 4)).toString() === "mark";
}

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test.each([9, 64, 100, 4096])("%i KiB are used again; who kept a view finds nothing", (kib) => {
  const pool = poolOf(8192);
  const first = acquireMarked(pool, kib * KIB);
  const view = first.subarray(0, 4);
  pool.release(first);
  expect([first.length, view.length, view[0]]).toEqual([0, 0, undefined]);
  const second = pool.acquire(kib * KIB - 1);
  expect(second.length).toBe(kib * KIB - 1);
  expect(isMarked(second)).toBe(true);
  expect(isMarked(pool.acquire(kib * KIB))).toBe(false);
});

test("any part of what was acquired stands for the whole, even an empty one", () => {
  const pool = poolOf(64);
  for (const part of [0, 4]) {
    const bytes = acquireMarked(pool, 64 * KIB);
    pool.release(bytes.subarray(part, part));
    expect(isMarked(pool.acquire(64 * KIB))).toBe(true);
  }
});

test("released twice, it is had once", () => {
  const pool = poolOf(1024);
  const bytes = acquireMarked(pool, 64 * KIB);
  pool.release(bytes);
  pool.release(bytes);
  expect(pool.bytes).toBe(64 * KIB);
});

test("what others made is taken where it fills its memory, and left alone otherwise", () => {
  const pool = poolOf(1024);
  const whole = new Uint8Array(16 * KIB);
  pool.release(whole.subarray(100, 9 * KIB));
  expect([whole.length, pool.bytes]).toEqual([0, 16 * KIB]);
  const slab = new Uint8Array(16 * KIB).fill(7);
  pool.release(slab.subarray(0, 8000));
  pool.release(slab.subarray(0, 0));
  const shared = new Uint8Array(new SharedArrayBuffer(16 * KIB));
  pool.release(shared);
  expect([slab.at(-1), shared.length, pool.bytes]).toEqual([7, 16 * KIB, 16 * KIB]);
});

test("sizes that are not used again are freed", () => {
  const pool = poolOf(100_000);
  for (const size of [0, 1, 8 * KIB, 5000 * KIB]) {
    const bytes = pool.acquire(size);
    expect(bytes.length).toBe(size);
    pool.release(bytes);
    expect(bytes.length).toBe(0);
  }
  const odd = new Uint8Array(100 * KIB);
  pool.release(odd);
  expect([odd.length, pool.bytes]).toEqual([0, 0]);
});

test("more than the bound is freed", () => {
  const pool = poolOf(200);
  const all = Array.from({ length: 5 }, () => pool.acquire(64 * KIB));
  for (const bytes of all) pool.release(bytes);
  expect(all.map(({ length }) => length)).toEqual([0, 0, 0, 0, 0]);
  expect(pool.bytes).toBe(3 * 64 * KIB);
});

test("what nobody needs for some time is freed, what somebody needs is not", () => {
  const pool = poolOf(1024);
  const all = Array.from({ length: 4 }, () => acquireMarked(pool, 64 * KIB));
  for (const bytes of all) pool.release(bytes);
  vi.advanceTimersByTime(idleMs);
  // One at a time from here on.
  for (let second = 0; second < 3; second++) {
    pool.release(pool.acquire(64 * KIB));
    vi.advanceTimersByTime(idleMs);
  }
  expect(pool.bytes).toBe(64 * KIB);
  expect(isMarked(pool.acquire(64 * KIB))).toBe(true);
  pool.release(pool.acquire(64 * KIB));
  vi.advanceTimersByTime(2 * idleMs);
  expect(pool.bytes).toBe(0);
  expect(vi.getTimerCount()).toBe(0);
});

test("compact bytes keep at most as much again", () => {
  const pool = poolOf(1024);
  for (const size of [0, 3, 16 * KIB, 70 * KIB, 129 * KIB, 256 * KIB]) {
    const bytes = pool.acquire(256 * KIB).fill(5);
    const kept = pool.compact(bytes, size);
    expect(Buffer.from(kept).equals(Buffer.alloc(size, 5))).toBe(true);
    expect(kept.buffer.byteLength).toBeLessThanOrEqual(2 * size);
  }
});
