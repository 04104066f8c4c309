import {
  array,
  assert,
  boolean,
  constantFrom,
  dictionary,
  letrec,
  nat,
  oneof,
  property,
  tuple,
} from "fast-check";
import { expect, test } from "vitest";
import { redactRequest } from "../../src/audit/redact/request.ts";
import { redactionHitsMax, redactionJsonValuesMax } from "../../src/limits.ts";
import { redactText } from "../../src/audit/redact/text.ts";
import type { RedactionPolicy } from "../../src/audit/redact/policy.ts";
import { anyValue, encodeOtlp, type Plain } from "../support/otlp-writer.ts";
import { decode, policyOf } from "./support.ts";

const policy = policyOf();
const mail = "jane.doe@example.com";

function spanOf(attributes: readonly Plain[], more: Plain = {}): Uint8Array {
  return encodeOtlp("ExportTraceServiceRequest", {
    resourceSpans: [{ scopeSpans: [{ spans: [{ name: "s", attributes, ...more }] }] }],
  });
}

function attributesAfter(attributes: readonly Plain[], by: RedactionPolicy = policy): unknown {
  const { bytes } = redactRequest("traces", spanOf(attributes), by);
  const request = decode("traces", bytes) as {
    resourceSpans: { scopeSpans: { spans: { attributes?: unknown }[] }[] }[];
  };
  return request.resourceSpans[0]!.scopeSpans[0]!.spans[0]!.attributes;
}

const of = (key: string, value: unknown): Plain => ({ key, value: anyValue(value) });

test("lists and maps keep their types at every depth", () => {
  const tree = (text: string): Plain =>
    of("k", { list: [text, true, { deep: [{ x: text }] }], [text]: false });
  expect(attributesAfter([tree(mail)])).toEqual([tree("[REDACTED:email]")]);
});

test("what a key says holds for the member of a map that carries the value", () => {
  const secret = "[REDACTED:secret]";
  const rows: readonly (readonly [string, unknown, unknown])[] = [
    ["password", { value: "hunter2", set: true }, { value: secret, set: true }],
    ["db.password", { old: "hunter2", new: "x y z" }, { old: secret, new: secret }],
    [
      "login",
      { user: "jd", apiKey: { value: "s3cr3t-9" } },
      { user: "jd", apiKey: { value: secret } },
    ],
    ["password", { values: [{ text: "hunter2" }] }, { values: [{ text: secret }] }],
    ["patient.ssn", { value: "536904399" }, { value: "[REDACTED:us_ssn]" }],
    ["mrn", { value: "0042371" }, { value: "[REDACTED:mrn]" }],
    [
      "password",
      { type: "string", description: "of the user" },
      { type: "string", description: "of the user" },
    ],
  ];
  for (const [key, value, after] of rows) {
    expect(attributesAfter([of(key, value)])).toEqual([of(key, after)]);
    const written = JSON.stringify({ [key]: value });
    const text = attributesAfter([of("k", written)]) as { value: { stringValue: string } }[];
    expect(JSON.parse(text[0]!.value.stringValue)).toEqual({ [key]: after });
    const inside = attributesAfter([of(key, JSON.stringify(value))]) as typeof text;
    expect(JSON.parse(inside[0]!.value.stringValue)).toEqual(after);
  }
});

test("a number at the end of a span's name is told from the kind and the times behind it", () => {
  const times = { startTimeUnixNano: 1_790_000_000_000_000_000n, endTimeUnixNano: 1_790_000_001n };
  const rows = [
    ["ssn 536904390", "ssn [REDACTED:us_ssn]"],
    ["pay 4111111111111111", "pay [REDACTED:payment_card]"],
    ["call +44207946", "call [REDACTED:phone]"],
    ["chat claude-sonnet-4-20250514", "chat claude-sonnet-4-20250514"],
    ["chat gpt-4o-2024-08-06", "chat gpt-4o-2024-08-06"],
  ] as const;
  for (const [name, after] of rows) {
    for (let kind = 0; kind <= 5; kind++) {
      const { bytes } = redactRequest("traces", spanOf([], { name, kind, ...times }), policy);
      const { resourceSpans } = decode("traces", bytes) as {
        resourceSpans: { scopeSpans: { spans: { name: string }[] }[] }[];
      };
      expect(resourceSpans[0]!.scopeSpans[0]!.spans[0]!.name).toBe(after);
    }
  }
});

