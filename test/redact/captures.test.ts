import { globSync, readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { redactRequest } from "../../src/audit/redact/request.ts";
import { redactText } from "../../src/audit/redact/text.ts";
import { decode, policyOf } from "./support.ts";

const policy = policyOf();
const directory = new URL("../captures/", import.meta.url).pathname;
const files = globSync("**/*.pb", { cwd: directory }).toSorted();

/** All that the recordings hold of personal data: made up, and known. */
const known = [
  "jane.doe@example.com",
  "jane.roe@example.com",
  "billing@example.org",
  "clerk@example.com",
  "4111 1111 1111 1111",
  "4111111111111111",
  "078-05-1120",
  "+1-202-555-0143",
  "DE02120300000000202051",
  "1961-04-12",
  "1979-03-14",
  "00482913",
  "0042371",
  "MRN-0042371",
];

function stringsOf(value: unknown, key: string, found: [string, string][]): [string, string][] {
  if (typeof value === "string") found.push([key, value]);
  else if (Array.isArray(value)) for (const one of value) stringsOf(one, key, found);
  else if (typeof value === "object" && value !== null) {
    const { key: own, ...rest } = value as { key?: string };
    for (const [name, one] of Object.entries(rest)) {
      // Ids are decoded as base64 text, which is not what the request holds.
      if (!/Id$|UnixNano$/.test(name)) stringsOf(one, own ?? key, found);
    }
  }
  return found;
}

test.each(files)("nothing but the known values is hit in %s", (file) => {
  const signal = file.includes("logs") ? "logs" : "traces";
  const bytes = readFileSync(`${directory}${file}`);
  for (const [key, text] of stringsOf(decode(signal, bytes), "", [])) {
    for (const { start, end } of redactText(text, policy, { key }).findings) {
      expect(known).toContain(text.slice(start, end));
    }
  }
});

test.each(files)("what is left of %s decodes, and is left alone the second time", (file) => {
  const signal = file.includes("logs") ? "logs" : "traces";
  const bytes = readFileSync(`${directory}${file}`);
  const once = redactRequest(signal, bytes, policy);
  expect(() => decode(signal, once.bytes)).not.toThrow();
  expect(redactRequest(signal, once.bytes, policy).bytes).toBe(once.bytes);
  const text = Buffer.from(once.bytes).toString("latin1");
  for (const gone of ["@example.", "4111 1111 1111 1111", "DE02120300000000202051"]) {
    expect(text).not.toContain(gone);
  }
});
