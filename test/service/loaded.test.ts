import { execFileSync } from "node:child_process";
import { expect, test } from "vitest";

const compose = new URL("../../src/service/compose.ts", import.meta.url).href;

/** The modules of node itself that are loaded with all that serves. */
function loadedModules(): string[] {
  const script = `await import("${compose}"); console.log(JSON.stringify(process.moduleLoadList));`;
  const parameters = ["--input-type=module", "--eval", script];
  return JSON.parse(execFileSync(process.execPath, parameters, { encoding: "utf8" })) as string[];
}

test("what serves does not load the client of fetch, which nothing uses", () => {
  const loaded = loadedModules();
  expect(loaded).toContain("NativeModule http");
  expect(loaded.filter((name) => name.includes("undici"))).toEqual([]);
});