test("a tag of a number that is longer than it needs to be hides nothing", () => {
  const plain = encodeOtlp("KeyValue", of("card", 4111111111111111n));
  const number = plain.indexOf(0x18);
  for (const tag of [
    [0x98, 0x00],
    [0x98, 0x80, 0x00],
    [0x98, 0x80, 0x80, 0x80, 0x00],
  ]) {
    const value = [...tag, ...plain.subarray(number + 1)];
    const attribute = [0x0a, 4, ...Buffer.from("card"), 0x12, value.length, ...value];
    const { bytes } = redactRequest("traces", around(attribute), policy);
    expect(JSON.stringify(decode("traces", bytes))).toContain("[REDACTED:payment_card]");
  }
});

/** A request whose resource has the attribute. */
function around(attribute: readonly number[]): Uint8Array {
  const resource = [0x0a, attribute.length, ...attribute];
  const resourceSpans = [0x0a, resource.length, ...resource];
  return Uint8Array.from([0x0a, resourceSpans.length, ...resourceSpans]);
}

test("integers and doubles that are cards, SSNs and telephone numbers become masked strings", () => {
  const rows: readonly (readonly [string, unknown, string])[] = [
    ["n", 4111111111111111n, "[REDACTED:payment_card]"],
    ["ssn", 536904399, "[REDACTED:us_ssn]"],
    ["patient.ssn", 78051120, "[REDACTED:us_ssn]"],
    ["phone", 4155552671n, "[REDACTED:phone]"],
    ["dob", 19610412, "[REDACTED:date_of_birth]"],
    ["mrn", 42371, "[REDACTED:mrn]"],
    ["password", 123456, "[REDACTED:secret]"],
  ];
  for (const [key, value, stringValue] of rows) {
    expect(attributesAfter([of(key, value)])).toEqual([{ key, value: { stringValue } }]);
  }
  const double = { key: "n", value: { doubleValue: 4111111111111111 } };
  const stringValue = "[REDACTED:payment_card]";
  expect(attributesAfter([double])).toEqual([{ key: "n", value: { stringValue } }]);
});

test("integers that are times, ids and counts stay", () => {
  const numbers = [1790000000, 1790000000000, 1790000000000000n, 1790000000123456789n, 512, -1n];
  for (const value of [...numbers, 536904399, 4155552671n, 9007199254740993n]) {
    const bytes = spanOf([of("k", value)]);
    expect(redactRequest("traces", bytes, policy).bytes).toBe(bytes);
  }
});

test("bytes with text become a string, bytes that are no text are masked whole", () => {
  expect(attributesAfter([of("k", Buffer.from(`to ${mail}!`))])).toEqual([
    { key: "k", value: { stringValue: "to [REDACTED:email]!" } },
  ]);
  const mixed = Buffer.concat([Buffer.from([0xff, 0x00]), Buffer.from(` ${mail} `)]);
  expect(attributesAfter([of("k", mixed)])).toEqual([
    { key: "k", value: { stringValue: "[REDACTED:email]" } },
  ]);
});

test("invalid UTF-8 never lets a value slip through, and the other bytes stay", () => {
  for (const bad of [[0xff], [0xc3], [0xe2, 0x80], [0xf0, 0x9f, 0x98], [0xed, 0xa0, 0x80]]) {
    const text = (middle: string): Buffer =>
      Buffer.concat([Buffer.from(bad), Buffer.from(` ${middle} `), Buffer.from(bad)]);
    const tree = (middle: string): Plain => ({
      resourceSpans: [{ scopeSpans: [{ spans: [{ name: text(middle) }] }] }],
    });
    const encode = (middle: string): Uint8Array =>
      encodeOtlp("ExportTraceServiceRequest", tree(middle));
    const result = redactRequest("traces", encode(mail), policy);
    expect(Buffer.from(result.bytes)).toEqual(Buffer.from(encode("[REDACTED:email]")));
  }
});

test("what was UTF-8 stays UTF-8, however long the value is and whatever stands beside it", () => {
  const piece = constantFrom(mail, "password=", "à", "日", "😀", "x", " ", '"', "@", ".", "\u00a0");
  const run = tuple(piece, nat(30)).map(([text, count]) => text.repeat(count));
  assert(
    property(array(run, { maxLength: 5 }), (runs) => {
      const text = runs.join("");
      const left = redactText(text, policy).text;
      expect(left).not.toContain("\ufffd");
      expect(attributesAfter([of("k", text)])).toEqual([of("k", left)]);
    }),
    { numRuns: 2000 },
  );
});

