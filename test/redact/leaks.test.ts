/** Texts that were made so that a value gets past the rules. */
import { expect, test } from "vitest";
import { redactRequest } from "../../src/audit/redact/request.ts";
import { redactText } from "../../src/audit/redact/text.ts";
import { redactionValueBytesMax } from "../../src/limits.ts";
import { attributes, encodeOtlp } from "../support/otlp-writer.ts";
import { policyOf } from "./support.ts";

const policy = policyOf();

test("a text in which each mask uncovers the next value is masked to its end", () => {
  const numbers = Array.from({ length: 12 }, (_, at) => `+49301234567${10 + at}`);
  const { text } = redactText(`call ${numbers.join("")} now`, policy);
  expect(text).not.toMatch(/\d{6}/);
  const identity = redactText(numbers.join(""), policy, { key: "user.id" }).text;
  expect(identity).not.toMatch(/\+\d{6}/);
  expect(identity).toMatch(/^tok_/);
});

test("credentials in a URL whose slashes JSON has escaped", () => {
  const text = String.raw`{"url":"postgres:\/\/app:hunter2secret@db\/app"}`;
  expect(redactText(text, policy).text).not.toContain("hunter2");
  const bytes = encodeOtlp("ExportTraceServiceRequest", {
    resourceSpans: [{ scopeSpans: [{ spans: [{ attributes: attributes({ result: text }) }] }] }],
  });
  const found = redactRequest("traces", bytes, policy).bytes;
  expect(Buffer.from(found).includes("hunter2")).toBe(false);
});

test("a value goes on behind a byte that is white space in other encodings, and behind a NUL", () => {
  const masked = "password=[REDACTED:secret]";
  expect(redactText("password=pàssw0rd", policy).text).toBe(masked);
  expect(redactText("password=hunterà2secret now", policy).text).toBe(`${masked} now`);
  expect(redactText("password=hunter\0two", policy).text).toBe(masked);
  expect(redactText('password="\0hunter2"', policy).text).toBe('password="[REDACTED:secret]"');
  expect(redactText("dob \0 1961-04-12", policy).text).toBe("dob \0 [REDACTED:date_of_birth]");
  expect(redactText("postgres://app:pàss@db/x", policy).text).toBe(
    "postgres://[REDACTED:url_credentials]@db/x",
  );
});

test("a rule for an attribute reaches into maps and lists of maps as into JSON", () => {
  const rules = [
    { id: "codes", pattern: "Z[0-9]{2}", class: "code", action: "mask", keys: ["arguments"] },
  ];
  const bytes = encodeOtlp("ExportTraceServiceRequest", {
    resourceSpans: [
      {
        scopeSpans: [
          {
            spans: [
              {
                attributes: attributes({
                  arguments: { a: "Z11", b: [{ c: "Z22", d: ["Z33"] }] },
                  other: { a: "Z44" },
                }),
              },
            ],
          },
        ],
      },
    ],
  });
  const result = Buffer.from(redactRequest("traces", bytes, policyOf({ rules })).bytes);
  expect(["Z11", "Z22", "Z33", "Z44"].filter((code) => result.includes(code))).toEqual(["Z44"]);
});

function field(number: number, payload: Uint8Array): Buffer {
  const length = payload.length;
  const size = length < 128 ? [length] : [(length & 127) | 128, length >>> 7];
  const tag = (number << 3) | 2;
  const head = tag < 128 ? [tag] : [(tag & 127) | 128, tag >>> 7];
  return Buffer.concat([Buffer.from([...head, ...size]), payload]);
}

test("texts of every length in unknown messages, whose lengths stay", () => {
  const value = "AKIAIOSFODNN7EXAMPLE";
  for (let at = 0; at < 200; at++) {
    const length = value.length + (at >> 1);
    const text = Buffer.from(`${value} `.padEnd(length, "x.").slice(0, length));
    // Field 14 of a span is a count: with a length it is a field of some other schema.
    const unknown = field(at % 2 === 0 ? 14 : 20, field(3, field(1, text)));
    const before = field(1, field(2, field(2, unknown)));
    const after = Buffer.from(redactRequest("traces", before, policy).bytes);
    expect({ length, leaks: after.includes(value) }).toEqual({ length, leaks: false });
    const starred = Buffer.from(before);
    starred.fill("*", starred.indexOf(value), starred.indexOf(value) + value.length);
    expect(after).toEqual(starred);
  }
});

