/** Integers of a sender as the record holds them: exact to the last one that a number can hold. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { JsonWriter } from "../../src/audit/json-writer.ts";
import { mapOne } from "./setup.ts";

function recorded(values: readonly bigint[]): unknown[] {
  const members = values.map((value, at) => [`app.n${at}`, value] as const);
  const attributes = { "gen_ai.operation.name": "execute_tool", ...Object.fromEntries(members) };
  const body = mapOne({ name: "execute_tool x", attributes });
  return members.map(([key]) => body.attributes[key]);
}

test("every integer around the largest safe one is itself, as a number or as text", () => {
  const edge = BigInt(Number.MAX_SAFE_INTEGER);
  const values = Array.from({ length: 120 }, (_, at) => edge + 40n - BigInt(at));
  const both = [...values, ...values.map((value) => -value)];
  const wanted = both.map((value) =>
    Number.isSafeInteger(Number(value)) ? Number(value) : String(value),
  );
  expect(recorded(both)).toEqual(wanted);
});

test("digits of any safe integer", () => {
  const written = (value: number): string => {
    const writer = new JsonWriter(new Uint8Array(64));
    writer.digits(value);
    return Buffer.from(writer.bytes.subarray(0, writer.at)).toString();
  };
  const property = fc.property(fc.maxSafeNat(), (value) => {
    expect(written(value)).toBe(String(value));
  });
  fc.assert(property, { numRuns: 2000 });
});
