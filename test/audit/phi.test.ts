/** Declared columns that a result returned: on the record, and on the span that goes on. */
import { expect, test } from "vitest";
import { mappedRecords } from "../../src/audit/mapped-record.ts";
import { compileRedaction } from "../../src/audit/redact/policy.ts";
import { phiJson } from "../../src/audit/trail.ts";
import { decode } from "../redact/support.ts";
import { type Mapped, policy, prepared, span, type SpanInput, traces } from "./setup.ts";

const redaction = compileRedaction({
  packs: ["core"],
  rules: [],
  phi: [
    {
      match: { tools: ["lookup_patient"], collections: ["patients"] },
      subject: "mrn",
      columns: {
        mrn: { class: "mrn", action: ["tokenize", "truncate:4"] },
        dob: { class: "phi", action: "drop" },
        diagnosis: { class: "phi", action: "mask" },
      },
    },
  ],
  pepper: { id: "1", key: new Uint8Array(32) },
});
const row = { mrn: "MRN-0042371", dob: "1961-04-12", ward: "7B" };
const call = {
  "gen_ai.operation.name": "execute_tool",
  "gen_ai.tool.name": "lookup_patient",
  "gen_ai.tool.call.result": JSON.stringify({ rows: [row, row] }),
};

interface Attribute {
  readonly key: string;
  readonly value: unknown;
}

interface Decoded {
  readonly resourceSpans: readonly {
    readonly scopeSpans: readonly {
      readonly spans: readonly { readonly attributes: readonly Attribute[] }[];
    }[];
  }[];
}

interface Result {
  readonly records: readonly Mapped[];
  /** All `spanseal.*` attributes of the first forwarded span. */
  readonly stamps: readonly Attribute[];
}

function run(input: SpanInput, stamp = true): Result {
  const batch = prepared("traces", traces([span(input)]), {
    policy: policy({ redaction, stamp }),
  });
  const forwarded = decode("traces", batch.forward) as Decoded;
  const { attributes } = forwarded.resourceSpans[0]!.scopeSpans[0]!.spans[0]!;
  const stamps = attributes.filter(({ key }) => key.startsWith("spanseal."));
  return { records: mappedRecords(batch), stamps };
}

const texts = (...values: string[]): object => ({
  arrayValue: { values: values.map((stringValue) => ({ stringValue })) },
});

function stampsOf({ stamps }: Result): Readonly<Record<string, unknown>> {
  expect(new Set(stamps.map(({ key }) => key)).size).toBe(stamps.length);
  return Object.fromEntries(stamps.map(({ key, value }) => [key, value]));
}

test("the record accounts for columns, rows and subject, the span for columns", () => {
  const result = run({ attributes: call });
  const [{ body, id }] = result.records as [Mapped];
  expect(body.data.phi).toEqual({
    columns: ["dob", "mrn"],
    columns_returned: 2,
    rows: 2,
    subject: expect.stringMatching(/^tok_mrn_1_[0-9a-f]{4}$/) as string,
  });
  const field = 'attributes["gen_ai.tool.call.result"]';
  expect(body.redaction).toEqual([
    { action: "tokenize,truncate:4", count: 2, field, rule: "phi.mrn" },
    { action: "drop", count: 2, field, rule: "phi.dob" },
  ]);
  expect(JSON.stringify(body)).not.toMatch(/0042371|1961-04-12/);
  expect(stampsOf(result)).toEqual({
    "spanseal.record.id": texts(id),
    "spanseal.redaction.count": { intValue: "4" },
    "spanseal.phi.columns_returned": { intValue: "2" },
    "spanseal.phi.columns": texts("dob", "mrn"),
  });
});

test("a data access accounts for its collection", () => {
  const { records } = run({
    attributes: {
      "db.system.name": "postgresql",
      "db.collection.name": "patients",
      "db.operation.name": "SELECT",
      "gen_ai.tool.call.result": JSON.stringify([row]),
    },
  });
  expect(records[0]!.body.data).toMatchObject({ phi: { columns_returned: 2, rows: 1 } });
});

test("what a sender claims to have returned or redacted is replaced", () => {
  const forged = {
    "spanseal.phi.columns": ["forged"],
    "spanseal.phi.columns_returned": 99,
    "spanseal.redaction.count": 99,
    "spanseal.record.id": "forged",
  };
  const honest = run({ id: 1, attributes: call });
  const claimed = run({ id: 1, attributes: { ...forged, ...call } });
  expect(stampsOf(claimed)).toEqual(stampsOf(honest));
  expect(claimed.records[0]!.body.data).toEqual(honest.records[0]!.body.data);
  const nothing = run({ attributes: { ...forged, "gen_ai.operation.name": "chat" } });
  expect(Object.keys(stampsOf(nothing))).toEqual(["spanseal.record.id"]);
  expect(nothing.records[0]!.body.data).toBeUndefined();
});

test("without stamps the account is on the record only", () => {
  const { records, stamps } = run({ attributes: call }, false);
  expect(records[0]!.body.data.phi.columns_returned).toBe(2);
  expect(stamps).toEqual([]);
});

test("redactions without declared columns are counted, columns without rows are not", () => {
  const result = run({
    attributes: { ...call, "gen_ai.tool.call.result": "mail ada@example.com and bob@example.com" },
  });
  expect(result.records[0]!.body.data).toBeUndefined();
  expect(stampsOf(result)).toMatchObject({ "spanseal.redaction.count": { intValue: "2" } });
  expect(result.stamps).toHaveLength(2);
});

test("a decision on a call does not count again what the call returned", () => {
  const decided = {
    name: "spanseal.decision",
    attributes: { "spanseal.decision.outcome": "allowed" },
  };
  const result = run({ attributes: call, events: [decided] });
  expect(result.records.map(({ body }) => body.data?.phi?.rows as unknown)).toEqual([2, undefined]);
  expect(stampsOf(result)).toMatchObject({
    "spanseal.record.id": texts(...result.records.map(({ id }) => id)),
    "spanseal.phi.columns_returned": { intValue: "2" },
  });
});

test("violations are stated where there are any", () => {
  const phi = { columns: ["dob"], columnsReturned: 1, rows: 3, violations: ["no_grant"] };
  expect(phiJson(phi)).toBe(
    '{"columns":["dob"],"columns_returned":1,"rows":3,"violations":["no_grant"]}',
  );
});