test("an address after a length that looks like its first letter", () => {
  const text = Buffer.from("jane.doe@example.com".padEnd(0x61, " "));
  const before = field(1, field(2, field(2, field(14, field(3, text)))));
  const after = Buffer.from(redactRequest("traces", before, policy).bytes);
  expect(after.indexOf(0x61)).toBe(before.indexOf(0x61));
  expect(after.includes("doe@")).toBe(false);
});

test("an unknown field beyond the budget is blotted out whole", () => {
  const size = redactionValueBytesMax + 1;
  const payload = Buffer.alloc(size, "\\ ");
  payload.write("jane.doe@example.com", 1000);
  const length = [
    (size & 127) | 128,
    ((size >>> 7) & 127) | 128,
    ((size >>> 14) & 127) | 128,
    size >>> 21,
  ];
  const before = Buffer.concat([Buffer.from([0x7a, ...length]), payload]);
  const after = Buffer.from(redactRequest("traces", before, policy).bytes);
  expect(after.length).toBe(before.length);
  expect(after.subarray(5).equals(Buffer.alloc(size, "*"))).toBe(true);
});

test("any number of values inside one, and of words in a name, is no failure", () => {
  const text = `-----BEGIN PRIVATE KEY-----${"a@b.co ".repeat(200_000)}`;
  expect(redactText(text, policy).text).toBe("[REDACTED:private_key]");
  const phi = [
    {
      match: { tools: ["lookup_patient"], collections: ["patients"] },
      columns: { name: { class: "phi", action: "mask" } },
    },
  ];
  const many = "patients, ".repeat(200_000);
  const bytes = encodeOtlp("ExportTraceServiceRequest", {
    resourceSpans: [
      {
        scopeSpans: [
          {
            spans: [
              {
                name: `execute_tool lookup_patient${" x".repeat(200_000)}`,
                attributes: attributes({
                  "db.query.text": `select * from ${many}x`,
                  "db.query.summary": many,
                  "gen_ai.tool.call.result": '[{"name":"Jane Roe"}]',
                }),
              },
            ],
          },
        ],
      },
    ],
  });
  const after = Buffer.from(redactRequest("traces", bytes, policyOf({ phi })).bytes);
  expect(after.includes("Jane Roe")).toBe(false);
});

test("a repeated tenant makes no tokens of another tenant than the record's", () => {
  const user = { "user.id": "jane.doe@example.com" };
  const tokens = [
    [{ ...user, "tenant.id": "a" }, { "tenant.id": "b" }],
    [{ ...user, "tenant.id": "a" }],
  ].map((parts) => {
    const bytes = encodeOtlp("ExportTraceServiceRequest", {
      resourceSpans: [
        { scopeSpans: [{ spans: [{ attributes: parts.flatMap((part) => attributes(part)) }] }] },
      ],
    });
    const after = Buffer.from(redactRequest("traces", bytes, policy).bytes).toString("latin1");
    return /tok_email_1_[0-9a-f]{32}/.exec(after)![0];
  });
  expect(tokens[0]).toBe(tokens[1]);
});

test("an at sign escaped by its two hexadecimal digits", () => {
  const bytes = encodeOtlp("ExportTraceServiceRequest", {
    resourceSpans: [
      {
        scopeSpans: [
          {
            spans: [{ name: "s", attributes: attributes({ note: "to jane.doe\\x40example.com" }) }],
          },
        ],
      },
    ],
  });
  const { bytes: redacted } = redactRequest("traces", bytes, policyOf());
  expect(Buffer.from(redacted).toString("latin1")).not.toContain("jane.doe");
});
