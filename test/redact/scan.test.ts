import { array, assert, constantFrom, oneof, property, stringMatching } from "fast-check";
import { expect, test } from "vitest";
import { redactRequest } from "../../src/audit/redact/request.ts";
import { redactText } from "../../src/audit/redact/text.ts";
import { anyValue, encodeOtlp } from "../support/otlp-writer.ts";
import { decode, policyOf } from "./support.ts";

const policy = policyOf();

/** Pieces of what detectors look for, whole, cut, and next to anything. */
const piece = oneof(
  constantFrom(
    "jane@example.com",
    "@b.io",
    "4111 1111 1111 1111",
    "4111111111111111",
    "536-90-4399",
    "536904399",
    "78051120",
    "(415) 555-2671",
    "+44 20 7946 0958",
    "+44 20 7946",
    "1 +44207946",
    "+29012345",
    "4155552671",
    "10.1.2.3",
    "2001:db8::1",
    "DE89 3704 0044 0532 0130 00",
    "GB82WEST12345698765432",
    "AKIAIOSFODNN7EXAMPLE",
    "xoxb-1234567890-abc",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.abc",
    "Bearer abc.def-123",
    "Basic dXNlcjpwYXNz",
    "://u:p@h/",
    "1961-04-12",
    "19610412",
    "0042371",
  ),
  constantFrom(
    "ssn",
    "SSN: ",
    "dob ",
    "d.o.b. ",
    "born ",
    "birth date ",
    "mrn ",
    "medical record no ",
  ),
  constantFrom(
    "password",
    "pwd=",
    "passphrase: ",
    "secret=",
    "api_key: ",
    "token=",
    "credentials: ",
  ),
  constantFrom(
    "phone ",
    "call ",
    '"',
    "'",
    ":",
    "=",
    ", ",
    "\n",
    "\\n",
    "\\u0040",
    "%40",
    "\u00a0",
    "\u2011",
  ),
  constantFrom('{"', '":', '"}', "[", "]", "{", "}", "null", "1", "_", "-", ".", "é", "名"),
  stringMatching(/^[0-9a-f]{1,20}$/),
  stringMatching(/^[a-z ]{1,12}$/),
);
const text = array(piece, { maxLength: 9 }).map((pieces) => pieces.join(""));
const key = constantFrom(
  "k",
  "ssn",
  "patient.dob",
  "mrn",
  "dbPassword",
  "phone_number",
  "note",
  "user.id",
  "proxy-authorization",
);

test("the scan of a request leaves out nothing that a look at each value finds", () => {
  assert(
    property(array(text, { minLength: 1, maxLength: 5 }), key, (texts, name) => {
      const attributes = texts.map((value) => ({ key: name, value: anyValue(value) }));
      const bytes = encodeOtlp("ExportLogsServiceRequest", {
        resourceLogs: [{ scopeLogs: [{ logRecords: [{ attributes }] }] }],
      });
      const after = decode("logs", redactRequest("logs", bytes, policy).bytes) as {
        resourceLogs: { scopeLogs: { logRecords: { attributes: unknown[] }[] }[] }[];
      };
      expect(after.resourceLogs[0]!.scopeLogs[0]!.logRecords[0]!.attributes).toEqual(
        texts.map((value) => ({
          key: name,
          value: { stringValue: redactText(value, policy, { key: name }).text },
        })),
      );
    }),
    { numRuns: 4000 },
  );
});

test("redaction of its own output changes nothing", () => {
  assert(
    property(text, key, (value, name) => {
      const once = redactText(value, policy, { key: name }).text;
      expect(redactText(once, policy, { key: name }).text).toBe(once);
    }),
    { numRuns: 4000 },
  );
});
