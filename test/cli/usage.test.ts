/** What a person sees who asks for help, or asks wrongly. */
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
  const ended = await spanseal(["--help"], { unread: ["stdout"] });
  expect(ended).toEqual({ code: 0, stdout: "", stderr: "" });
});

test("what failed has its exit code where nobody reads why", async () => {
  const ended = await spanseal(["query", "--outcome", "nonsense"], { unread: ["stderr"] });
  expect(ended).toEqual({ code: 2, stdout: "", stderr: "" });
});
