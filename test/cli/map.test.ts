/** `spanseal map`: recorded requests become records, whatever they are and however encoded. */
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { gzipSync } from "node:zlib";
import { expect, test } from "vitest";
import { guessSignal, isJson } from "../../src/cli/signal.ts";
import { logs, span, traces } from "../audit/setup.ts";
import { anyValue, encodeOtlp } from "../support/otlp-writer.ts";
import { spanseal, temporaryFolder } from "./command.ts";
import { shownLines } from "./recorded.ts";
import type { Shown } from "./recorded.ts";

const note =
  "note: no keys in ./spanseal-keys: tokens and hashes are made with a key of this run only\n";

const root = join(import.meta.dirname, "../captures");
const captures = readdirSync(root, { recursive: true, encoding: "utf8" })
  .filter((path) => /\d+-(?:traces|logs)(?:\.otlp)?\.(?:pb|json)$/.test(path))
  .toSorted();
const folders = [...new Set(captures.map((path) => dirname(path)))];
const signalOf = (path: string): string => (path.includes("-logs.") ? "logs" : "traces");

/** The files of one capture with this ending, in the order they were sent. */
function filesOf(folder: string, ending: RegExp): string[] {
  return captures
    .filter((path) => dirname(path) === folder && ending.test(path))
    .map((path) => join(root, path));
}

async function mapJson(files: readonly string[], stdin?: string): Promise<Shown[]> {
  const ended = await spanseal(["map", "--json", ...files], stdin === undefined ? {} : { stdin });
  expect(ended).toMatchObject({ code: 0, stderr: note });
  return shownLines(ended.stdout);
}

test("there are captures of both signals in both encodings", () => {
  const kinds = captures.map((path) => `${signalOf(path)} ${path.endsWith(".pb")}`);
  expect(new Set(kinds).size).toBe(4);
  expect(captures.length).toBeGreaterThan(40);
});

test("every capture's encoding and signal is told by its content alone", () => {
  const told = captures.map((path) => {
    const body = readFileSync(join(root, path));
    return [path, isJson(body), guessSignal(body)];
  });
  expect(told).toEqual(captures.map((path) => [path, path.endsWith(".json"), signalOf(path)]));
});

test.concurrent.for(folders)(
  "%s is mapped without being told what it is",
  async (folder, { expect }) => {
    const binary = filesOf(folder, /\.pb$/);
    const files = binary.length > 0 ? binary : filesOf(folder, /\.json$/);
    const ended = await spanseal(["map", "--json", ...files]);
    expect(ended).toMatchObject({ code: 0, stderr: note });
    const records = shownLines(ended.stdout);
    for (const record of records) {
      expect(Object.keys(record)).toEqual(["id", "kind", "namespace", "tenant", "body"]);
      expect(record).toMatchObject({ kind: "action", id: expect.stringMatching(/^\w{32}$/) });
      expect(Object.keys(record.body)).not.toContain("nonce");
      expect(["span", "log"]).toContain(record.body.source.signal);
    }
  },
);

test.for(["python/agent-framework/content-on", "python/mcp-sdk/native", "js/mastra/content-on"])(
  "%s gives the same records as protobuf and as JSON",
  async (folder) => {
    const fromBinary = await mapJson(filesOf(folder, /\.pb$/));
    const jsonOf = new Set(filesOf(folder, /\.json$/).map((path) => path.split("-", 1)[0]));
    const fromText = await mapJson(filesOf(folder, /\.json$/));
    expect(jsonOf.size).toBeGreaterThan(0);
    expect(fromText.length).toBeGreaterThan(3);
    const sentAt = (records: readonly Shown[]) =>
      records.map(({ body, ...rest }) => {
        const { observed, ...time } = body.time;
        expect(observed).toMatch(/^\d{19}$/);
        return { ...rest, body: { ...body, time } };
      });
    const wanted = fromBinary.slice(0, fromText.length);
    expect(sentAt(fromText)).toEqual(sentAt(wanted));
  },
);

