import { expect, test } from "vitest";
import { sha256Hex, sha256Latin1 } from "../../src/bytes/sha256.ts";

/** FIPS 180-4, example of one block. */
const abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

test("gives the digest of the standard's example in both forms", () => {
  const message = Buffer.from("abc");
  expect(sha256Hex(message)).toBe(abc);
  expect(Buffer.from(sha256Latin1(message), "latin1").toString("hex")).toBe(abc);
});
