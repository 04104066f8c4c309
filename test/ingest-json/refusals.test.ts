import { expect, test } from "vitest";
import type { Signal } from "../../src/audit/otlp/schema.ts";
import { JsonError, transcodeJson } from "../../src/ingest/json.ts";
import { nestingDepthMax } from "../../src/limits.ts";
import { TOP, decodeOtlp } from "./otlp-proto.ts";

function transcode(json: string | Uint8Array, signal: Signal = "traces"): unknown {
  const text = typeof json === "string" ? Buffer.from(json) : json;
  return decodeOtlp(TOP[signal], transcodeJson(signal, text));
}

function refusal(json: string | Uint8Array, signal: Signal = "traces"): JsonError {
  try {
    transcode(json, signal);
  } catch (error) {
    if (error instanceof JsonError) return error;
    throw error;
  }
  throw new Error(`accepted: ${Buffer.from(json).toString()}`);
}

const span = (members: string): string =>
  `{"resourceSpans":[{"scopeSpans":[{"spans":[{${members}}]}]}]}`;
const inSpan = (members: unknown): unknown => ({
  resourceSpans: [{ scopeSpans: [{ spans: [members] }] }],
});
const attribute = (value: string): string => span(`"attributes":[{"key":"k","value":${value}}]`);
const inAttribute = (value: unknown): unknown => inSpan({ attributes: [{ key: "k", value }] });

test.each([
  ["", "the end"],
  ["   ", "white space"],
  ["null", "null"],
  ["[]", "an array"],
  ["{}{}", "a second value"],
  ["{} x", "trailing garbage"],
  ['{"a":1,}', "a trailing comma"],
  ['{"a" 1}', "a missing colon"],
  ["{'a':1}", "single quotes"],
  ["{a:1}", "a bare key"],
  ['{"a":01}', "a leading zero"],
  ['{"a":+1}', "a plus sign"],
  ['{"a":.5}', "a missing integer part"],
  ['{"a":1.}', "a missing fraction"],
  ['{"a":1e}', "a missing exponent"],
  ['{"a":NaN}', "NaN as a token"],
  ['{"a":tru}', "a broken literal"],
  ['{"a":nul', "a broken literal at the end"],
  ['{"a":"\t"}', "a raw control character"],
  ['{"a":"\\x41"}', "an unknown escape"],
  ['{"a":"\\u00g0"}', "a broken escape"],
  ['{"a":"\\u00', "an escape at the end"],
  ['{"a":"', "an open string"],
  ['{"a":[1}', "a wrong bracket"],
  ['{"a":{"b":1]}', "a wrong brace"],
  ["\u{FEFF}{}", "a byte order mark"],
  ["/**/{}", "a comment"],
])("%j is not JSON: %s", (json) => {
  expect(refusal(json)).toMatchObject({ name: "JsonError", code: "malformed" });
});

