/** Memory is given back at once, and never what others look at. */
import { expect, test } from "vitest";
import { release } from "../../src/bytes/release.ts";

test("what fills its memory is freed", () => {
  const bytes = new Uint8Array(1000);
  release(bytes.subarray(10, 900));
  expect(bytes.buffer.byteLength).toBe(0);
  expect(bytes.length).toBe(0);
});

test("a part of more, such as of a pool, is left alone, and so is what is empty", () => {
  const pool = new Uint8Array(1000).fill(7);
  release(pool.subarray(0, 400));
  expect(pool.at(-1)).toBe(7);
  const nothing = new Uint8Array(0);
  release(nothing);
  release(nothing);
  expect(nothing.buffer.detached).toBe(false);
});

test("memory that other threads see is left alone", () => {
  const shared = new Uint8Array(new SharedArrayBuffer(8));
  release(shared);
  expect(shared.length).toBe(8);
});
