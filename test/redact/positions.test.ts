import { array, assert, constantFrom, property, string, stringMatching } from "fast-check";
import { expect, test } from "vitest";
import { redactRequest } from "../../src/audit/redact/request.ts";
import type { Signal } from "../../src/audit/otlp/schema.ts";
import { encodeOtlp, type Plain } from "../support/otlp-writer.ts";
import { decode, fullMessage, policyOf, withAt } from "./support.ts";

const policy = policyOf();
const messages: Readonly<Record<Signal, string>> = {
  traces: "ExportTraceServiceRequest",
  logs: "ExportLogsServiceRequest",
  metrics: "ExportMetricsServiceRequest",
};

const planted: readonly (readonly [string, string])[] = [
  ["jane.doe@example.com", "email"],
  ["4111 1111 1111 1111", "payment_card"],
  ["4012888888881881", "payment_card"],
  ["536-90-4399", "us_ssn"],
  ["(415) 555-2671", "phone"],
  ["+49 30 901820555", "phone"],
  ["10.20.30.40", "ip_address"],
  ["2001:db8::ff00:42:8329", "ip_address"],
  ["DE89 3704 0044 0532 0130 00", "iban"],
  ["GB82WEST12345698765432", "iban"],
  ["AKIAIOSFODNN7EXAMPLE", "aws_access_key"],
  [`ghp_${"aB1".repeat(12)}`, "github_token"],
  ["xoxb-123456789012-abcdefABCDEF", "slack_token"],
  ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-def_1", "jwt"],
];

/** Text around the value, of every length, so that lengths and tags beside it take every value. */
const around = string({
  unit: stringMatching(/^[ a-z,;]$/),
  maxLength: 130,
});

for (const signal of ["traces", "logs", "metrics"] as const) {
  test(`redaction finds every planted value in every string position of ${signal}`, () => {
    assert(
      property(
        constantFrom(...planted),
        around,
        around,
        array(stringMatching(/^[a-z]{1,12}$/), { minLength: 4, maxLength: 4 }),
        ([value, what], before, after, words) => {
          let count = 0;
          const { value: tree, positions } = fullMessage(
            messages[signal],
            () => words[count++ % words.length]!,
          );
          const text = `${before}${before === "" ? "" : " "}${value}${after === "" ? "" : " "}${after}`;
          for (const { path, field } of positions) {
            const isBytes = field.kind === "bytes";
            const full = withAt(tree, path, isBytes ? Buffer.from(text) : text) as Plain;
            const bytes = encodeOtlp(messages[signal], full);
            const result = redactRequest(signal, bytes, policy);
            const masked = text.replace(value, `[REDACTED:${what}]`);
            expect(Buffer.from(result.bytes).includes(value)).toBe(false);
            expect({ path, counts: result.countsByClass }).toEqual({ path, counts: { [what]: 1 } });
            const expected = isBytes
              ? withAt(tree, path.slice(0, -1), { stringValue: masked })
              : withAt(tree, path, masked);
            const wanted = encodeOtlp(messages[signal], expected as Plain);
            expect(decode(signal, result.bytes)).toEqual(decode(signal, wanted));
          }
        },
      ),
      { numRuns: 60 },
    );
  });
}

test("values at the very beginning and end of a text, whatever its length", () => {
  // The length before the text and the tag after it look like digits and letters for some lengths.
  for (const [value, what] of planted) {
    for (let padding = 0; padding < 300; padding++) {
      for (const text of [`${value} ${"x".repeat(padding)}`, `${"x".repeat(padding)} ${value}`]) {
        const attributes = [
          { key: "k", value: { stringValue: text } },
          { key: "l", value: { stringValue: "m" } },
        ];
        const record = { body: { stringValue: "b" }, attributes, eventName: text };
        const bytes = encodeOtlp("ExportLogsServiceRequest", {
          resourceLogs: [{ scopeLogs: [{ logRecords: [record] }] }],
        });
        const result = redactRequest("logs", bytes, policy);
        expect({ text, counts: result.countsByClass }).toEqual({ text, counts: { [what]: 2 } });
      }
    }
  }
});

test("findings name items, scopes and resources by running ordinal, and fields without values", () => {
  const mail = "jane@example.com";
  const span = (text: string): Plain => ({
    name: "work",
    attributes: [{ key: "note", value: { stringValue: text } }],
    events: [{ name: "one" }, { name: text }],
    status: { message: text },
  });
  const bytes = encodeOtlp("ExportTraceServiceRequest", {
    resourceSpans: [
      { scopeSpans: [{ spans: [span("clean"), span("clean")] }, { spans: [span("clean")] }] },
      {
        resource: { attributes: [{ key: mail, value: { stringValue: mail } }] },
        scopeSpans: [
          { scope: { name: mail }, schemaUrl: mail, spans: [span("clean"), span(mail)] },
        ],
      },
    ],
  });
  const { items, scopes, resources, countsByClass } = redactRequest("traces", bytes, policy);
  const one = { rule: "email", class: "email", action: "mask", count: 1 };
  expect([...items]).toEqual([
    [
      4,
      {
        findings: [
          { ...one, field: 'attributes["note"]' },
          { ...one, field: "events[1].name" },
          { ...one, field: "status.message" },
        ],
      },
    ],
  ]);
  expect([...scopes]).toEqual([
    [
      2,
      [
        { ...one, field: "scope.name" },
        { ...one, field: "schemaUrl" },
      ],
    ],
  ]);
  expect([...resources]).toEqual([
    [
      1,
      [
        { ...one, field: "resource.attributes key" },
        { ...one, field: 'resource.attributes["[REDACTED:email]"]' },
      ],
    ],
  ]);
  expect(countsByClass).toEqual({ email: 7 });
});
