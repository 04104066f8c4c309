import { hash } from "node:crypto";
import { array, assert, property, uint8Array } from "fast-check";
import { expect, test } from "vitest";
import { Sha256Lanes } from "../../src/bytes/sha256-lanes.ts";
import { toHex } from "../../src/bytes/hex.ts";

function digestsOf(lanes: Sha256Lanes, payloads: readonly Uint8Array[]): string[] {
  for (const [index, payload] of payloads.entries()) {
    lanes.messages.set(payload, index * lanes.stride + lanes.payloadAt);
  }
  lanes.digest(payloads.length);
  return payloads.map((_, index) => toHex(lanes.digests.slice(index * 32, index * 32 + 32)));
}

// FIPS 180-4 examples, as NIST publishes them.
test.each([
  ["abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"],
  ["", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"],
  [
    "abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq",
    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1",
  ],
])("the digest of %j", (message, digest) => {
  const lanes = new Sha256Lanes(new Uint8Array(0), message.length, 4);
  expect(digestsOf(lanes, [Buffer.from(message)])).toEqual([digest]);
});

test("agrees with the native one at every length up to four blocks", () => {
  for (let length = 0; length <= 256; length++) {
    const prefix = Buffer.alloc(length >> 1, 0xa7);
    const lanes = new Sha256Lanes(prefix, length - prefix.length, 8);
    const payloads = Array.from({ length: 5 }, (_, index) =>
      new Uint8Array(length - prefix.length).fill(index * 51 + length),
    );
    const expected = payloads.map((payload) => hash("sha256", Buffer.concat([prefix, payload])));
    expect(digestsOf(lanes, payloads)).toEqual(expected);
  }
});

test("agrees with the native one for any contents, and when it is used again", () => {
  const payload = uint8Array({ minLength: 64, maxLength: 64 });
  const lanes = new Sha256Lanes(Uint8Array.of(1), 64, 12);
  assert(
    property(array(payload, { minLength: 0, maxLength: 12 }), (payloads) => {
      const expected = payloads.map((bytes) =>
        hash("sha256", Buffer.concat([Buffer.of(1), bytes])),
      );
      expect(digestsOf(lanes, payloads)).toEqual(expected);
    }),
  );
});

test("messages may have their own padding, each at its own length, in the same blocks", () => {
  const lanes = new Sha256Lanes(new Uint8Array(0), 2 * 64 - 9, 64);
  for (let round = 0; round < 2; round++) {
    const messages = Array.from({ length: 64 }, (_, index) =>
      new Uint8Array(56 + ((index * 7 + round * 31) % 64)).fill(index + round),
    );
    for (const [index, message] of messages.entries()) {
      const padded = new DataView(new ArrayBuffer(lanes.stride));
      new Uint8Array(padded.buffer).set([...message, 0x80]);
      padded.setUint32(lanes.stride - 4, message.length * 8);
      lanes.messages.set(new Uint8Array(padded.buffer), index * lanes.stride);
    }
    lanes.digest(messages.length);
    for (const [index, message] of messages.entries()) {
      const digest = toHex(lanes.digests.slice(index * 32, index * 32 + 32));
      expect([message.length, digest]).toEqual([message.length, hash("sha256", message)]);
    }
  }
});

test.each([32, 64, 80])("payloads of %d bytes that lie side by side", (payloadBytes) => {
  const prefix = Uint8Array.of(1);
  const lanes = new Sha256Lanes(prefix, payloadBytes, 16);
  const payloads = Array.from({ length: 16 }, (_, index) =>
    Uint8Array.from({ length: payloadBytes }, (_byte, at) => index * 17 + at),
  );
  for (const count of [0, 1, 4, 7, 16]) {
    lanes.packed.set(Buffer.concat(payloads));
    lanes.digestPacked(count);
    const digests = payloads
      .slice(0, count)
      .map((payload) => hash("sha256", Buffer.concat([prefix, payload]), "buffer"));
    const found = lanes.digests.subarray(0, count * 32);
    expect(Buffer.from(found)).toEqual(Buffer.concat(digests));
    // They lie where the first payloads lay, for the next level of a tree.
    expect(Buffer.from(lanes.packed.subarray(0, count * 32))).toEqual(Buffer.concat(digests));
  }
});

test("more messages than there is room for are refused", () => {
  expect(() => new Sha256Lanes(new Uint8Array(1), 32, 4).digest(5)).toThrow(RangeError);
});

test("holds no memory beyond its capacity", () => {
  const lanes = new Sha256Lanes(Uint8Array.of(0), 32, 1024);
  expect(lanes.messages.buffer.byteLength).toBe(2 * 65_536);
});
