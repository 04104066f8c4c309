/** Values on their way into a body: whatever they are and wherever they stand, they are canonical JSON. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalize, type JsonValue } from "../../src/bytes/canonical-json.ts";
import { type Body, map, mapOne, policy, prepared, span, traces } from "./setup.ts";

const call = { "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "t" };

function recorded(values: Readonly<Record<string, unknown>>): Body {
  return mapOne({ attributes: { ...call, ...values } }).attributes;
}

test("every character at every place of a vector", () => {
  for (let code = 0; code < 0x180; code++) {
    const texts = Array.from({ length: 34 }, (_, place) => {
      const letters = Array.from("abcdefghijklmnopqrstuvwxyz01234567");
      letters[place] = String.fromCharCode(code);
      return [`x${place}`, letters.join("")] as const;
    });
    const values = Object.fromEntries(texts);
    expect(recorded(values)).toEqual(values);
  }
});

test("texts and lists of any length, full of what is escaped", () => {
  const unit = fc.constantFrom("a", " ", "~", "\u007f", '"', "\\", "\n", "\0", "\u001f", "é", "😀");
  const text = fc.string({ unit, maxLength: 150 });
  const values = fc.record({ a: text, b: text, c: fc.array(text), d: fc.array(fc.constant("x")) });
  const property = fc.property(values, (one) => {
    const bytes = traces([span({ attributes: { ...call, ...one } })]);
    const { bodies } = prepared("traces", bytes);
    const body = Buffer.from(bodies).toString();
    expect(body).toBe(canonicalize(JSON.parse(body) as JsonValue));
    expect(JSON.parse(body)).toMatchObject({ attributes: one });
  });
  expect(() => fc.assert(property, { numRuns: 300 })).not.toThrow();
});

test("numbers and times with any count of digits, booleans", () => {
  const powers = Array.from({ length: 16 }, (_, digits) => 10 ** digits);
  const numbers = powers.flatMap((power) => [power - 1, power, 5 * power]);
  const values = Object.fromEntries(numbers.map((number, at) => [`n${at}`, number]));
  expect(recorded({ ...values, yes: true, no: false })).toEqual({
    ...values,
    yes: true,
    no: false,
  });
  for (let digits = 0; digits <= 19; digits++) {
    const time = 10n ** BigInt(digits);
    const more = { startTimeUnixNano: time - 1n, endTimeUnixNano: time };
    const body = mapOne({ attributes: call, more });
    expect(body.time).toMatchObject({ start: String(time - 1n), end: String(time) });
  }
  const last = mapOne({ attributes: call, more: { endTimeUnixNano: 2n ** 64n - 1n } });
  expect(last.time.end).toBe(String(2n ** 64n - 1n));
});

test("a body many times as large as its request finds room", () => {
  const used = policy();
  const control = "\u0001".repeat(1_500_000);
  for (const value of ["short", control, "short"]) {
    const bodies = map(
      [1, 2, 3].map((id) => ({ id, attributes: { ...call, a: value } })),
      {
        policy: used,
      },
    );
    expect(bodies.map(({ body }) => body.attributes.a === value)).toEqual([true, true, true]);
  }
});

test("more forms than are remembered at once", () => {
  const used = policy();
  const layouts = Array.from({ length: 400 }, (_, number) =>
    Object.fromEntries(
      Array.from({ length: 90 }, (__, at) => [`${"k".repeat(110)}.${at}.${number}`, at]),
    ),
  );
  const spans = layouts.map((values) => ({ attributes: { ...call, ...values } }));
  for (let round = 0; round < 2; round++) {
    const bodies = map(spans, { policy: used });
    expect(bodies.map(({ body }) => body.attributes)).toEqual(layouts);
  }
});