const agent = traces(
  [
    span({
      name: "invoke_agent helper",
      trace: 7,
      id: 71,
      attributes: { "gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "helper" },
    }),
  ],
  { resource: { "tenant.id": "north" } },
);
/** A later request of the same trace that does not say whose it is. */
const query = traces([
  span({
    name: "SELECT patients",
    trace: 7,
    id: 72,
    parent: 71,
    attributes: { "db.system.name": "postgresql", "db.query.text": "SELECT 1" },
  }),
]);

const toolCall = span({
  name: "execute_tool x",
  attributes: { "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "x" },
});

function write(files: Readonly<Record<string, Uint8Array | string>>): string {
  const cwd = temporaryFolder();
  for (const [name, body] of Object.entries(files)) writeFileSync(join(cwd, name), body);
  return cwd;
}

test("several files are taken in order, as if received one after another", async () => {
  const cwd = write({ agent, query });
  const map = async (...files: string[]) =>
    shownLines((await spanseal(["map", "--json", ...files], { cwd })).stdout).map(
      ({ tenant, body }) => [body.action.type, tenant, body.flags ?? []],
    );
  expect(await map("agent", "query")).toEqual([
    ["agent_run", "north", []],
    ["data_access", "north", []],
  ]);
  expect(await map("query", "agent")).toEqual([
    ["data_access", "default", ["orphan"]],
    ["agent_run", "north", []],
  ]);
});

test("without --json it is a table, and a summary on stderr", async () => {
  const cwd = write({ agent, query });
  const ended = await spanseal(["map", "agent", "query"], { cwd });
  expect(ended.code).toBe(0);
  const [header, ...rows] = ended.stdout.trimEnd().split("\n");
  expect(header!.split(/ +/)).toEqual(["ID", "TENANT", "TYPE", "NAME", "OUTCOME"]);
  expect(rows.map((row) => row.split(/ {2,}/).slice(1))).toEqual([
    ["north", "agent_run", "helper", "unknown"],
    ["north", "data_access", expect.any(String), "unknown"],
  ]);
  expect(ended.stderr).toBe(`${note}2 spans, log records or data points made 2 records\n`);
});

test("standard input, by name and by default; personal data does not come through", async () => {
  const body = {
    resourceSpans: [
      {
        scopeSpans: [
          {
            spans: [
              {
                traceId: "0af7651916cd43dd8448eb211c80319c",
                spanId: "b7ad6b7169203331",
                name: "execute_tool lookup",
                attributes: [
                  { key: "gen_ai.operation.name", value: { stringValue: "execute_tool" } },
                  { key: "gen_ai.tool.name", value: { stringValue: "lookup" } },
                  { key: "user.id", value: { stringValue: "jane@example.com" } },
                ],
              },
            ],
          },
        ],
      },
    ],
  };
  for (const parameters of [["-"], []]) {
    const [record, ...others] = await mapJson(parameters, JSON.stringify(body));
    expect(others).toEqual([]);
    expect(record).toMatchObject({ body: { tool: { name: "lookup" } } });
    expect(JSON.stringify(record)).not.toContain("jane@");
  }
});

test("an empty request makes no record, as protobuf and as JSON", async () => {
  const cwd = write({ "empty.pb": "", "empty.json": "{}" });
  const ended = await spanseal(["map", "--json", "empty.pb", "empty.json"], { cwd });
  expect(ended).toEqual({ code: 0, stdout: "", stderr: note });
});

test.for<[string, Uint8Array | string]>([
  ["protobuf that ends too early", agent.subarray(0, -3)],
  ["JSON that ends too early", '{"resourceSpans":[{"scopeSpans":['],
  ["a compressed body", gzipSync(agent)],
  ["an id that is base64", '{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"AAAA"}]}]}]}'],
  ["a tenant that cannot name a chain", traces([toolCall], { resource: { "tenant.id": "a\nb" } })],
])("%s is exit code 1, with what is wrong and as what it was read", async ([, body]) => {
  const cwd = write({ body });
  const ended = await spanseal(["map", "--json", "body"], { cwd });
  expect(ended).toMatchObject({ code: 1, stdout: "" });
  expect(ended.stderr).toMatch(/error: body would be refused: .+\nhint: it was read as traces: /);
});

test("what was good before a bad file is printed; a missing file and a bad option are exit code 2", async () => {
  const cwd = write({ agent, bad: "{" });
  const half = await spanseal(["map", "--json", "agent", "bad"], { cwd });
  expect([half.code, shownLines(half.stdout).length]).toEqual([1, 1]);
  const missing = await spanseal(["map", "missing"], { cwd });
  expect(missing).toMatchObject({ code: 2, stdout: "" });
  expect(missing.stderr).toMatch(/error: ENOENT.*missing.*\nhint: check that the path is right/);
  const signal = await spanseal(["map", "--signal", "profiles", "agent"], { cwd });
  expect(signal).toMatchObject({ code: 2, stdout: "" });
  expect(signal.stderr).toMatch(
    /^error: option '--signal <signal>' argument 'profiles' is invalid/,
  );
});

test("--signal decides where it is given", async () => {
  const decision = { "spanseal.decision.outcome": "denied" };
  const attributes = Object.entries(decision).map(([key, value]) => ({
    key,
    value: anyValue(value),
  }));
  const cwd = write({ log: logs([{ attributes }]) });
  const asLogs = await spanseal(["map", "--json", "--signal", "logs", "log"], { cwd });
  expect(shownLines(asLogs.stdout)).toMatchObject([{ body: { decision: { outcome: "denied" } } }]);
});

test("small requests of each signal, and a first message of 123 bytes, are told apart", () => {
  const metric = (value: object) =>
    encodeOtlp("ExportMetricsServiceRequest", {
      resourceMetrics: [{ scopeMetrics: [{ metrics: [{ name: "requests", ...value }] }] }],
    });
  const points = { dataPoints: [{ timeUnixNano: 1n, asInt: 3n }] };
  const cases: [Uint8Array, string][] = [
    [traces([{ name: "only a name" }]), "traces"],
    [traces([span({})]), "traces"],
    [logs([{ body: anyValue("only a body") }]), "logs"],
    [logs([{ body: anyValue({ nested: ["x", 1, { y: true }] }) }]), "logs"],
    [logs([{ timeUnixNano: 1n, severityNumber: 9, body: anyValue(7) }]), "logs"],
    [metric({ gauge: points }), "metrics"],
    [metric({ sum: { ...points, aggregationTemporality: 2, isMonotonic: true } }), "metrics"],
    [metric({ histogram: { dataPoints: [{ count: 1n, bucketCounts: [1n, 0n] }] } }), "metrics"],
    [new Uint8Array(0), "traces"],
  ];
  expect(cases.map(([body]) => guessSignal(body))).toEqual(cases.map(([, signal]) => signal));
  const padded = (bytes: number) => logs([{ body: anyValue("x".repeat(bytes)) }]);
  const braced = Array.from({ length: 200 }, (_, at) => padded(at)).find(
    (body) => body[1] === 0x7b,
  );
  expect([isJson(braced!), guessSignal(braced!)]).toEqual([false, "logs"]);
  expect(isJson(Buffer.from('\n\n{"resourceLogs":[]}'))).toBe(true);
});

test("every folder of captures was looked at", () => {
  expect(folders.length).toBeGreaterThan(10);
  expect(folders).toContain(relative(root, join(root, "python/google-adk/content-on")));
});
