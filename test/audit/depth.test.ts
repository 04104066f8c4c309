/** Values inside values: a body is never nested deeper than its format allows. */
import { expect, test } from "vitest";
import { isCanonicalObject } from "../../src/bytes/canonical-scan.ts";
import { bodyDepthMax } from "../../src/limits.ts";
import type { Plain } from "../support/otlp-writer.ts";
import { prepared, span, traces } from "./setup.ts";

test("values whose JSON would be deeper than a body may be are refused", () => {
  const nested = (levels: number, twice: boolean): Plain => {
    let value: Plain = { stringValue: "x" };
    for (let level = 0; level < levels; level++) {
      const member = { key: "a", value };
      value = { kvlistValue: { values: twice ? [member, { key: "a" }] : [member] } };
    }
    return { key: "deep", value };
  };
  const bodyOf = (attribute: Plain): Uint8Array => {
    const one = span({ attributes: { "gen_ai.operation.name": "chat" } });
    const all = [...(one["attributes"] as Plain[]), attribute];
    return prepared("traces", traces([{ ...one, attributes: all }])).bodies;
  };
  for (const [levels, twice] of [
    [50, true],
    [100, false],
  ] as const) {
    const body = Buffer.from(bodyOf(nested(levels, twice)));
    const bounds = { start: 0, end: body.length };
    expect(isCanonicalObject(body, bounds, bodyDepthMax)).toBe(true);
    expect(() => bodyOf(nested(levels + 1, twice))).toThrow(
      expect.objectContaining({ code: "too_deep" }) as Error,
    );
  }
});
