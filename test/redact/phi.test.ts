import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { redactRequest, type ItemFindings } from "../../src/audit/redact/request.ts";
import type { PhiTableConfig } from "../../src/audit/redact/policy.ts";
import type { Signal } from "../../src/audit/otlp/schema.ts";
import { anyValue, attributes, encodeOtlp, type Plain } from "../support/otlp-writer.ts";
import { decode, policyOf } from "./support.ts";

const table: PhiTableConfig = {
  match: { collections: ["patients"], tools: ["lookup_patient"] },
  subject: "mrn",
  columns: {
    mrn: { class: "mrn", action: ["tokenize", "truncate:4"] },
    dob: { class: "phi", action: "drop" },
    Diagnosis: { class: "phi", action: "mask" },
    age: { class: "phi", action: "bucket:10" },
  },
};
const policy = policyOf({ packs: [], phi: [table] });
const token = expect.stringMatching(/^tok_mrn_1_[0-9a-f]{4}$/) as string;

interface Outcome {
  readonly item: ItemFindings | undefined;
  readonly attributes: Readonly<Record<string, unknown>>;
}

const of = (key: string, value: unknown): Plain => ({ key, value: anyValue(value) });

function run(attributes: Plain, name = "execute_tool lookup_patient"): Outcome {
  const span = {
    name,
    attributes: Object.entries(attributes).map(([key, value]) => of(key, value)),
  };
  const bytes = encodeOtlp("ExportTraceServiceRequest", {
    resourceSpans: [{ scopeSpans: [{ spans: [span] }] }],
  });
  const result = redactRequest("traces", bytes, policy);
  const decoded = decode("traces", result.bytes) as {
    resourceSpans: { scopeSpans: { spans: { attributes: { key: string; value: Plain }[] }[] }[] }[];
  };
  const left = decoded.resourceSpans[0]!.scopeSpans[0]!.spans[0]!.attributes;
  return {
    item: result.items.get(0),
    attributes: Object.fromEntries(
      left.map(({ key, value }) => [key, value["stringValue"] ?? value]),
    ),
  };
}

const json = (value: unknown): unknown => JSON.parse(value as string);
const row = { mrn: "MRN-0042371", dob: "1961-04-12", diagnosis: "E11.9", age: 65, ward: "7B" };
const treated = { mrn: token, diagnosis: "[REDACTED:phi]", age: 60, ward: "7B" };
const key = "gen_ai.tool.call.result";

test("rows of objects, bare and under the usual wrappers", () => {
  for (const wrap of [
    (rows: unknown) => rows,
    (rows: unknown) => ({ rows, rowCount: 2 }),
    (rows: unknown) => ({ data: { results: rows } }),
    (rows: unknown) => ({ items: { records: rows } }),
  ]) {
    const other = { ...row, mrn: "MRN-0042372", age: null };
    const { item, attributes } = run({ [key]: JSON.stringify(wrap([row, other])) });
    expect(json(attributes[key])).toEqual(wrap([treated, { ...treated, age: null }]));
    expect(item?.phi).toEqual({
      columns: ["Diagnosis", "age", "dob", "mrn"],
      columnsReturned: 4,
      rows: 2,
    });
  }
});

test("one object is one row, and its subject is told by a token", () => {
  const { item } = run({ [key]: JSON.stringify(row) });
  expect(item?.phi).toEqual({
    columns: ["Diagnosis", "age", "dob", "mrn"],
    columnsReturned: 4,
    rows: 1,
    subject: token,
  });
  expect(item?.findings).toContainEqual({
    rule: "phi.mrn",
    class: "mrn",
    action: "tokenize,truncate:4",
    count: 1,
    field: 'attributes["gen_ai.tool.call.result"]',
  });
});

