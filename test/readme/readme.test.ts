/** The README says what the code does. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { parseConfig } from "../../src/service/config.ts";
import { configurationTable } from "./configuration-table.ts";

const root = join(import.meta.dirname, "../..");
const readme = readFileSync(join(root, "README.md"), "utf8");

test("the table of configuration keys is that of the schema", () => {
  const table = /<!-- configuration -->\n(.*)\n<!-- \/configuration -->/s.exec(readme)?.[1];
  expect(table, "node test/readme/configuration-table.ts prints it").toBe(configurationTable());
});

test("every configuration that is shown is a good one", () => {
  const examples = [...readme.matchAll(/```yaml\n(.*?)```/gs)].map(([, text]) => text!);
  expect(examples.length).toBeGreaterThan(1);
  for (const text of examples) expect(() => parseConfig(text)).not.toThrow();
});

test("every npm script that is named exists", () => {
  const { scripts } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    scripts: Record<string, string>;
  };
  const named = [...readme.matchAll(/npm run ([a-z:]+)/g)].map(([, name]) => name!);
  expect(named.filter((name) => scripts[name] === undefined)).toEqual([]);
});

test("every dependency has its reason", () => {
  const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    dependencies: Record<string, string>;
  };
  const reasons = readme.slice(readme.indexOf("## Dependencies"));
  const missing = Object.keys(dependencies).filter((name) => !reasons.includes(`\`${name}\``));
  expect(missing).toEqual([]);
});
