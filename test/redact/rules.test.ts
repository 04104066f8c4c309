import { expect, test } from "vitest";
import { RuleError } from "../../src/audit/redact/rule-error.ts";
import { requiredLiteral, type RuleConfig } from "../../src/audit/redact/rules.ts";
import { redactRequest } from "../../src/audit/redact/request.ts";
import { redactText } from "../../src/audit/redact/text.ts";
import { encodeOtlp } from "../support/otlp-writer.ts";
import { pepper, policyOf } from "./support.ts";

const employee: RuleConfig = {
  id: "employee",
  pattern: "EMP-\\d{6}",
  class: "employee_id",
  action: "mask",
};

function left(rule: Partial<RuleConfig>, text: string, key?: string): string {
  const policy = policyOf({ packs: [], rules: [{ ...employee, ...rule }] });
  return redactText(text, policy, key === undefined ? {} : { key }).text;
}

test("a rule of the operator hits in text, JSON, escapes and beyond ASCII", () => {
  expect(left({}, "by EMP-123456.")).toBe("by [REDACTED:employee_id].");
  expect(left({}, '{"a":["EMP\\u002d123456"]}')).toBe('{"a":["[REDACTED:employee_id]"]}');
  expect(left({ pattern: "名\\p{Han}+" }, "ü 名前漢字 x")).toBe("ü [REDACTED:employee_id] x");
  expect(left({ pattern: "(?i)emp-\\d{6}" }, "Emp-123456")).toBe("[REDACTED:employee_id]");
});

test("a rule that reaches over keys and values of JSON masks the values", () => {
  const pattern = 'emp[": ]+\\d{6}';
  expect(left({ pattern }, '{"emp": 123456, "x": 1}')).toBe(
    '{"emp": "[REDACTED:employee_id]", "x": 1}',
  );
  expect(left({ pattern }, '{"emp": "123456!", "x": 1}')).toBe(
    '{"emp": "[REDACTED:employee_id]!", "x": 1}',
  );
});

test("keys and context narrow a rule", () => {
  const keyed = { pattern: "\\d{6}", keys: ["employee.id", "badge"] };
  expect(left(keyed, "123456", "employee.id")).toBe("[REDACTED:employee_id]");
  expect(left(keyed, "123456", "other")).toBe("123456");
  expect(left(keyed, '{"badge":"123456","n":"123456"}')).toBe(
    '{"badge":"[REDACTED:employee_id]","n":"123456"}',
  );
  const context = { pattern: "\\b\\d{6}\\b", context: ["badge", "Employee No"] };
  expect(left(context, "badge 123456, employee-no 123457")).toBe(
    "badge [REDACTED:employee_id], employee-no [REDACTED:employee_id]",
  );
  expect(left(context, "order 123456")).toBe("order 123456");
  const abroad = { pattern: "\\b\\d{6}\\b", context: ["Größe", "числа"] };
  const masked = "[REDACTED:employee_id]";
  expect(left(abroad, "größe 123456, Числа: 123457")).toBe(`größe ${masked}, Числа: ${masked}`);
  expect(left(abroad, "123456", "kleider.größe")).toBe(masked);
  expect(left(abroad, "grösse 123456")).toBe("grösse 123456");
});

