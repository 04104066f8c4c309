import { expect, test } from "vitest";
import { Shape } from "../../src/audit/walk/shapes.ts";
import { shapeAttributesMax } from "../../src/limits.ts";

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