test("whatever is known is checked, and the message names the field but no value", () => {
  const cases: readonly [string, RegExp][] = [
    [
      span('"traceId":"q7vM5JgBd0KaYT8jkU3aeg=="'),
      /^traceId: OTLP\/JSON wants 32 hexadecimal digits/,
    ],
    [span('"spanId":"7rWbXYfUzRM="'), /^spanId: OTLP\/JSON wants 16 hexadecimal digits/],
    [span('"parentSpanId":"00"'), /^parentSpanId: OTLP\/JSON wants 16 hexadecimal digits/],
    [span('"kind":"SPAN_KIND_SERVER"'), /^kind: OTLP\/JSON wants the number of the enum value/],
    [span('"kind":1.5'), /^kind: expected a signed 32-bit integer/],
    [span('"kind":2147483648'), /^kind: expected a signed 32-bit integer/],
    [span('"flags":-1'), /^flags: expected an unsigned 32-bit integer/],
    [span('"flags":4294967296'), /^flags: expected an unsigned 32-bit integer/],
    [
      span('"startTimeUnixNano":"18446744073709551616"'),
      /^startTimeUnixNano: expected an unsigned 64/,
    ],
    [span('"startTimeUnixNano":"-1"'), /^startTimeUnixNano: expected an unsigned 64/],
    [span('"startTimeUnixNano":"12 "'), /^startTimeUnixNano: expected a number/],
    [span('"startTimeUnixNano":""'), /^startTimeUnixNano: expected a number/],
    [span('"startTimeUnixNano":"0x10"'), /^startTimeUnixNano: expected a number/],
    [span('"startTimeUnixNano":true'), /^expected a value/],
    [attribute('{"intValue":"9223372036854775808"}'), /^intValue: expected a signed 64-bit/],
    [attribute('{"intValue":1e99999999999}'), /^intValue: expected a signed 64-bit/],
    [attribute('{"intValue":1e-1}'), /^intValue: expected a signed 64-bit/],
    [attribute('{"doubleValue":1e400}'), /^doubleValue: the number is beyond/],
    [attribute('{"doubleValue":"nan"}'), /^doubleValue: expected a number/],
    [attribute('{"bytesValue":"YQ=!"}'), /^bytesValue: expected base64/],
    [attribute('{"bytesValue":"YWJjZ"}'), /^bytesValue: expected base64/],
    [attribute('{"stringValue":1}'), /^expected a string/],
    [attribute('{"boolValue":"true"}'), /^expected a value/],
    [attribute('{"arrayValue":[]}'), /^expected "{"/],
    [span('"attributes":{}'), /^expected "\["/],
    [span('"attributes":[1]'), /^expected "{"/],
  ];
  for (const [json, message] of cases) {
    const error = refusal(json);
    expect(error.code).toBe("malformed");
    expect(error.message).toMatch(message);
    expect(error.message).toMatch(/ at byte \d+$/);
  }
});

test("64-bit integers keep every bit", () => {
  const cases: readonly [string, string][] = [
    ["9223372036854775807", "9223372036854775807"],
    ['"-9223372036854775808"', "-9223372036854775808"],
    ["-9007199254740993", "-9007199254740993"],
    ["1e3", "1000"],
    ["12.50e1", "125"],
    ['"922337203685477580700e-2"', "9223372036854775807"],
    ["-0", "0"],
    ["0e99999", "0"],
    ["0.000", "0"],
    [`1${"0".repeat(30)}e-30`, "1"],
    ['"\\u0031\\u0032"', "12"],
  ];
  for (const [json, value] of cases) {
    expect(transcode(attribute(`{"intValue":${json}}`))).toEqual(inAttribute({ intValue: value }));
  }
  expect(transcode(span('"startTimeUnixNano":18446744073709551615'))).toEqual(
    inSpan({ startTimeUnixNano: "18446744073709551615" }),
  );
});

test("ids are hexadecimal in either case, or empty", () => {
  const id = "0123456789abcdefABCDEF0123456789";
  expect(transcode(span(`"traceId":"${id}","spanId":""`))).toEqual(
    inSpan({ traceId: id.toLowerCase() }),
  );
  const zero = "0".repeat(32);
  expect(transcode(span(`"traceId":"${zero}"`))).toEqual(inSpan({ traceId: zero }));
});

test("bytes are base64 in either alphabet, padded or not", () => {
  for (const text of ["+/8=", "-_8=", "+/8", "-_8", "+\\/8=", "+/9"]) {
    expect(transcode(attribute(`{"bytesValue":"${text}"}`))).toEqual(
      inAttribute({ bytesValue: "fbff" }),
    );
  }
});

test("doubles may be words", () => {
  for (const word of ["NaN", "Infinity", "-Infinity"]) {
    expect(transcode(attribute(`{"doubleValue":"${word}"}`))).toEqual(
      inAttribute({ doubleValue: word }),
    );
  }
});

