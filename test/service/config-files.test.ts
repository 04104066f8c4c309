/** What is found in files that a configuration names, before a start creates anything. */
import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ConfigError, parseConfig } from "../../src/service/config.ts";
import { checkFiles } from "../../src/service/config/files.ts";
import { formatProblem } from "../../src/service/config/problems.ts";

const tls = join(import.meta.dirname, "../forward/tls");

async function problemsOf(yaml: string): Promise<string[]> {
  try {
    await checkFiles(parseConfig(yaml, { file: "case" }));
    return [];
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems.map(
      (problem) => `${formatProblem(error.file, problem)} | ${problem.hint}`,
    );
  }
}

test("files that can be used are no problem, nor is a configuration without any", async () => {
  const token = join(mkdtempSync(join(tmpdir(), "spanseal-files-")), "token");
  writeFileSync(token, "secret\n");
  expect(await problemsOf("")).toEqual([]);
  const yaml = `
receivers:
  otlp:
    protocols:
      http:
        tls: { cert_file: ${tls}/sink.pem, key_file: ${tls}/sink.key.pem }
        auth: { bearer_token_file: ${token} }
exporters:
  otlp_http: { endpoint: "https://127.0.0.1:1", tls: { ca_file: ${tls}/sink.pem } }
`;
  expect(await problemsOf(yaml)).toEqual([]);
});

test("all files that cannot be used are told at once, with their place, the reason and what to do", async () => {
  const empty = join(mkdtempSync(join(tmpdir(), "spanseal-files-")), "empty");
  writeFileSync(empty, "\n");
  const yaml = `
receivers:
  otlp:
    protocols:
      grpc:
        tls: { cert_file: ${tls}/sink.pem, key_file: ${tls}/client.key.pem }
        auth: { bearer_token_file: /nowhere/token }
      http:
        auth: { bearer_token_file: ${empty} }
exporters:
  otlp:
    endpoint: 127.0.0.1:4320
    tls: { ca_file: /nowhere/ca.pem }
`;
  const protocols = "receivers.otlp.protocols";
  const pem = "name PEM files that this user may read, with a key that fits the certificate";
  const oneLine = (path: string): string =>
    `write the token on one line of ${path} and make it readable for this process`;
  const expected = [
    ["case:6", `${protocols}.grpc.tls: cannot use the TLS files`, "key values mismatch", pem],
    ["case:7", `${protocols}.grpc.auth.bearer_token_file`, "ENOENT", oneLine("/nowhere/token")],
    ["case:9", `${protocols}.http.auth.bearer_token_file`, "is empty", oneLine(empty)],
    ["case:13", "exporters.otlp_grpc.tls.ca_file: names /nowhere/ca.pem", "ENOENT", "name a PEM"],
  ];
  const problems = await problemsOf(yaml);
  expect(problems).toHaveLength(expected.length);
  for (const [at, words] of expected.entries()) {
    for (const word of words) expect(problems[at]).toContain(word);
  }
});

test.each([
  ["headers: { content-type: text/plain }", "headers.content-type: is set by the exporter itself"],
  ['headers: { authorization: "a\\nb" }', "headers.authorization: is not a valid header"],
  ["endpoint: 'https://127.0.0.1/#here'", "endpoint: must not have a fragment"],
  ["traces_endpoint: 'https://127.0.0.1/#here'", "traces_endpoint: must not have a fragment"],
])("what the exporter refuses of %s is told before a start", async (option, problem) => {
  const endpoint = option.startsWith("endpoint") ? "" : "    endpoint: http://127.0.0.1:1\n";
  const yaml = `exporters:\n  otlp_http:\n${endpoint}    ${option}\n`;
  expect(await problemsOf(yaml)).toEqual([expect.stringContaining(problem)]);
});