test("columns plus rows as maps of OTLP; a dropped cell keeps its place", () => {
  const values = (list: readonly unknown[]): Plain => ({ arrayValue: { values: list } });
  for (const columns of [
    ["ward", "mrn", "dob", "DIAGNOSIS"],
    [{ name: "ward" }, { name: "mrn", type: "text" }, { name: "dob" }, { name: "diagnosis" }],
  ]) {
    const rows = [
      ["7B", "MRN-0042371", "1961-04-12", "E11.9", "Jane"],
      ["7C", "MRN-0042372", { day: "1961-04-13" }, ["E11.8", { code: "E11.7" }]],
    ];
    const { item, attributes } = run({ [key]: { table: { columns, rows, count: 2 } } });
    const left = JSON.stringify(attributes[key]);
    for (const gone of ["MRN-004", "1961", "E11"]) expect(left).not.toContain(gone);
    const text = (one: unknown): unknown => ({ stringValue: one });
    const first = values([text("7B"), text(token), {}, text("[REDACTED:phi]"), text("Jane")]);
    expect(left).toContain('{"stringValue":"7B"},{"stringValue":"tok_mrn_1_');
    const table = attributes[key] as {
      kvlistValue: {
        values: { value: { kvlistValue: { values: { key: string; value: Plain }[] } } }[];
      };
    };
    const members = table.kvlistValue.values[0]!.value.kvlistValue.values;
    const list = members.find((one) => one.key === "rows")!.value as {
      arrayValue: { values: unknown[] };
    };
    expect(list.arrayValue.values[0]).toEqual(first);
    expect(item?.phi).toMatchObject({ columns: ["Diagnosis", "dob", "mrn"], rows: 2 });
  }
});

test("columns plus rows, by names or by objects with names; a dropped cell keeps its place", () => {
  for (const columns of [
    ["MRN", "dob", "ward", "diagnosis"],
    [{ name: "mrn" }, { name: "DOB" }, { name: "ward" }, { name: "diagnosis" }],
  ]) {
    const rows = [
      ["MRN-0042371", "1961-04-12", "7B", "E11.9"],
      ["MRN-1", null, "7C", null],
    ];
    const { item, attributes } = run({ [key]: JSON.stringify({ columns, rows }) });
    expect(json(attributes[key])).toEqual({
      columns,
      rows: [
        [token, null, "7B", "[REDACTED:phi]"],
        [token, null, "7C", null],
      ],
    });
    expect(item?.phi).toMatchObject({ columns: ["Diagnosis", "dob", "mrn"], rows: 2 });
  }
});

test("JSON in JSON, MCP content and its structured copy, several attributes with one result", () => {
  const text = JSON.stringify({ rows: [row] });
  const result = { content: [{ type: "text", text }], structuredContent: { rows: [row] } };
  const { item, attributes } = run({
    [key]: JSON.stringify(result),
    "output.value": JSON.stringify(JSON.stringify([row])),
  });
  const after = json(attributes[key]) as typeof result;
  expect(json(after.content[0]!.text)).toEqual({ rows: [treated] });
  expect(after.structuredContent).toEqual({ rows: [treated] });
  expect(json(json(attributes["output.value"]))).toEqual([treated]);
  expect(item?.phi).toMatchObject({ columnsReturned: 4, rows: 1, subject: token });
});

test("maps as OTLP values", () => {
  const { item, attributes } = run({ [key]: { rows: [row, { ...row, mrn: "MRN-1" }] } });
  const text = JSON.stringify(attributes[key]);
  for (const gone of ["0042371", "1961", "E11.9", "dob"]) expect(text).not.toContain(gone);
  expect(text).toContain("7B");
  expect(text).toContain('{"key":"age","value":{"stringValue":"60"}}');
  expect(item?.phi).toMatchObject({ columnsReturned: 4, rows: 2 });
});

test("numbers, booleans, lists and maps as values of a column", () => {
  const value = { mrn: 42371, diagnosis: { code: "E11.9", flags: [true, 3, null] }, age: 7.5 };
  const { attributes } = run({ [key]: JSON.stringify(value) });
  expect(json(attributes[key])).toEqual({
    mrn: token,
    diagnosis: { code: "[REDACTED:phi]", flags: ["[REDACTED:phi]", "[REDACTED:phi]", null] },
    age: 0,
  });
});

