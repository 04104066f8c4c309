/** An attribute in its usual spelling means what it means in any other. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { JsonError, transcodeJson } from "../../src/ingest/json.ts";

function transcoded(attribute: string): string {
  const text = `{"resourceLogs":[{"resource":{"attributes":[${attribute}]}}]}`;
  try {
    return Buffer.from(transcodeJson("logs", Buffer.from(text))).toString("hex");
  } catch (error) {
    if (!(error instanceof JsonError)) throw error;
    return error.code;
  }
}

/** Both spellings of an attribute: the usual one, and one with the white space that it has not. */
function spellings(key: string, value: string): [string, string] {
  const members = `"key":${key},"value":${value}}`;
  return [transcoded(`{${members}`), transcoded(`{ ${members}`)];
}

const characters = fc.constantFrom(
  ...Array.from("ab ._-:{}[],0é名\u{1f600}"),
  "\\n",
  '\\"',
  "\\\\",
  "\\/",
  "\\u0041",
  "\\ud83d\\ude00",
  "\\ud83d",
  "\\ud83d\\n",
  "\\x",
  "\t",
);
const string = fc.array(characters, { maxLength: 150 }).map((parts) => `"${parts.join("")}"`);
const ordinary = fc.integer({ min: 0, max: 300 }).map((size) => `"${"v".repeat(size)}"`);

test("texts", () => {
  fc.assert(
    fc.property(fc.oneof(ordinary, string), fc.oneof(ordinary, string), (key, text) => {
      const [usual, spaced] = spellings(key, `{"stringValue":${text}}`);
      expect(usual).toBe(spaced);
    }),
    { numRuns: 2000 },
  );
});

test("every length around those that take another byte", () => {
  for (let size = 90; size < 140; size++) {
    const [usual, spaced] = spellings('"key"', `{"stringValue":"${"v".repeat(size)}"}`);
    expect(usual).toBe(spaced);
    const [other, same] = spellings(`"${"k".repeat(size)}"`, '{"intValue":"300"}');
    expect(other).toBe(same);
  }
});

const integer = fc.oneof(
  fc.bigInt({ min: -(2n ** 65n), max: 2n ** 65n }).map(String),
  fc.nat().map(String),
  fc.constantFrom("", "0", "00", "01", "-0", "1.0", "1e3", "1 ", " 1", "x", "127", "128", "16384"),
  fc.constantFrom("999999999999999", "1000000000000000", "9223372036854775807"),
);

test("integers", () => {
  fc.assert(
    fc.property(integer, fc.boolean(), (digits, quoted) => {
      const [usual, spaced] = spellings('"key"', `{"intValue":${quoted ? `"${digits}"` : digits}}`);
      expect(usual).toBe(spaced);
    }),
    { numRuns: 1000 },
  );
});

test.each([
  '{"stringValue":"a","stringValue":"b"}',
  '{"stringValue":"a"} ',
  '{"stringValue":"a"},"key":"again"',
  '{"stringValue":null}',
  '{"stringValue":"a',
  '{"intValue":"1"',
  '{"intValue":"1","unknown":{}}',
])("another spelling: %s", (value) => {
  const [usual, spaced] = spellings('"key"', value);
  expect(usual).toBe(spaced);
});
