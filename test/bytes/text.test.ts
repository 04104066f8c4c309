/** Hexadecimal, base64, UTF-8 and canonical JSON: each value has one text and comes back from it. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { fromBase64, fromLenientBase64, toBase64 } from "../../src/bytes/base64.ts";
import { canonicalize, parseCanonical } from "../../src/bytes/canonical-json.ts";
import { fromHex, toHex } from "../../src/bytes/hex.ts";
import { decodeUtf8, decodeUtf8Lossy, encodeUtf8 } from "../../src/bytes/utf8.ts";

const anyText = fc.oneof(fc.string({ unit: "binary" }), fc.string({ maxLength: 12 }));

test("bytes come back from hexadecimal and base64, also as a view", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 50 }), (bytes) => {
      const view = Uint8Array.from([1, ...bytes, 2]).subarray(1, 1 + bytes.length);
      expect(fromHex(toHex(view))).toEqual(bytes);
      expect(fromHex(toHex(view), bytes.length)).toEqual(bytes);
      expect(fromBase64(toBase64(view))).toEqual(bytes);
    }),
  );
});

test("what is parsed prints as it was", () => {
  const hex = fc.oneof(anyText, fc.string({ unit: fc.constantFrom("0", "9", "a", "f", "A", " ") }));
  const base64 = fc.oneof(
    anyText,
    fc.string({
      unit: fc.constantFrom("A", "Q", "z", "+", "/", "-", "_", "=", "\n"),
      maxLength: 8,
    }),
  );
  fc.assert(
    fc.property(hex, base64, (hexText, base64Text) => {
      expect(printed(hexText, (text) => toHex(fromHex(text)))).toBe(hexText);
      expect(printed(base64Text, (text) => toBase64(fromBase64(text)))).toBe(base64Text);
    }),
    { numRuns: 5_000 },
  );
});

/** @returns `text` itself where it was refused. */
function printed(text: string, roundTrip: (text: string) => string): string {
  try {
    return roundTrip(text);
  } catch (error) {
    if (error instanceof SyntaxError) return text;
    throw error;
  }
}

test.each(["0", "0g", "AB", "a b", " ab", "ab\n", "0x00"])("%j is not hexadecimal", (text) => {
  expect(() => fromHex(text)).toThrow(SyntaxError);
});

test("hexadecimal of another length is refused", () => {
  expect(() => fromHex("abcd", 3)).toThrow("expected 3 bytes of hexadecimal, received 2");
});

test.each(["A", "QQ", "QQ=", "QR==", "QQ==\n", " QQ==", "-_8=", "Q===", "QQ==QQ==", "=QQ="])(
  "%j is not canonical base64",
  (text) => {
    expect(() => fromBase64(text)).toThrow(SyntaxError);
  },
);

test("lenient base64 takes either alphabet, padded or not, and nothing else", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 20 }), (bytes) => {
      const padded = toBase64(bytes);
      const bare = padded.replaceAll("=", "");
      for (const text of [padded, bare, Buffer.from(bytes).toString("base64url")]) {
        expect(Uint8Array.from(fromLenientBase64(encodeUtf8(text)))).toEqual(bytes);
      }
    }),
  );
  for (const text of ["A", "QQ Q", "Q===", "QQ==QQ==", "QUF\n", "é"]) {
    expect(() => fromLenientBase64(encodeUtf8(text))).toThrow(SyntaxError);
  }
});

test("UTF-8 is strict where it is said to be", () => {
  fc.assert(
    fc.property(anyText, (text) => {
      expect(decodeUtf8(encodeUtf8(text))).toBe(text.toWellFormed());
      expect(decodeUtf8Lossy(encodeUtf8(text))).toBe(text.toWellFormed());
    }),
  );
  // Stray continuation, overlong slash, surrogate, beyond U+10FFFF, cut off.
  for (const bytes of [
    [0x80],
    [0xc0, 0xaf],
    [0xed, 0xa0, 0x80],
    [0xf4, 0x90, 0x80, 0x80],
    [0xe2],
  ]) {
    expect(() => decodeUtf8(Uint8Array.from(bytes))).toThrow(TypeError);
    expect(decodeUtf8Lossy(Uint8Array.from(bytes))).toContain("\u{FFFD}");
  }
  expect(decodeUtf8(Uint8Array.of(0xef, 0xbb, 0xbf, 0x61))).toBe("\u{FEFF}a");
});

test("canonical JSON is parsed from the text that it prints, and from no other", () => {
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), (value) => {
      const text = canonicalize(value);
      expect(canonicalize(parseCanonical(text))).toBe(text);
      const spaced = JSON.stringify(value, null, 1);
      expect(spaced === text || isRefused(spaced)).toBe(true);
      expect(isRefused(` ${text}`)).toBe(true);
    }),
  );
});

function isRefused(text: string): boolean {
  try {
    parseCanonical(text);
    return false;
  } catch (error) {
    if (error instanceof SyntaxError) return true;
    throw error;
  }
}

test.each([
  ['{"b":1,"a":2}', "unsorted"],
  ['{"a":1,"a":1}', "repeated"],
  ['{"a":1.0}', "another spelling of a number"],
  ['{"a":1e2}', "an exponent that is not needed"],
  ['{"a":-0}', "minus zero"],
  ['{"a":1e999}', "a number that is read as infinite"],
  ["-1e999", "a number that is read as minus infinite"],
  ['{"a":"\\u0041"}', "an escape that is not needed"],
  ['{"a":"\\/"}', "an escaped slash"],
  ['{"a":9007199254740993}', "a number that is rounded"],
  ['{"a":1}\n', "a line feed at the end"],
  ['"\\ud800"', "half a surrogate pair"],
])("%j is not canonical: %s", (text) => {
  expect(isRefused(text)).toBe(true);
});

test("the example of RFC 8785 3.2.3", () => {
  const value = {
    "\u20ac": "Euro Sign",
    "\r": "Carriage Return",
    "\u{fb33}": "Hebrew Letter Dalet With Dagesh",
    "1": "One",
    "\u{1f600}": "Emoji: Grinning Face",
    "\u0080": "Control",
    "\u00f6": "Latin Small Letter O With Diaeresis",
  };
  const order = [...canonicalize(value).matchAll(/:"([^"]*)"/g)].map((match) => match[1]);
  expect(order).toEqual([
    "Carriage Return",
    "One",
    "Control",
    "Latin Small Letter O With Diaeresis",
    "Euro Sign",
    "Emoji: Grinning Face",
    "Hebrew Letter Dalet With Dagesh",
  ]);
});

test("members that are undefined are left out, and what JSON cannot hold is refused", () => {
  expect(canonicalize({ b: undefined, a: [null, true, 1e21, "\u0007"] })).toBe(
    '{"a":[null,true,1e+21,"\\u0007"]}',
  );
  expect(() => canonicalize({ a: Number.NaN })).toThrow(TypeError);
  expect(() => canonicalize([Number.POSITIVE_INFINITY])).toThrow(TypeError);
});
