/** Strings of a body, which are copied four bytes at a time where nothing needs an escape. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalize } from "../../src/bytes/canonical-json.ts";
import { JsonWriter } from "../../src/audit/json-writer.ts";

function written(text: string, before: string): string {
  const writer = new JsonWriter(new Uint8Array(16));
  const source = Buffer.from(before + text);
  const start = Buffer.byteLength(before);
  writer.string(new Uint8Array(source), start, source.length);
  return Buffer.from(writer.bytes.subarray(0, writer.at)).toString();
}

test("every byte at every place of a word", () => {
  for (let code = 0; code < 0x180; code++) {
    for (let place = 0; place < 9; place++) {
      const letters = "abcdefghi".split("");
      letters[place] = String.fromCharCode(code);
      const text = letters.join("");
      expect(written(text, "~".repeat(place))).toBe(canonicalize(text));
    }
  }
});

test("any text is written as canonical JSON has it", () => {
  const unit = fc.constantFrom("a", " ", "~", "\u007f", '"', "\\", "\n", "\0", "\u001f", "é", "😀");
  const property = fc.property(
    fc.string({ unit }),
    fc.string({ unit: "grapheme" }),
    (text, before) => {
      expect(written(text, before)).toBe(canonicalize(text));
    },
  );
  expect(() => fc.assert(property, { numRuns: 500 })).not.toThrow();
});
