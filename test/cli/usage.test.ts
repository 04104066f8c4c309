/** What a person sees who asks for help, or asks wrongly. */
import { spawn } from "node:child_process";
import { join } from "node:path";
import { expect, test } from "vitest";
import { version } from "../../src/service/version.ts";
import { spanseal } from "./command.ts";

test("--version prints the version", async () => {
  expect(await spanseal(["--version"])).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
});

test.each([[[]], [["keys"]], [["config"]]])(
  "%j alone prints its help, and no error of its own",
  async (words) => {
    const { code, stdout, stderr } = await spanseal(words);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toMatch(new RegExp(`^Usage: ${["spanseal", ...words].join(" ")} `));
    expect(stderr).not.toContain("error:");
  },
);

test.each([
  [["show"], "spanseal show --help"],
  [["query", "--bogus"], "spanseal query --help"],
  [["keys", "rotate", "pepper"], "spanseal keys rotate --help"],
  [["bogus"], "spanseal --help"],
])("wrong usage %j names the help to read", async (words, help) => {
  const { code, stderr } = await spanseal(words);
  expect(code).toBe(2);
  expect(stderr).toMatch(new RegExp(`^error: .*\nhint: run ${help}\n$`));
});

test("a reader of the help that goes away ends it quietly", async () => {
  const main = join(import.meta.dirname, "../../src/cli/main.ts");
  const child = spawn(process.execPath, [main, "--help"], { stdio: ["ignore", "pipe", "pipe"] });
  child.stdout.destroy();
  let stderr = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => (stderr += text));
  const code = await new Promise((resolve) => child.once("close", resolve));
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
});
