import { expect, test } from "vitest";
import { redactText } from "../../src/audit/redact/text.ts";
import { policyOf } from "./support.ts";

const policy = policyOf({
  rules: [
    { id: "nested", pattern: "(a|aa)+$x|(?:x+x+)+y", class: "c", action: "mask" },
    { id: "plain", pattern: "EMP-\\d{6}", class: "employee", action: "mask" },
  ],
});

/** What makes matchers that backtrack or look back take their time. */
const adversarial: Readonly<Record<string, string>> = {
  "at signs": "@",
  "local parts": "a@",
  "domains without an end": "a@a.",
  "dots before an at sign": "a.a.a.a@",
  "long domain": "@a-",
  digits: "4",
  "digits and spaces": "4 ",
  "digits and hyphens": "41-",
  "four by four": "4111 ",
  "no card": "4111 1111 1111 1112 ",
  cards: "4111111111111111 ",
  ssn: "536-90-",
  "ssn words": "ssn 536904399 ",
  phones: "(415) 555-",
  "plus signs": "+1 (4",
  dots: "1.2.3.",
  colons: "a:",
  "double colons": "::",
  "IBAN heads": "GB82 ",
  "birth words": "born ",
  "birth words and digits": "dob 1 ",
  "mrn words": "mrn ",
  "AWS keys": "AKIA",
  base64: "aB3/",
  "GitHub tokens": "ghp_",
  "Slack tokens": "xoxb-1",
  "JWT heads": "eyJ",
  "JWT segments": "eyJh.",
  "PEM begins": "-----BEGIN RSA PRIVATE KEY-----",
  "bearer words": "bearer ",
  "bearer without an end": "bearer a",
  "basic words": "basic aaaa ",
  "URL beginnings": "://a:",
  "password words": "password=",
  "password words and spaces": "password = ",
  quotes: 'password="',
  elements: "<password>",
  "elements that are none": "<password> and so on ",
  "elements that are closed": "<password>hunter2 and so on </",
  sections: "<password><![CDATA[",
  "sections of placeholders": "<password><![CDATA[$",
  "elements without an end": "<password a ",
  "token words": "token: x ",
  "token words and variables": "token=$",
  "harmless token words": "next_token=",
  "quoted variables": 'token="$',
  "masks and addresses": "[REDACTED] a@b.co ",
  backslashes: "\\",
  escapes: "\\u0040",
  percent: "%25",
  "percent escapes": "%40",
  brackets: "[",
  "JSON strings": '{"a":',
  "full-width": "\uff14",
  invisible: "\u200b4",
  masks: "[REDACTED:x]",
  "token prefixes": "tok_a_",
  "rule one": "a",
  "rule two": "x",
  spaces: " ",
};

function cpuMicroseconds(text: string): number {
  const start = process.cpuUsage();
  redactText(text, policy);
  const { user, system } = process.cpuUsage(start);
  return user + system;
}

/** Ten times the text may take forty times as long; a quadratic matcher takes a hundred. */
const growthMax = 40;
/** Below this the clock says little. */
const floorMicroseconds = 20_000;

test.each(Object.entries(adversarial))("linear in %s", (_, unit) => {
  const small = unit.repeat(Math.ceil(100_000 / unit.length));
  const large = unit.repeat(Math.ceil(1_000_000 / unit.length));
  cpuMicroseconds(small);
  const before = cpuMicroseconds(small);
  const after = cpuMicroseconds(large);
  expect(after).toBeLessThan(growthMax * Math.max(before, floorMicroseconds));
});
