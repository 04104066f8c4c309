import { describe, expect, test } from "vitest";
import { redactText } from "../../src/audit/redact/text.ts";
import { policyOf } from "./support.ts";

const policy = policyOf();

/** Each text with what is left of it; a key where it is the value of one. */
type Row = readonly [text: string, left: string, key?: string];

const positives: Readonly<Record<string, readonly Row[]>> = {
  email: [
    ["jane.doe@example.com", "[REDACTED:email]"],
    ["mail <jane+tag@sub.example.co.uk>.", "mail <[REDACTED:email]>."],
    ["mailto:o_neil-x@example.museum?subject=hi", "mailto:[REDACTED:email]?subject=hi"],
    ["JANE@EXAMPLE.COM", "[REDACTED:email]"],
    ["a@b.io,c@d.org", "[REDACTED:email],[REDACTED:email]"],
    ["jürgen@müller.de", "[REDACTED:email]"],
    ["jane%40example.com", "[REDACTED:email]"],
    ["jane%2540example.com", "[REDACTED:email]"],
    ["jane\\u0040example.com", "[REDACTED:email]"],
    ["jane\\\\u0040example.com", "[REDACTED:email]"],
    ["jane\uff20example.com", "[REDACTED:email]"],
    ["jane\u200b@example.com", "[REDACTED:email]"],
  ],
  us_ssn: [
    ["536-90-4399", "[REDACTED:us_ssn]"],
    ["536 90 4399", "[REDACTED:us_ssn]"],
    ["536\u201190\u20114399", "[REDACTED:us_ssn]"],
    ["ssn 536904399", "ssn [REDACTED:us_ssn]"],
    ["social security number: 536904399", "social security number: [REDACTED:us_ssn]"],
    ["536904399", "[REDACTED:us_ssn]", "patient.ssn"],
    ["SSN 078-05-1120", "SSN [REDACTED:us_ssn]"],
    ['{"ssn":"078-05-1120"}', '{"ssn":"[REDACTED:us_ssn]"}'],
    ['{"ssn": 78051120}', '{"ssn": "[REDACTED:us_ssn]"}'],
  ],
  payment_card: [
    ["4111 1111 1111 1111", "[REDACTED:payment_card]"],
    ["4111-1111-1111-1111", "[REDACTED:payment_card]"],
    ["4111111111111111", "[REDACTED:payment_card]"],
    ["4222222222222", "[REDACTED:payment_card]"],
    ["378282246310005", "[REDACTED:payment_card]"],
    ["3782 822463 10005", "[REDACTED:payment_card]"],
    ["5555555555554444", "[REDACTED:payment_card]"],
    ["2223003122003222", "[REDACTED:payment_card]"],
    ["6011111111111117", "[REDACTED:payment_card]"],
    ["30569309025904", "[REDACTED:payment_card]"],
    ["3530111333300000", "[REDACTED:payment_card]"],
    ["card_4111111111111111", "card_[REDACTED:payment_card]"],
    ["4012888888881881 4111111111111111", "[REDACTED:payment_card] [REDACTED:payment_card]"],
    ["12 4111 1111 1111 1111", "12 [REDACTED:payment_card]"],
    ["4111\u00a01111\u00a01111\u00a01111", "[REDACTED:payment_card]"],
    ["\uff14\uff11\uff11\uff11 1111 1111 1111", "[REDACTED:payment_card]"],
    ["4111%201111%201111%201111", "[REDACTED:payment_card]"],
    ["4111\\u20111111\\u20111111\\u20111111", "[REDACTED:payment_card]"],
  ],
  phone: [
    ["(415) 555-2671", "[REDACTED:phone]"],
    ["415-555-2671", "[REDACTED:phone]"],
    ["415.555.2671", "[REDACTED:phone]"],
    ["+1 415 555 2671", "[REDACTED:phone]"],
    ["1-415-555-2671", "[REDACTED:phone]"],
    ["call 4155552671", "call [REDACTED:phone]"],
    ["4155552671", "[REDACTED:phone]", "customer.phoneNumber"],
    ["+4930901820555", "[REDACTED:phone]"],
    ["+44 20 7946 0958", "[REDACTED:phone]"],
    ["+33 (0)1 23 45 67 89", "[REDACTED:phone]"],
  ],
  ip_address: [
    ["10.20.30.40", "[REDACTED:ip_address]"],
    ["http://192.0.2.17:8080/x", "http://[REDACTED:ip_address]:8080/x"],
    ["from 203.0.113.9.", "from [REDACTED:ip_address]."],
    ["2001:db8:85a3:8d3:1319:8a2e:370:7348", "[REDACTED:ip_address]"],
    ["[2001:db8::1]:443", "[[REDACTED:ip_address]]:443"],
    ["fe80::1ff:fe23:4567:890a", "[REDACTED:ip_address]"],
    ["::ffff:192.0.2.128", "::ffff:[REDACTED:ip_address]"],
  ],
  iban: [
    ["DE89370400440532013000", "[REDACTED:iban]"],
    ["DE89 3704 0044 0532 0130 00", "[REDACTED:iban]"],
    ["GB82 WEST 1234 5698 7654 32", "[REDACTED:iban]"],
    ["NL91ABNA0417164300", "[REDACTED:iban]"],
    ["MT84MALT011000012345MTLCAST001S", "[REDACTED:iban]"],
    ["pay NO9386011117947 now", "pay [REDACTED:iban] now"],
  ],
  date_of_birth: [
    ["born 04/12/1961", "born [REDACTED:date_of_birth]"],
    ["DOB: 1961-04-12", "DOB: [REDACTED:date_of_birth]"],
    ["D.O.B. 12.4.1961", "D.O.B. [REDACTED:date_of_birth]"],
    ["date of birth is April 12, 1961.", "date of birth is [REDACTED:date_of_birth]."],
    ["born on 12th April 1961", "born on [REDACTED:date_of_birth]"],
    ["1961-04-12", "[REDACTED:date_of_birth]", "patient.birthDate"],
    ["19610412", "[REDACTED:date_of_birth]", "dob"],
    ["dob 1961-04-12, seen 2026-01-02", "dob [REDACTED:date_of_birth], seen 2026-01-02"],
    ['{"dob":"1961-04-12"}', '{"dob":"[REDACTED:date_of_birth]"}'],
  ],
  mrn: [
    ["MRN-0042371", "MRN-[REDACTED:mrn]"],
    ["mrn: 0042371", "mrn: [REDACTED:mrn]"],
    ["medical record number is A1234567", "medical record number is [REDACTED:mrn]"],
    ["0042371", "[REDACTED:mrn]", "patient.mrn"],
    ['{"mrn":42371000}', '{"mrn":"[REDACTED:mrn]"}'],
  ],
  elements: [
    ["<password>hunter2</password>", "<password>[REDACTED:secret]</password>"],
    [
      '<a><wsse:Password Type="#PasswordText">hunter two</wsse:Password></a>',
      '<a><wsse:Password Type="#PasswordText">[REDACTED:secret]</wsse:Password></a>',
    ],
    [
      "<clientSecret> s3cr3t, &amp; so </clientSecret>",
      "<clientSecret> [REDACTED:secret] </clientSecret>",
    ],
    [
      "<db-password>\n  hunter2\n</db-password>",
      "<db-password>\n  [REDACTED:secret]\n</db-password>",
    ],
    [
      "<API_KEY><![CDATA[k9Xw<31qz]]></API_KEY>",
      "<API_KEY><![CDATA[[REDACTED:secret]]]></API_KEY>",
    ],
    ["<accessToken>k9Xw31qz</accessToken>", "<accessToken>[REDACTED:secret]</accessToken>"],
    [
      "\\u003cpassword\\u003ehunter2\\u003c/password\\u003e",
      "\\u003cpassword\\u003e[REDACTED:secret]\\u003c/password\\u003e",
    ],
    [
      "<password>hunter<!-- two --></password>",
      "<password>[REDACTED:secret]<!-- two --></password>",
    ],
    ["<user>jane</user><password>hunter2\n", "<user>jane</user><password>[REDACTED:secret]\n"],
    ['{"xml":"<password>hunter2</password>"}', '{"xml":"<password>[REDACTED:secret]</password>"}'],
  ],
  secrets: [
    ["AKIAIOSFODNN7EXAMPLE", "[REDACTED:aws_access_key]"],
    [
      "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
      "aws_secret_access_key = [REDACTED:aws_secret_key]",
    ],
    [`ghp_${"a1B".repeat(12)}`, "[REDACTED:github_token]"],
    [`github_pat_${"a1B_".repeat(12)}x`, "[REDACTED:github_token]"],
    ["xoxb-123456789012-abcdefABC", "[REDACTED:slack_token]"],
    ["xapp-1-A0123-4567-89abc", "[REDACTED:slack_token]"],
    ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc-def", "[REDACTED:jwt]"],
    ["eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0", "[REDACTED:jwt]"],
    [
      "k: -----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nz",
      "k: [REDACTED:private_key]\nz",
    ],
    ["-----BEGIN PRIVATE KEY-----\\nMIIE… (cut)", "[REDACTED:private_key]"],
    ["Authorization: Bearer abc.def-123", "Authorization: Bearer [REDACTED:authorization]"],
    ["authorization: bearer sometoken", "authorization: bearer [REDACTED:authorization]"],
    ["Basic dXNlcjpwYXNz", "Basic [REDACTED:authorization]"],
    ["ApiKey 1234", "[REDACTED:secret]", "http.request.header.authorization"],
    ["f3a9c1d2e4b5a697", "[REDACTED:secret]", "http.request.header.authorization"],
    ["denied", "denied", "policy.authorization"],
    ["postgres://app:s3cr@t@db/x", "postgres://[REDACTED:url_credentials]@db/x"],
    ["redis://:pw@cache:6379", "redis://[REDACTED:url_credentials]@cache:6379"],
    ["password=hunter2&x=1", "password=[REDACTED:secret]&x=1"],
    ["PWD: hunter2", "PWD: [REDACTED:secret]"],
    ["DB_PASSWORD='two words'", "DB_PASSWORD='[REDACTED:secret]'"],
    ["api_key: sk-abc123DEF", "api_key: [REDACTED:secret]"],
    ["clientSecret = abcd1234", "clientSecret = [REDACTED:secret]"],
    ['{"password": "two words"}', '{"password": "[REDACTED:secret]"}'],
    ['{"user":{"apiKey":"abcdef123456"}}', '{"user":{"apiKey":"[REDACTED:secret]"}}'],
    ['cut: {"password": "hunter2", "x', 'cut: {"password": "[REDACTED:secret]", "x'],
    ["password%3Dhunter2", "password%3D[REDACTED:secret]"],
    ["hunter2", "[REDACTED:secret]", "db.password"],
    // A sign that templates begin with makes no template.
    ["$ecret123", "[REDACTED:secret]", "db.password"],
    ["password=$ecret123", "password=[REDACTED:secret]"],
    ['{"password": "{abc!23"}', '{"password": "[REDACTED:secret]"}'],
    ['{"password": "<abc!23"}', '{"password": "[REDACTED:secret]"}'],
    ['{"password": "[abc!23"}', '{"password": "[REDACTED:secret]"}'],
    ["hunter2 hunter3", "[REDACTED:secret]", "dbPassword"],
  ],
};
const negatives: readonly Row[] = [
  "</password> and more",
  "<password></password>",
  "<password>${PASSWORD}</password>",
  "<credentials><user>jane</user></credentials>",
  "<nextToken>k9Xw31qz</nextToken>",
  "a < password > b",
  '<user><password nil="true"/>nothing</user>',
  "usage: login <user> <password> and then what to do",
  "Usage: login <user> <password>\n\nOptions:\n  --help  this text\n",
  "postgres://<user>:<password>@localhost:5432/app is how it is written",
  "fn of(held: Option<Secret>) -> Vec<u8> { held.bytes() }",
  "Map<Password> is read, then <secret> too.",
  "550e8400-e29b-41d4-a716-446655440000",
  "41111111-1111-4111-8111-111111111111",
  "4bf92f3577b34da6a3ce929d0e0e4736",
  "00f067aa0ba902b7",
  "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
  "1790000000",
  "1790000000000",
  "1790000000000000",
  "1790000000123456789",
  "2026-11-21T08:19:09.123456Z",
  "e83c5163316f89bfbde7d9ab23ca2e25604af290",
  "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
  "1.2.3",
  "1.20.300-beta.4",
  "Chrome/120.0.0.0 Safari/537.36",
  "127.0.0.1:8080",
  "0.0.0.0",
  "$1,234,567.89",
  "1234567890123456",
  "4111111111111112",
  "0.4242424242424242",
  "4111.1111",
  "000-12-3456",
  "666-12-3456",
  "900-12-3456",
  "536-00-4399",
  "536-90-0000",
  "078-05-1120",
  "123-45-6789",
  "987-65-4320",
  "536904399",
  "4155552671",
  "gpt-4o-2024-08-06",
  "claude-sonnet-4-20250514",
  "input_tokens=512, max_tokens: 4096",
  "next_page_token=abcdefABCDEF123456",
  "the token: invalid",
  "git@github.com:spanseal/spanseal.git",
  "@types/node@26.6.6",
  "a @ b.com",
  "std::vector<int>::size",
  "10:20:30:40",
  "12:34:56",
  "00:1b:44:11:3a:b7",
  "GB82WEST12345698765431",
  "XX82WEST12345698765432",
  "born in Berlin",
  "seen 1961-04-12",
  "0042371",
  "eyJhbGciOiJub3Q",
  "eyJub3QganNvbg.eyJ4.z",
  "Bearer authentication",
  "basic understanding",
  "password: [REDACTED]",
  "password=${DB_PASSWORD}",
  "password=$DB_PASSWORD",
  "password=$(cat /run/secrets/db)",
  '{"password": "${DB_PASSWORD}"}',
  '{"password": "{{ db.password }}"}',
  '{"password": "<your password>"}',
  "password: string",
  "-----BEGIN CERTIFICATE-----",
  "ghp_short",
  "https://example.com:8443/a@b",
].map((text) => [text, text] as const);

