/** What looks like a mask or a token is one only where this policy may have written it. */
import { expect, test } from "vitest";
import { compileRedaction } from "../../src/audit/redact/policy.ts";
import { redactText } from "../../src/audit/redact/text.ts";

const pepper = { id: "a1b2c3d4", key: new Uint8Array(32).fill(7) };
const policy = compileRedaction({ packs: ["core", "secrets", "us"], rules: [], phi: [], pepper });

test("a value between a mask's brackets is redacted", () => {
  const { text } = redactText("[REDACTED:4111111111111111] [REDACTED:536-22-8726]", policy);
  expect(text).not.toContain("4111111111111111");
  expect(text).not.toContain("536-22-8726");
});

test("a value in the place of a token's class is redacted", () => {
  const { text } = redactText(`tok_4111111111111111_${pepper.id}_00ff`, policy);
  expect(text).not.toContain("4111111111111111");
});

test.each(["[REDACTED:email]", "[REDACTED:unexamined]", `tok_email_${pepper.id}_00ff`])(
  "%s is left as it is",
  (text) => expect(redactText(text, policy)).toEqual({ text, findings: [] }),
);

test("a token that a sender made of digits is looked at like any text", () => {
  for (const value of ["536904399", "4111111111111111"]) {
    const made = `ssn tok_us_ssn_${pepper.id}_${value} ssn hash_email_${pepper.id}_${value}`;
    expect(redactText(made, policy).text).not.toContain(value);
  }
});

test("a short token of digits alone is left where a rule writes such", () => {
  const keyed = compileRedaction({
    packs: ["core", "us"],
    rules: [{ id: "mrn", pattern: "MRN-\\d{7}", class: "mrn", action: ["tokenize", "truncate:4"] }],
    phi: [],
    pepper,
  });
  const text = `mrn tok_mrn_${pepper.id}_4711`;
  expect(redactText(text, keyed)).toEqual({ text, findings: [] });
  for (let number = 0; number < 300; number++) {
    const once = redactText(`see MRN-${4_000_000 + number}`, keyed).text;
    expect(redactText(once, keyed).text).toBe(once);
  }
});