test("the tool is told by attribute, span name or behind its server, the collection by query too", () => {
  const result = { [key]: JSON.stringify([row]) };
  const rows = (attributes: Plain, name: string): number | undefined =>
    run({ ...attributes, ...result }, name).item?.phi?.rows;
  expect(rows({ "gen_ai.tool.name": "lookup_patient" }, "call")).toBe(1);
  expect(rows({ "gen_ai.tool.name": "hospital.lookup_patient" }, "call")).toBe(1);
  expect(rows({ "gen_ai.tool.name": "mcp__hospital__lookup_patient" }, "call")).toBe(1);
  expect(rows({}, "tools/call lookup_patient")).toBe(1);
  expect(rows({ "db.collection.name": "patients" }, "query")).toBe(1);
  expect(rows({ "db.query.text": 'SELECT * FROM public."patients" p' }, "query")).toBe(1);
  expect(rows({ "db.query.text": "SELECT * FROM PATIENTS" }, "query")).toBe(1);
  expect(rows({ "db.collection.name": "Patients" }, "query")).toBe(1);
  expect(rows({ "db.query.text": "select * from ward.dbo.[patients]" }, "query")).toBe(1);
  expect(rows({ "db.query.text": "select * from visits v,patients p" }, "query")).toBe(1);
  expect(rows({ "db.query.text": "SELECT * FROM patients_archive" }, "query")).toBe(undefined);
  expect(rows({ "gen_ai.tool.name": "lookup_patients" }, "call")).toBe(undefined);
  expect(rows({}, "lookup_card")).toBe(undefined);
});

test("a conversation that repeats rows is treated and not counted; arguments stay", () => {
  const message = {
    role: "tool",
    name: "lookup_patient",
    content: JSON.stringify({ rows: [row] }),
  };
  const call = { name: "lookup_patient", arguments: { mrn: "MRN-0042371" } };
  const { item, attributes } = run(
    { "gen_ai.input.messages": JSON.stringify([call, message]) },
    "chat",
  );
  expect(item?.phi).toBe(undefined);
  const [callAfter, messageAfter] = json(attributes["gen_ai.input.messages"]) as [
    unknown,
    typeof message,
  ];
  expect(callAfter).toEqual(call);
  expect(json(messageAfter.content)).toEqual({ rows: [treated] });
});

test("treating what was treated changes nothing and counts the same", () => {
  const span = { name: "lookup_patient", attributes: [of(key, JSON.stringify([row]))] };
  const bytes = encodeOtlp("ExportTraceServiceRequest", {
    resourceSpans: [{ scopeSpans: [{ spans: [span] }] }],
  });
  const once = redactRequest("traces", bytes, policy);
  const twice = redactRequest("traces", once.bytes, policy);
  expect(twice.items.get(0)?.phi).toMatchObject({ rows: 1, subject: token });
  expect(Buffer.from(twice.bytes)).toEqual(Buffer.from(once.bytes));
});

const capture = (path: string): Uint8Array =>
  readFileSync(new URL(`../captures/${path}`, import.meta.url));

test.each([
  ["traces", "js/genkit/content-on/01-traces.pb", 1],
  ["traces", "js/openai-agents-js/content-on/01-traces.pb", 1],
  ["traces", "js/vercel-ai-7/content-on/01-traces.pb", 1],
  ["traces", "python/openai-agents/genai-content-on/01-traces.pb", 1],
] as const)("recorded %s of %s", (signal: Signal, path, rows) => {
  const all = policyOf({ phi: [table] });
  const { bytes, items } = redactRequest(signal, capture(path), all);
  const accounts = [...items.values()].flatMap(({ phi }) => phi ?? []);
  expect(accounts.length).toBeGreaterThan(0);
  for (const account of accounts) {
    expect(account).toMatchObject({
      columns: ["Diagnosis", "dob", "mrn"],
      columnsReturned: 3,
      rows,
    });
  }
  const text = Buffer.from(bytes).toString("latin1");
  for (const gone of ["0042371", "jane.doe@", "E11.9", "4111 1111"]) {
    expect(text).not.toContain(gone);
  }
});

test("keys under a declared column are looked at like any text", () => {
  const phi = [
    {
      match: { tools: ["lookup_patient"] },
      columns: { contact: { class: "phi", action: "mask" } },
    },
  ];
  const rows = {
    rows: [{ contact: { "jane.doe@example.com": "x", more: { "536-90-4399": "y" } } }],
  };
  for (const result of [rows, JSON.stringify(rows)]) {
    const bytes = encodeOtlp("ExportTraceServiceRequest", {
      resourceSpans: [
        {
          scopeSpans: [
            {
              spans: [
                {
                  attributes: attributes({
                    "gen_ai.tool.name": "lookup_patient",
                    "gen_ai.tool.call.result": result,
                  }),
                },
              ],
            },
          ],
        },
      ],
    });
    const after = Buffer.from(redactRequest("traces", bytes, policyOf({ phi })).bytes);
    expect(after.includes("[REDACTED:phi]")).toBe(true);
    expect(["jane.doe@", "536-90"].filter((value) => after.includes(value))).toEqual([]);
  }
});
