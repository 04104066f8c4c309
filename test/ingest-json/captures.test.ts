/** Requests as real agents sent them: over JSON alone, or recorded in both encodings. */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Signal } from "../../src/audit/otlp/schema.ts";
import { transcodeJson } from "../../src/ingest/json.ts";
import { TOP, decodeOtlp } from "./otlp-proto.ts";

const root = join(import.meta.dirname, "../captures");
const files = readdirSync(root, { recursive: true, encoding: "utf8" }).toSorted();
const isRequest = /-(traces|logs|metrics)(?:\.otlp)?\.json$/;
const captures = files.filter((path) => isRequest.test(path));

test.each(captures)("%s", (path) => {
  const signal = isRequest.exec(path)![1] as Signal;
  const text = readFileSync(join(root, path));
  const bytes = transcodeJson(signal, text);
  const twin = path.replace(/(?:\.otlp)?\.json$/, ".pb");
  const expected = files.includes(twin)
    ? decodeOtlp(TOP[signal], readFileSync(join(root, twin)))
    : withoutDefaults(JSON.parse(text.toString()));
  expect(decodeOtlp(TOP[signal], bytes)).toEqual(expected);
});

test("there are captures of both kinds", () => {
  const twins = captures.filter((path) =>
    files.includes(path.replace(/(?:\.otlp)?\.json$/, ".pb")),
  );
  expect(twins.length).toBeGreaterThanOrEqual(2);
  expect(captures.length - twins.length).toBeGreaterThanOrEqual(2);
});

const SIXTY_FOUR_BITS = /UnixNano$|^intValue$/;
const WITHOUT_PRESENCE =
  /^(dropped\w+Count|flags|traceState|parentSpanId|code|name|version|message|schemaUrl)$/;

/** What `decodeOtlp` would give for these captures, by JSON.parse: their numbers are small. */
function withoutDefaults(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutDefaults);
  if (typeof value !== "object" || value === null) return value;
  const members: Record<string, unknown> = {};
  for (const [key, member] of Object.entries(value)) {
    const empty = Array.isArray(member) && member.length === 0;
    const zero = WITHOUT_PRESENCE.test(key) && (member === 0 || member === "");
    if (member === null || empty || zero) continue;
    members[key] = SIXTY_FOUR_BITS.test(key) ? String(member) : withoutDefaults(member);
  }
  return members;
}
