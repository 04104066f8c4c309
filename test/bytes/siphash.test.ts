/** SipHash against the algorithm as its paper states it, which itself meets the published vectors. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { toHex } from "../../src/bytes/hex.ts";
import { SipHash } from "../../src/bytes/siphash.ts";

const word = (value: bigint): bigint => BigInt.asUintN(64, value);
const turned = (value: bigint, bits: bigint): bigint =>
  word((value << bits) | (value >> (64n - bits)));

function plainly(key: Uint8Array, text: Uint8Array, [perWord, atEnd]: [number, number]): string {
  const k = Buffer.from(key);
  const [k0, k1] = [k.readBigUInt64LE(0), k.readBigUInt64LE(8)];
  let v0 = k0 ^ 0x736f6d6570736575n;
  let v1 = k1 ^ 0x646f72616e646f6dn ^ 0xeen;
  let v2 = k0 ^ 0x6c7967656e657261n;
  let v3 = k1 ^ 0x7465646279746573n;
  const rounds = (count: number): void => {
    for (let round = 0; round < count; round++) {
      v0 = word(v0 + v1);
      v2 = word(v2 + v3);
      v1 = turned(v1, 13n) ^ v0;
      v3 = turned(v3, 16n) ^ v2;
      v0 = turned(v0, 32n);
      v2 = word(v2 + v1);
      v0 = word(v0 + v3);
      v1 = turned(v1, 17n) ^ v2;
      v3 = turned(v3, 21n) ^ v0;
      v2 = turned(v2, 32n);
    }
  };
  const padded = Buffer.alloc(text.length - (text.length % 8) + 8);
  padded.set(text);
  padded[padded.length - 1] = text.length;
  for (let at = 0; at < padded.length; at += 8) {
    const part = padded.readBigUInt64LE(at);
    v3 ^= part;
    rounds(perWord);
    v0 ^= part;
  }
  const result = Buffer.alloc(16);
  v2 ^= 0xeen;
  rounds(atEnd);
  result.writeBigUInt64LE(v0 ^ v1 ^ v2 ^ v3, 0);
  v1 ^= 0xddn;
  rounds(atEnd);
  result.writeBigUInt64LE(v0 ^ v1 ^ v2 ^ v3, 8);
  return result.toString("hex");
}

const counting = (count: number): Uint8Array => Uint8Array.from({ length: count }, (_, at) => at);

// vectors.h of the reference implementation, for SipHash-2-4 with 128 bits.
test.each([
  [0, "a3817f04ba25a8e66df67214c7550293"],
  [1, "da87c1d86b99af44347659119b22fc45"],
  [2, "8177228da4a45dc7fca38bdef60affe4"],
  [8, "3b62a9ba6258f5610f83e264f31497b4"],
  [63, "5150d1772f50834a503e069a973fbd7c"],
])("the plain form meets the vector of %i bytes", (length, expected) => {
  expect(plainly(counting(16), counting(length), [2, 4])).toBe(expected);
});

function hashed(sip: SipHash, text: Uint8Array): string {
  const target = new Uint8Array(20);
  const padded = Buffer.concat([Buffer.of(1, 2, 3), text, Buffer.of(4)]);
  const message = new DataView(padded.buffer, padded.byteOffset, padded.length);
  sip.hash(message, 3, 3 + text.length, target, 3);
  expect([target[2], target[19]]).toEqual([0, 0]);
  return toHex(target.subarray(3, 19));
}

test("agrees with the plain form at every length up to three words, and around parts", () => {
  const sip = new SipHash(counting(16));
  const lengths = [...counting(25), 8184, 8191, 8192, 8193, 16_384, 20_001];
  for (const length of lengths) {
    const text = counting(length);
    expect(hashed(sip, text)).toBe(plainly(counting(16), text, [1, 3]));
  }
});

test("agrees with the plain form for any text and key, whoever hashed before", () => {
  const other = new SipHash(counting(16));
  const key = fc.uint8Array({ minLength: 16, maxLength: 16 });
  const property = fc.property(key, fc.uint8Array({ maxLength: 100 }), (own, text) => {
    const sip = new SipHash(own);
    hashed(other, counting(60));
    expect(hashed(sip, text)).toBe(plainly(own, text, [1, 3]));
  });
  expect(() => fc.assert(property)).not.toThrow();
});