describe.each(Object.entries(positives))("%s", (_, rows) => {
  test.each(rows.map((row) => [...row]))("%s", (...row) => {
    const [text, left, key] = row as unknown as Row;
    expect(redactText(text, policy, key === undefined ? {} : { key }).text).toBe(left);
  });
});

test.each(negatives.map((row) => [...row]))("left alone: %s", (text) => {
  const result = redactText(text, policy);
  expect(result).toEqual({ text, findings: [] });
});

const addressKeys = ["client.address", "server.address", "host.ip", "network.peer.address"];
test.each(addressKeys)("an address under %s stays", (key) => {
  expect(redactText("10.20.30.40", policy, { key }).text).toBe("10.20.30.40");
  expect(redactText("jane@example.com", policy, { key }).text).toBe("[REDACTED:email]");
});

test("a tool version of four numbers stays under a version key", () => {
  expect(redactText("10.20.30.40", policy, { key: "service.version" }).text).toBe("10.20.30.40");
});

test("a drop or mask of who and where is a token, stable and separate per tenant", () => {
  const token = (tenant: string, text: string): string =>
    redactText(text, policy, { key: "user.id", tenant }).text;
  expect(token("a", "jane@example.com")).toMatch(/^tok_email_1_[0-9a-f]{32}$/);
  expect(token("a", "jane@example.com")).toBe(token("a", "JANE@example.com"));
  expect(token("a", "jane@example.com")).not.toBe(token("b", "jane@example.com"));
  expect(redactText("u-1", policy, { key: "user.id" }).text).toBe("u-1");
});

test("what was redacted is not redacted again", () => {
  const rows = Object.values(positives).flat();
  for (const [text, , key] of rows) {
    for (const context of [key === undefined ? {} : { key }, { key: "user.id" }]) {
      const once = redactText(text, policy, context).text;
      expect(redactText(once, policy, context).text).toBe(once);
    }
  }
});

test("offsets are UTF-16 units of the input", () => {
  const text = "😀 é jane@example.com — 4111111111111111";
  const { findings } = redactText(text, policy);
  expect(findings.map(({ start, end }) => text.slice(start, end))).toEqual([
    "jane@example.com",
    "4111111111111111",
  ]);
});