test("a rule's words are found however JSON spells them", () => {
  const after = (rule: Partial<RuleConfig>, text: string): string => {
    const policy = policyOf({ packs: [], rules: [{ ...employee, ...rule }] });
    const bytes = encodeOtlp("ExportLogsServiceRequest", {
      resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: { stringValue: text } }] }] }],
    });
    const found = Buffer.from(redactRequest("logs", bytes, policy).bytes).toString();
    return found.slice(found.indexOf("{"));
  };
  const masked = '"[REDACTED:employee_id]"}';
  for (const key of ["größe", "姓名", "a/b", 'k"', "n"]) {
    const pure = JSON.stringify({ [key]: "123456" });
    const ascii = pure.replaceAll(
      /[\x80-\uffff]/g,
      (one) => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`,
    );
    for (const text of [pure, ascii, pure.replaceAll("/", "\\/")]) {
      const left = text.replace('"123456"}', masked);
      expect(after({ pattern: "\\d{6}", keys: [key] }, text)).toBe(left);
    }
  }
  expect(after({ pattern: "acct/\\d{6}" }, String.raw`{"a":"acct\/123456"}`)).toBe(
    `{"a":${masked}`,
  );
  expect(after({ pattern: "it's \\d{6}" }, String.raw`{'a':'it\'s 123456'}`)).toBe(
    "{'a':'[REDACTED:employee_id]'}",
  );
});

test("an address is redacted where a rule names its key", () => {
  const policy = policyOf({
    rules: [{ id: "ip", pattern: ".+", class: "ip", action: "mask", keys: ["client.address"] }],
  });
  expect(redactText("10.20.30.40", policy, { key: "client.address" }).text).toBe("[REDACTED:ip]");
  expect(redactText("10.20.30.40", policy, { key: "server.address" }).text).toBe("10.20.30.40");
});

test.each([
  ["mask", "[REDACTED:salary]"],
  ["truncate:2", "47"],
  ["bucket:1000", "47000"],
  ["range:1", "10000-99999"],
  ["range:2", "10000-999999"],
  ["hash", expect.stringMatching(/^hash_salary_1_[0-9a-f]{64}$/)],
  ["tokenize", expect.stringMatching(/^tok_salary_1_[0-9a-f]{32}$/)],
  [["tokenize", "truncate:4"], expect.stringMatching(/^tok_salary_1_[0-9a-f]{4}$/)],
] as const)("action %s", (action, expected) => {
  expect(left({ pattern: "^\\d+$", class: "salary", action }, "47123")).toEqual(expected);
});

test("hits that what was put in makes with its neighbours on both sides become one", () => {
  const body = { stringValue: "630400000000000042371000" };
  const bytes = encodeOtlp("ExportLogsServiceRequest", {
    resourceLogs: [{ scopeLogs: [{ logRecords: [{ body }] }] }],
  });
  const rule = { id: "number", pattern: "\\d{5}", class: "number", action: "bucket:1000" };
  const redacted = redactRequest("logs", bytes, policyOf({ packs: [], rules: [rule] }));
  expect(Buffer.from(redacted.bytes).toString("latin1")).toMatch(/[^\d]6300001000$/);
  expect(redacted.countsByClass).toEqual({ number: 2 });
});

test("a truncation that would leave the value whole is a mask", () => {
  expect(left({ pattern: "^\\w+$", class: "name", action: "truncate:9" }, "Jane")).toBe(
    "[REDACTED:name]",
  );
});

test("rules hit whether their text has a literal to look for or not", () => {
  const request = (text: string): Uint8Array =>
    encodeOtlp("ExportLogsServiceRequest", {
      resourceLogs: [{ scopeLogs: [{ logRecords: [{ body: { stringValue: text } }] }] }],
    });
  const patterns = [
    "EMP-\\d{6}",
    "(?i)emp-\\d{6}",
    "E\\w{2}-\\d{6}",
    "(EMP|XYZ)-\\d{6}",
    "[A-Z]{3}-\\d{6}",
  ];
  for (const pattern of [...patterns, "\\w+\\x2d\\d{6}", "EMP\\-\\d{6}", "E?M?P-\\d{6}"]) {
    const policy = policyOf({ packs: [], rules: [{ ...employee, pattern }] });
    const { countsByClass } = redactRequest("logs", request("by EMP-123456"), policy);
    expect({ pattern, countsByClass }).toEqual({ pattern, countsByClass: { employee_id: 1 } });
  }
});

test.each([
  ["EMP-\\d{6}", ["EMP-"]],
  ["(?:a|b)EMP", undefined],
  ["(ab)?cde", ["cde"]],
  ["(ab(c)d)+efg", ["efg"]],
  ["abc?d", ["ab"]],
  ["ab{0,3}cd", ["cd"]],
  ["a.cd", ["cd"]],
  ["a\\.cd", ["a.cd"]],
  ["[abc]de", ["de"]],
  ["[]ab]cd", ["cd"]],
  ["[^\\]a]cd", ["cd"]],
  ["\\d+", undefined],
  ["(?i)abc", undefined],
  ["\\x41bc", ["bc"]],
  ["ü\\w", undefined],
  ["^abc$", ["abc"]],
  ["ab/cd", ["ab"]],
  ["ab\\/cde", ["cde"]],
  [`ab"cde'f`, ["cde"]],
])("what every match of %s holds", (pattern, literal) => {
  expect(requiredLiteral(pattern)).toEqual(literal);
});

function problem(act: () => unknown): { code: string; path: string; text: string } {
  try {
    act();
  } catch (error) {
    if (error instanceof RuleError)
      return { code: error.code, path: error.path, text: error.message };
    throw error;
  }
  throw new Error("no error");
}

const rule = (changes: Partial<RuleConfig>) => (): unknown =>
  policyOf({
    rules: [
      { ...employee, id: "first" },
      { ...employee, ...changes },
    ],
  });

test.each([
  [rule({ pattern: "(?=a)b" }), "bad_pattern", "redaction.rules[1].pattern", /look-ahead/],
  [rule({ pattern: "(?<!a)b" }), "bad_pattern", "redaction.rules[1].pattern", /look-behind/],
  [rule({ pattern: "(a)\\1" }), "bad_pattern", "redaction.rules[1].pattern", /back-references/],
  [rule({ pattern: "(" }), "bad_pattern", "redaction.rules[1].pattern", /rule "employee".*RE2/],
  [rule({ pattern: "a*" }), "bad_pattern", "redaction.rules[1].pattern", /empty/],
  [rule({ class: "a b" }), "bad_rule", "redaction.rules[1].class", /a b/],
  [rule({ id: "first" }), "bad_rule", "redaction.rules[1].id", /first/],
  [rule({ action: "blur" }), "bad_action", "redaction.rules[1].action", /blur.*use mask/],
  [rule({ action: "truncate" }), "bad_action", "redaction.rules[1].action", /truncate:n/],
  [
    rule({ action: ["mask", "truncate:2"] }),
    "bad_action",
    "redaction.rules[1].action",
    /no effect/,
  ],
  [
    rule({ action: ["tokenize", "bucket:2"] }),
    "bad_action",
    "redaction.rules[1].action",
    /meaning/,
  ],
  [rule({ action: ["tokenize", "truncate:33"] }), "bad_action", "redaction.rules[1].action", /33/],
  [rule({ action: "range:16" }), "bad_action", "redaction.rules[1].action", /from 1 to 15/],
  [
    rule({ class: "ssn", action: "hash" }),
    "small_domain",
    "redaction.rules[1].action",
    /at most 5/,
  ],
  [
    rule({ class: "us_ssn", action: "tokenize" }),
    "small_domain",
    "redaction.rules[1].action",
    /truncate:5/,
  ],
  [
    rule({ class: "mrn", action: "tokenize" }),
    "small_domain",
    "redaction.rules[1].action",
    /at most 4/,
  ],
  [
    rule({ class: "phone", action: "hash" }),
    "small_domain",
    "redaction.rules[1].action",
    /at most/,
  ],
  [
    rule({ class: "email", action: "hash" }),
    "small_domain",
    "redaction.rules[1].action",
    /at most/,
  ],
  [
    rule({ class: "mrn", action: ["tokenize", "truncate:5"] }),
    "small_domain",
    "redaction.rules[1].action",
    /too wide.*at most 4/,
  ],
  [
    () => policyOf({ packs: ["core", "eu"] }),
    "pack_not_available",
    "redaction.packs[1]",
    /core, secrets and us/,
  ],
  [
    () => policyOf({ packs: ["cores"] }),
    "unknown_pack",
    "redaction.packs[0]",
    /core, secrets and us/,
  ],
  [
    () => policyOf({ pepper: { id: "1", key: new Uint8Array(8) } }),
    "bad_pepper",
    "keys.pepper",
    /8 bytes/,
  ],
  [
    () => policyOf({ phi: [{ match: {}, columns: { a: { class: "phi", action: "mask" } } }] }),
    "bad_table",
    "phi.tables[0].match",
    /tool or a collection/,
  ],
  [
    () =>
      policyOf({
        phi: [
          {
            match: { tools: ["t"] },
            subject: "b",
            columns: { a: { class: "phi", action: "mask" } },
          },
        ],
      }),
    "bad_table",
    "phi.tables[0].subject",
    /"b"/,
  ],
  [
    () =>
      policyOf({
        phi: [{ match: { tools: ["t"] }, columns: { a: { class: "mrn", action: "hash" } } }],
      }),
    "small_domain",
    "phi.tables[0].columns.a.action",
    /at most 4/,
  ],
] as const)(
  "a bad configuration is refused with code, path and remedy (%#)",
  (act, code, path, text) => {
    expect(problem(act)).toEqual({ code, path, text: expect.stringMatching(text) as string });
  },
);

test("the allowed widths are accepted", () => {
  for (const [what, width] of [
    ["ssn", 5],
    ["mrn", 4],
    ["phone", 6],
    ["email", 6],
  ] as const) {
    const action = ["tokenize", `truncate:${width}`];
    expect(() => policyOf({ rules: [{ ...employee, class: what, action }] })).not.toThrow();
  }
});

test("findings do not depend on the order of rules that do not overlap", () => {
  const badge = { ...employee, id: "badge", pattern: "B-\\d{4}", class: "badge" };
  const text = "EMP-123456 B-1234";
  const results = [
    [employee, badge],
    [badge, employee],
  ].map((rules) => redactText(text, policyOf({ packs: [], rules, pepper })));
  expect(results[0]).toEqual(results[1]);
});

test("overlapping hits become one; the longest decides, then the first rule", () => {
  const short = { ...employee, id: "short", pattern: "EMP-\\d{2}", class: "short" };
  const twin = { ...employee, id: "twin", class: "twin" };
  const by = (rules: readonly RuleConfig[]): unknown =>
    redactText("EMP-123456", policyOf({ packs: [], rules })).findings.map((one) => one.rule);
  expect(by([short, employee])).toEqual(["employee"]);
  expect(by([employee, short])).toEqual(["employee"]);
  expect(by([twin, employee])).toEqual(["twin"]);
  expect(by([employee, twin])).toEqual(["employee"]);
  const across = { ...employee, id: "across", pattern: "\\d{6} and more", class: "across" };
  expect(
    redactText("EMP-123456 and more", policyOf({ packs: [], rules: [employee, across] })).text,
  ).toBe("[REDACTED:across]");
});