test("all copies of a duplicate key", () => {
  expect(attributesAfter([of("k", "a@b.io"), of("k", "c@d.io"), of("k", "clean")])).toEqual([
    { key: "k", value: { stringValue: "[REDACTED:email]" } },
    { key: "k", value: { stringValue: "[REDACTED:email]" } },
    { key: "k", value: { stringValue: "clean" } },
  ]);
});

test("unknown fields are kept, and overwritten in place where they hold a value", () => {
  const unknown = (text: string): Buffer => {
    const inner = Buffer.concat([Buffer.from([0x0a, text.length]), Buffer.from(text)]);
    return Buffer.concat([
      Buffer.from([0xfa, 0x07, inner.length]),
      inner,
      Buffer.from([0xf8, 0x07, 5]),
    ]);
  };
  const request = (text: string): Buffer => {
    const span = Buffer.concat([Buffer.from([0x2a, 1, 0x73]), unknown(text)]);
    const scope = Buffer.concat([Buffer.from([0x12, span.length]), span, unknown(text)]);
    const resource = Buffer.concat([Buffer.from([0x12, scope.length]), scope, unknown(text)]);
    return Buffer.concat([Buffer.from([0x0a, resource.length]), resource, unknown(text)]);
  };
  const text = `to ${mail}`;
  const { bytes, countsByClass } = redactRequest("traces", request(text), policy);
  expect(Buffer.from(bytes)).toEqual(request(`to ${"*".repeat(mail.length)}`));
  expect(countsByClass).toEqual({ email: 4 });
  const clean = request("nothing here");
  expect(redactRequest("traces", clean, policy).bytes).toBe(clean);
});

test("a redacted neighbour leaves unknown fields byte for byte", () => {
  const unknown = Buffer.from([0xfa, 0x07, 3, 1, 2, 3, 0xf9, 0x07, 1, 2, 3, 4, 5, 6, 7, 8]);
  const span = Buffer.concat([
    unknown,
    Buffer.from([0x2a, mail.length]),
    Buffer.from(mail),
    unknown,
  ]);
  const scope = Buffer.concat([Buffer.from([0x12, span.length]), span]);
  const resource = Buffer.concat([Buffer.from([0x12, scope.length]), scope]);
  const request = Buffer.concat([Buffer.from([0x0a, resource.length]), resource]);
  const after = Buffer.from(redactRequest("traces", request, policy).bytes);
  expect(after.toString("latin1").split(unknown.toString("latin1"))).toHaveLength(3);
  expect(after.includes("[REDACTED:email]")).toBe(true);
});

test("trace ids, span ids and times are left alone, whatever bytes they hold", () => {
  const digits = Buffer.from("4111111111111111");
  const bytes = spanOf([], { traceId: digits, spanId: digits.subarray(0, 8) });
  expect(redactRequest("traces", bytes, policy).bytes).toBe(bytes);
});

const json = letrec((tie) => ({
  value: oneof(
    { depthSize: "small", withCrossShrink: true },
    constantFrom(mail, "4111 1111 1111 1111", 4111111111111111, "clean", 'quo"te\n\\', 7, null),
    boolean(),
    array(tie("value"), { maxLength: 4 }),
    dictionary(constantFrom("a", "b", "card", "na\\me", mail), tie("value"), { maxKeys: 4 }),
  ),
}));

/** What ought to become of parsed JSON. */
function expected(value: unknown): unknown {
  if (value === mail) return "[REDACTED:email]";
  if (value === "4111 1111 1111 1111" || value === 4111111111111111) {
    return "[REDACTED:payment_card]";
  }
  if (Array.isArray(value)) return value.map(expected);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, one]) => [
      key === mail ? "[REDACTED:email]" : key,
      expected(one),
    ]),
  );
}

test("JSON in a string stays JSON of the same shape, also escaped twice and with \\u escapes", () => {
  const unicode = (text: string): string =>
    text.replaceAll("@", "\\u0040").replaceAll("4111 ", "\\u00341\\u00311 ");
  assert(
    property(json.value, boolean(), constantFrom(0, 1, 2), (value, escaped, levels) => {
      let text = JSON.stringify({ value });
      if (escaped) text = unicode(text);
      for (let level = 0; level < levels; level++) text = JSON.stringify({ level, inner: text });
      let after: unknown = JSON.parse(redactText(text, policy).text);
      for (let level = 0; level < levels; level++) {
        after = JSON.parse((after as { inner: string }).inner);
      }
      expect(after).toEqual({ value: expected(value) });
    }),
    { numRuns: 500 },
  );
});

