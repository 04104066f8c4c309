/** Sequences of attribute keys: what is remembered of them, and what is not. */
import { expect, test } from "vitest";
import { Shape } from "../../src/audit/walk/shapes.ts";
import { keysRememberedMax, shapeAttributesMax } from "../../src/limits.ts";
import { mapOne } from "./setup.ts";

test("a long sequence of keys and all its beginnings keep each name once", () => {
  let shape = new Shape(undefined, new Uint8Array(0), 0);
  const names = new Set<Uint8Array>();
  for (let count = 1; count <= shapeAttributesMax; count++) {
    shape = new Shape(shape, Buffer.from(`key.${count}`), 1);
    const { layout } = shape;
    expect(layout.names).toHaveLength(count);
    for (const name of layout.names) names.add(name);
  }
  expect(names.size).toBe(shapeAttributesMax);
});

test("more keys than are remembered, in more attributes than a sequence may have", () => {
  const expected: Record<string, number> = {};
  for (let count = 0; count <= keysRememberedMax + shapeAttributesMax; count++) {
    expected[`ü.${count}`] = count;
  }
  for (const time of ["first", "second"]) {
    const { attributes } = mapOne({ attributes: { "gen_ai.operation.name": "chat", ...expected } });
    expect({ time, attributes }).toEqual({ time, attributes: expected });
  }
});
