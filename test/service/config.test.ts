import { mkdtempSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, test, vi } from "vitest";
import {
  ConfigError,
  configJsonSchema,
  loadConfig,
  parseConfig,
} from "../../src/service/config.ts";
import { effectiveConfig, formatConfig } from "../../src/service/config/print.ts";
import { formatProblem, nearest } from "../../src/service/config/problems.ts";
import type { JsonSchema } from "../../src/service/config/problems.ts";
import {
  formatBytes,
  formatDuration,
  formatEndpoint,
  parseBytes,
  parseDuration,
  parseEndpoint,
} from "../../src/service/config/values.ts";

const cases = join(import.meta.dirname, "cases");

function problemsOf(text: string): string {
  try {
    parseConfig(text);
    return "no problem\n";
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    return error.problems
      .map((problem) => `# error: ${formatProblem("case", problem)}\n# hint: ${problem.hint}\n`)
      .join("");
  }
}

test.for(readdirSync(cases))("%s is refused with its messages", (name) => {
  vi.stubEnv("SPANSEAL_TEST_SECRET", "hunter2");
  const text = readFileSync(join(cases, name), "utf8");
  const expected = text
    .split("\n")
    .filter((line) => /^# (?:error|hint): /.test(line))
    .map((line) => `${line}\n`);
  const problems = problemsOf(text);
  expect(problems).toBe(expected.join(""));
  expect(problems).not.toContain("hunter2");
});

// Not among the case files, because the formatter cannot read it.
test("what is no YAML is refused with its line, without quoting it", () => {
  expect(problemsOf("ledger: { directory: hunter2\npublish: {}\n")).toBe(
    "# error: case:2: not readable as YAML: flow map in block collection must be sufficiently " +
      "indented and end with a }\n" +
      "# hint: check indentation, quotes and brackets there; quote values that hold : or #\n",
  );
});

test("no file at all gives the documented defaults", () => {
  const { config } = loadConfig({});
  expect(config.receivers.otlp.protocols).toMatchObject({
    grpc: { endpoint: { host: "127.0.0.1", port: 4317 }, max_recv_msg_size_mib: 64 },
    http: { endpoint: { host: "127.0.0.1", port: 4318 }, max_request_body_size: 64 * 1024 * 1024 },
  });
  expect(config.ledger).toMatchObject({
    directory: "./spanseal-data/ledger",
    origin: "spanseal.local",
    on_failure: "closed",
  });
  expect(config.publish).toEqual({
    bucket: "./spanseal-data/bucket",
    interval: 600_000,
    every_records: 65_536,
  });
  expect(config.keys).toEqual({ directory: "./spanseal-keys" });
  expect(config.exporters).toEqual({ stamp: true });
  expect(config.operations.endpoint).toEqual({ host: "127.0.0.1", port: 4319 });
  expect(config.compliance.mode).toBe("soc2");
});

test("the example of the design is accepted", () => {
  const { config } = parseConfig(readFileSync(join(import.meta.dirname, "example.yaml"), "utf8"));
  expect(config.publish).toMatchObject({ interval: 600_000, max_lag: 3_600_000 });
  expect(config.exporters.otlp_http?.endpoint).toBe("http://127.0.0.1:4320");
  expect(config.phi.tables[0]?.columns["mrn"]?.action).toEqual(["tokenize", "truncate:4"]);
});

test("one named protocol opens only that one", () => {
  const { config } = parseConfig("receivers: { otlp: { protocols: { http: } } }");
  expect(config.receivers.otlp.protocols.grpc).toBeUndefined();
  expect(config.receivers.otlp.protocols.http?.endpoint.port).toBe(4318);
});

test("the aliases of the Collector name the same exporters", () => {
  const http = parseConfig("exporters: { otlphttp: { endpoint: 'http://127.0.0.1:1' } }");
  expect(http.config.exporters.otlp_http?.endpoint).toBe("http://127.0.0.1:1");
  const grpc = parseConfig("exporters: { otlp: { endpoint: '127.0.0.1:1' } }");
  expect(grpc.config.exporters.otlp_grpc?.endpoint).toBe("127.0.0.1:1");
});

test("--data moves what lives in ./spanseal-data and nothing else, --keys the keys", () => {
  const moved = parseConfig("publish: { bucket: /mnt/bucket }", {
    dataDirectory: "/srv/audit",
    keysDirectory: "/etc/keys",
  });
  expect(moved.config.ledger.directory).toBe("/srv/audit/ledger");
  expect(moved.config.publish.bucket).toBe("/mnt/bucket");
  expect(moved.config.keys.directory).toBe("/etc/keys");
  const named = parseConfig("publish: { bucket: ./spanseal-data/b }", { dataDirectory: "/d" });
  expect(named.config.publish.bucket).toBe("/d/b");
});

test("references take environment and files, also for numbers and flags", () => {
  const directory = mkdtempSync(join(tmpdir(), "spanseal-config-"));
  writeFileSync(join(directory, "token"), "s3cret\n");
  vi.stubEnv("SPANSEAL_TEST_RECORDS", "500");
  vi.stubEnv("SPANSEAL_TEST_STAMP", "false");
  const { config } = parseConfig(`
publish: { every_records: "\${env:SPANSEAL_TEST_RECORDS}", interval: "\${env:UNSET_X:-5m}" }
ledger: { origin: "ab\${env:UNSET_X:-c}" }
exporters:
  stamp: \${env:SPANSEAL_TEST_STAMP}
  otlp_http:
    endpoint: http://127.0.0.1:4320
    headers: { authorization: "Bearer \${file:${directory}/token}", x-price: "5$$" }
`);
  expect(config.publish).toMatchObject({ every_records: 500, interval: 300_000 });
  expect(config.ledger.origin).toBe("abc");
  expect(config.exporters.stamp).toBe(false);
  expect(config.exporters.otlp_http?.headers).toEqual({
    authorization: "Bearer s3cret",
    "x-price": "5$",
  });
});

test("the printed configuration hides secrets and reads back as the same", () => {
  vi.stubEnv("SPANSEAL_TEST_SECRET", "hunter2");
  const loaded = parseConfig(`
audit: { tenant: { default: "\${env:SPANSEAL_TEST_SECRET}" } }
publish: { max_lag: 90m }
exporters:
  otlp_http: { endpoint: "http://127.0.0.1:4320", headers: { authorization: Bearer hunter2 } }
`);
  const printed = formatConfig(loaded);
  expect(printed).not.toContain("hunter2");
  expect(printed).toContain("max_lag: 1h30m");
  expect(printed).toContain("endpoint: 127.0.0.1:4318");
  const again = parseConfig(printed);
  expect(effectiveConfig(again)).toEqual(effectiveConfig(loaded));
  expect(again.config.receivers).toEqual(loaded.config.receivers);
});

test("every key of the schema has a description", () => {
  const bare: string[] = [];
  const walk = (schema: JsonSchema, path: string): void => {
    for (const [key, member] of Object.entries(schema.properties ?? {})) {
      if (member.description === undefined) bare.push(`${path}${key}`);
      walk(member, `${path}${key}.`);
    }
    if (schema.items !== undefined) walk(schema.items, path);
    if (typeof schema.additionalProperties === "object") walk(schema.additionalProperties, path);
  };
  walk(configJsonSchema(), "");
  expect(bare).toEqual([]);
});

test("a configuration file that is not there is a problem that names it", () => {
  expect(() => loadConfig({ file: "/nonexistent/spanseal.yaml" })).toThrow(ConfigError);
});

test("an alias bomb is refused", () => {
  const levels = Array.from({ length: 9 }, (_, level) =>
    level === 0 ? "a0: &a0 [x]" : `a${level}: &a${level} [${`*a${level - 1},`.repeat(9)}]`,
  );
  expect(problemsOf(levels.join("\n"))).toContain("aliases");
});

test("durations, sizes and addresses print as they are read", () => {
  fc.assert(
    fc.property(fc.nat(1e12), fc.nat(65_535), (value, port) => {
      expect(parseDuration(formatDuration(value))).toBe(value);
      expect(parseBytes(formatBytes(value))).toBe(value);
      for (const host of ["127.0.0.1", "localhost", "::1"]) {
        expect(parseEndpoint(formatEndpoint({ host, port }))).toEqual({ host, port });
      }
    }),
  );
});

test.for(["", "10", "1x", "m", "1.5.2m", "-1m", "1m ", "0x1m"])("%j is no duration", (text) => {
  expect(parseDuration(text)).toBeUndefined();
});

test.for(["", "1.5MiB", "1MB", "-1", "1KiB2"])("%j is no size", (text) => {
  expect(parseBytes(text)).toBeUndefined();
});

test.for(["", "localhost", ":1", "a:b", "1.2.3.4:65536", "::1:80", "[::1]"])(
  "%j is no address",
  (text) => {
    expect(parseEndpoint(text)).toBeUndefined();
  },
);

test("the nearest known key is found, a far one is not", () => {
  expect(nearest("intervall", ["bucket", "interval"])).toBe("interval");
  expect(nearest("protocol", ["protocols"])).toBe("protocols");
  expect(nearest("xyz", ["bucket", "interval"])).toBeUndefined();
});