test("clean JSON is returned letter by letter", () => {
  const text = '{ "a" : [1, 2.50, -0, 1e5],"b":{"\\u00e9":null} , "c":"x@y" }\n';
  expect(redactText(text, policy)).toEqual({ text, findings: [] });
});

test("JSON that a limit cut off, and several JSON texts in one, are redacted too", () => {
  expect(redactText(`{"to":"${mail}","x":"un`, policy).text).toBe(
    '{"to":"[REDACTED:email]","x":"un',
  );
  expect(redactText(`{"n":4111111111111111}\n{"to":"${mail}"}\n`, policy).text).toBe(
    '{"n":"[REDACTED:payment_card]"}\n{"to":"[REDACTED:email]"}\n',
  );
  expect(redactText(`{'to': '${mail}', 'n': 4111111111111111, 'x': None}`, policy).text).toBe(
    "{'to': '[REDACTED:email]', 'n': \"[REDACTED:payment_card]\", 'x': None}",
  );
});

test.each([
  ['{"n":4111111111111111.0}', '{"n":"[REDACTED:payment_card]"}'],
  ['{"n":4.111111111111111e15}', '{"n":"[REDACTED:payment_card]"}'],
  ['{"n":4.111111111111111E+15}', '{"n":"[REDACTED:payment_card]"}'],
  ['{"ssn":2.19099998e8}', '{"ssn":"[REDACTED:us_ssn]"}'],
  ['{"n":4111111111111111.5}', '{"n":4111111111111111.5}'],
  ['{"n":4.111111111111111e14}', '{"n":4.111111111111111e14}'],
  ['{"n":4.111111111111111e999}', '{"n":4.111111111111111e999}'],
  ['{"n":0.4111111111111111}', '{"n":0.4111111111111111}'],
])("a number that JSON writes with a point or an exponent: %s", (text, left) => {
  expect(redactText(text, policy).text).toBe(left);
  expect(attributesAfter([of("k", text)])).toEqual([of("k", left)]);
});

test("an SSN that has lost its leading zeros as a number", () => {
  for (const number of [78_051_121, 1_234_567]) {
    const masked = { stringValue: "[REDACTED:us_ssn]" };
    expect(attributesAfter([of("ssn", number)])).toEqual([{ key: "ssn", value: masked }]);
    expect(attributesAfter([of("k", `{"ssn":${number}}`)])).toEqual([
      of("k", '{"ssn":"[REDACTED:us_ssn]"}'),
    ]);
  }
  expect(redactText("1234567", policy, { key: "order" }).text).toBe("1234567");
});

test("what a key says holds also where JSON writes the key in escapes", () => {
  const text = String.raw`{"passw\u006frd":"hunter2"}`;
  const left = String.raw`{"passw\u006frd":"[REDACTED:secret]"}`;
  expect(attributesAfter([of("k", text)])).toEqual([of("k", left)]);
  const twice = JSON.stringify({ inner: text });
  expect(attributesAfter([of("k", twice)])).toEqual([of("k", JSON.stringify({ inner: left }))]);
});

test("JSON nested deeper than the limit is redacted as text", () => {
  const text = `${"[".repeat(200)}"${mail}"${"]".repeat(200)}`;
  expect(redactText(text, policy).text).toBe(text.replace(mail, "[REDACTED:email]"));
});

test("JSON in strings beyond the limit is masked whole, never passed", () => {
  let text = `{"to":"${mail}"}`;
  for (let level = 0; level < 12; level++) text = JSON.stringify([text]);
  const after = redactText(text, policy).text;
  expect(after).not.toContain("jane");
  expect(after).toContain("[REDACTED:unexamined]");
  expect(() => JSON.parse(after) as unknown).not.toThrow();
});

test("a value beyond its budget is masked whole, never passed", () => {
  const bytes = spanOf([of("k", `${"x".repeat(17 * 1024 * 1024)} ${mail}`)]);
  const result = redactRequest("traces", bytes, policy);
  expect(Buffer.from(result.bytes).includes("jane")).toBe(false);
  expect(result.bytes.length).toBeLessThan(100);
  expect(result.countsByClass).toEqual({ unexamined: 1 });
});

