import { expect, test } from "vitest";

test("runs on the Node that npm ci brought", () => {
  expect(Number(process.versions.node.split(".")[0])).toBeGreaterThanOrEqual(24);
});