test("empty, mixed and null values keep their places", () => {
  const values =
    '[{},{"intValue":1},null,{"stringValue":""},{"arrayValue":{"values":[{}]}},{"kvlistValue":{}}]';
  expect(transcode(attribute(`{"arrayValue":{"values":${values}}}`))).toEqual(
    inAttribute({
      arrayValue: {
        values: [
          {},
          { intValue: "1" },
          {},
          { stringValue: "" },
          { arrayValue: { values: [{}] } },
          { kvlistValue: {} },
        ],
      },
    }),
  );
  expect(transcode(span('"attributes":null,"name":null'))).toEqual(inSpan({}));
  expect(transcode(attribute("{}"))).toEqual(inAttribute({}));
  expect(transcode(attribute("null"))).toEqual(inSpan({ attributes: [{ key: "k" }] }));
});

test("unknown members are left out at every level, snake_case among them", () => {
  const junk = '"x":{"spans":[{"name":1}],"y":[[],{},null,"\\ud800",-1e-9]}';
  const json = `{${junk},"resource_spans":[1],"resourceSpans":[{${junk},"scopeSpans":[{"spans":[{"trace_id":5,"name":"n",${junk}}]}]}]}`;
  expect(transcode(json)).toEqual(inSpan({ name: "n" }));
});

test("of a repeated member the last scalar counts, lists are joined, messages merged", () => {
  const json = span(
    '"name":"a","attributes":[{"key":"1"}],"status":{"code":2},"name":"b","attributes":[{"key":"2"}],"status":{"message":"m"}',
  );
  expect(transcode(json)).toEqual(
    inSpan({
      name: "b",
      attributes: [{ key: "1" }, { key: "2" }],
      status: { code: 2, message: "m" },
    }),
  );
});

test("lone surrogates and ill-formed UTF-8 become U+FFFD", () => {
  const cases: readonly [string, string][] = [
    ["\\ud800", "\u{FFFD}"],
    ["\\udc00x", "\u{FFFD}x"],
    ["\\ud83d\\ude00", "\u{1F600}"],
    ["\\ud83d\\ud83d\\ude00", "\u{FFFD}\u{1F600}"],
    ["\\ud83d\\u0041", "\u{FFFD}A"],
    ["\\ud83d\\n", "\u{FFFD}\n"],
  ];
  for (const [json, name] of cases) {
    expect(transcode(span(`"name":"${json}"`))).toEqual(inSpan({ name }));
  }
  const text = Buffer.from(span('"name":"a?b"'));
  text[text.indexOf("?")] = 0xff;
  expect(transcode(text)).toEqual(inSpan({ name: "a\u{FFFD}b" }));
});

test("nesting is bounded, in what is read and in what is skipped", () => {
  // Request, ResourceSpans, ScopeSpans, Span, KeyValue, AnyValue, then two messages per list.
  const lists = Math.floor((nestingDepthMax - 6) / 2);
  const nested = (count: number): string =>
    attribute(`${'{"arrayValue":{"values":['.repeat(count)}{}${"]}}".repeat(count)}`);
  expect(() => transcode(nested(lists))).not.toThrow();
  expect(refusal(nested(lists + 1)).code).toBe("too_deep");
  expect(refusal(nested(100_000)).code).toBe("too_deep");

  const skipped = (count: number): string => `{"x":${"[".repeat(count)}${"]".repeat(count)}}`;
  expect(() => transcode(skipped(nestingDepthMax - 1))).not.toThrow();
  expect(refusal(skipped(nestingDepthMax)).code).toBe("too_deep");
  expect(refusal(`{"x":${'{"y":['.repeat(1_000_000)}`).code).toBe("too_deep");
});

test("a request that grows beyond the bound is refused", () => {
  // Two characters of JSON make eight bytes of fixed64.
  const counts = Buffer.alloc(2 * 9_000_000, "0,");
  counts[counts.length - 1] = 0x20;
  const json = Buffer.concat([
    Buffer.from(
      '{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"histogram":{"dataPoints":[{"bucketCounts":[',
    ),
    counts,
    Buffer.from("]}]}}]}]}]}"),
  ]);
  expect(refusal(json, "metrics").code).toBe("too_large");
});