test.each([
  ["values of JSON", `["${mail}"${",1".repeat(redactionJsonValuesMax)}]`],
  ["hits", `${mail} `.repeat(redactionHitsMax + 1)],
  ["hits, escaped", String.raw`jane\u0040example.com `.repeat(redactionHitsMax + 1)],
])("more %s than are looked at one by one are masked together", (_, text) => {
  expect(redactText(text, policy).text).toBe("[REDACTED:unexamined]");
});

test("drop removes attributes, list elements and members, and masks where nothing can go", () => {
  const rules = [{ id: "e", pattern: "EMP-\\d{6}", class: "employee", action: "drop" }];
  const dropping = policyOf({ packs: [], rules });
  const hit = "by EMP-123456";
  expect(attributesAfter([of("a", 1), of("b", hit), of("c", [hit, "x", hit])], dropping)).toEqual([
    { key: "a", value: { intValue: "1" } },
    { key: "c", value: { arrayValue: { values: [{ stringValue: "x" }] } } },
  ]);
  expect(redactText(`{"a":"${hit}","b":["${hit}",1,"${hit}"],"c":"${hit}"}`, dropping).text).toBe(
    '{"b":[1]}',
  );
  expect(redactText(`["${hit}"]`, dropping).text).toBe("[]");
  const span = redactRequest("traces", spanOf([], { name: hit }), dropping);
  expect(Buffer.from(span.bytes).includes("by [REDACTED:employee]")).toBe(true);
});

test("redaction off returns the very same bytes", () => {
  const off = policyOf({ packs: [] });
  expect(off.off).toBe(true);
  const bytes = spanOf([of("k", mail)]);
  const result = redactRequest("traces", bytes, off);
  expect(result.bytes).toBe(bytes);
  expect([result.items.size, result.scopes.size, result.resources.size]).toEqual([0, 0, 0]);
  expect(result.countsByClass).toEqual({});
});

test("redacting a redacted request changes nothing", () => {
  const bytes = spanOf([
    of("user.id", mail),
    of("k", [mail, 4111111111111111n, `{"ssn":"536-90-4399"}`]),
  ]);
  const once = redactRequest("traces", bytes, policy).bytes;
  expect(redactRequest("traces", once, policy).bytes).toBe(once);
});

test("the tenant of a token comes from item, scope, resource, default", () => {
  const tenanted = policyOf({ tenant: { from: ["team"], default: "none" } });
  const token = (
    resource: readonly Plain[],
    scope: readonly Plain[],
    span: readonly Plain[],
  ): string => {
    const bytes = encodeOtlp("ExportTraceServiceRequest", {
      resourceSpans: [
        {
          resource: { attributes: resource },
          scopeSpans: [
            {
              scope: { attributes: scope },
              spans: [{ attributes: [...span, of("user.id", mail)] }],
            },
          ],
        },
      ],
    });
    const after = Buffer.from(redactRequest("traces", bytes, tenanted).bytes).toString("latin1");
    return /tok_email_1_[0-9a-f]{32}/.exec(after)![0];
  };
  const text = (tenant?: string): string =>
    redactText(mail, tenanted, { key: "user.id", ...(tenant === undefined ? {} : { tenant }) })
      .text;
  const [a, b, c] = [[of("team", "a")], [of("team", "b")], [of("team", "c")]];
  expect(token(a, b, c)).toBe(text("c"));
  expect(token(a, b, [])).toBe(text("b"));
  expect(token(a, [], [])).toBe(text("a"));
  expect(token([], [], [])).toBe(text());
  expect(new Set([text("a"), text("b"), text("c"), text()]).size).toBe(4);
});

test("a value right after an escape in JSON, and right before the next field, is found", () => {
  for (const escape of ["\\n", "\\t", "\\u4e2d", '\\"']) {
    const text = `{"a":"x${escape}4111111111111111"}`;
    expect(attributesAfter([of("k", text), of("l", "m")])).toEqual([
      of("k", `{"a":"x${escape}[REDACTED:payment_card]"}`),
      of("l", "m"),
    ]);
  }
});

test("what a mask uncovers beside it is masked as well", () => {
  expect(redactText(`${mail}4111111111111111`, policy).text).toBe(
    "[REDACTED:email][REDACTED:payment_card]",
  );
});
