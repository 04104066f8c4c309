import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { spanseal, temporaryFolder } from "./command.ts";

function folderWith(yaml: string): string {
  const folder = temporaryFolder();
  writeFileSync(join(folder, "spanseal.yaml"), yaml);
  return folder;
}

test("config check answers by exit code and names every problem with its line", async () => {
  const good = await spanseal(["config", "check"]);
  expect(good).toEqual({ code: 0, stdout: "", stderr: "the configuration is good\n" });
  const cwd = folderWith("publish:\n  intervall: 5m\ncompliance: { mode: hipaa }\n");
  const bad = await spanseal(["config", "check", "--config", "spanseal.yaml"], { cwd });
  expect(bad).toEqual({
    code: 1,
    stdout: "",
    stderr:
      "error: spanseal.yaml:2: publish.intervall: unknown key\n" +
      "hint: did you mean interval?\n" +
      'error: spanseal.yaml:3: compliance.mode: expected soc2, received "hipaa"\n' +
      "hint: the hipaa mode is not available in this version; write soc2\n",
  });
  const json = await spanseal(["config", "check", "-c", "spanseal.yaml", "--json"], { cwd });
  expect(json.code).toBe(1);
  expect(JSON.parse(json.stdout)).toMatchObject({
    ok: false,
    problems: [
      { path: "publish.intervall", line: 2 },
      { path: "compliance.mode", line: 3 },
    ],
  });
});

test("serve refuses a bad configuration and leaves nothing behind", async () => {
  const cwd = folderWith("ledger: { on_failure: degraded }\n");
  const ended = await spanseal(["serve", "--config", "spanseal.yaml"], { cwd });
  expect(ended.code).toBe(2);
  expect(ended.stdout).toBe("");
  expect(ended.stderr).toMatch(/^error: spanseal.yaml:1: ledger.on_failure: .*\nhint: .*\n$/);
  expect(readdirSync(cwd)).toEqual(["spanseal.yaml"]);
});

test("files that cannot be used are found by config check, and by serve before it makes keys", async () => {
  const http = "http: { endpoint: '127.0.0.1:0', tls: { cert_file: a.pem, key_file: b.pem } }";
  const cwd = folderWith(`receivers: { otlp: { protocols: { ${http} } } }\n`);
  const message =
    /^error: spanseal.yaml:1: receivers.otlp.protocols.http.tls: .*a.pem.*ENOENT.*\nhint: .*\n$/;
  const checked = await spanseal(["config", "check", "--config", "spanseal.yaml"], { cwd });
  expect(checked).toEqual({ code: 1, stdout: "", stderr: expect.stringMatching(message) });
  const served = await spanseal(["serve", "--config", "spanseal.yaml"], { cwd });
  expect(served).toEqual({ code: 2, stdout: "", stderr: expect.stringMatching(message) });
  expect(readdirSync(cwd)).toEqual(["spanseal.yaml"]);
});

test("config print is the effective configuration, config schema describes it", async () => {
  const printed = await spanseal(["config", "print", "--data", "/srv/audit", "--json"]);
  expect(printed.code).toBe(0);
  expect(JSON.parse(printed.stdout)).toMatchObject({
    ledger: { directory: "/srv/audit/ledger" },
    publish: { interval: "10m" },
  });
  const schema = await spanseal(["config", "schema", "--json"]);
  expect(JSON.parse(schema.stdout)).toMatchObject({
    type: "object",
    properties: { publish: { properties: { interval: { default: "10m" } } } },
  });
});

test("bad usage has an error, a hint and exit code 2", async () => {
  const unknown = await spanseal(["serv"]);
  expect(unknown).toEqual({
    code: 2,
    stdout: "",
    stderr: "error: unknown command 'serv'\nhint: Did you mean serve?\n",
  });
  const option = await spanseal(["serve", "--confg", "x"]);
  expect(option).toMatchObject({ code: 2, stdout: "" });
  expect(option.stderr).toBe("error: unknown option '--confg'\nhint: Did you mean --config?\n");
  const missing = await spanseal(["serve", "--config", "missing.yaml"]);
  expect(missing.code).toBe(2);
  expect(missing.stderr).toContain("error: cannot read the configuration file missing.yaml");
});

test("help teaches with examples", async () => {
  const help = await spanseal(["--help"]);
  expect(help.code).toBe(0);
  expect(help.stdout).toContain("spanseal serve --config spanseal.yaml");
  const command = await spanseal(["keys", "--help"]);
  expect(command.stdout).toContain("spanseal keys rotate log");
});
