/** What holds for every request: canonical bodies, digests, forwarded bytes, repeats, refusals. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { canonicalize, type JsonValue } from "../../src/bytes/canonical-json.ts";
import { varintSize, WireError, writeVarint } from "../../src/bytes/wire.ts";
import { contentDigest } from "../../src/audit/content-digest.ts";
import { mappedRecords } from "../../src/audit/mapped-record.ts";
import type { PreparedBatch } from "../../src/audit/prepared-batch.ts";
import { compileRedaction } from "../../src/audit/redact/policy.ts";
import { RequestError } from "../../src/audit/request-error.ts";
import { TraceMemory } from "../../src/audit/trace-memory.ts";
import { agentRequest } from "../support/agent-load.ts";
import { attributes, encodeOtlp, type Plain } from "../support/otlp-writer.ts";
import { logs, mapOne, map, policy, prepared, span, traces } from "./setup.ts";

const KEYS = [
  "gen_ai.operation.name",
  "gen_ai.tool.name",
  "gen_ai.tool.call.id",
  "gen_ai.tool.call.arguments",
  "gen_ai.tool.call.result",
  "gen_ai.response.finish_reasons",
  "gen_ai.usage.input_tokens",
  "gen_ai.system",
  "spanseal.decision.outcome",
  "spanseal.decision.would_deny",
  "spanseal.record.id",
  "db.system",
  "mcp.method.name",
  "user.id",
  "error.type",
];
const WORDS = ["chat", "execute_tool", "invoke_agent", "tools/call", "denied", "unknown", "", "t1"];

const text = fc.oneof(fc.constantFrom(...WORDS), fc.string({ unit: "binary" }), fc.string());
const leaf: fc.Arbitrary<unknown> = fc.oneof(
  text,
  fc.boolean(),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
  fc.integer(),
  fc.double(),
  fc.uint8Array({ maxLength: 8 }),
  fc.constant(null),
);
const value = fc.oneof(
  { weight: 5, arbitrary: leaf },
  { weight: 1, arbitrary: fc.array(leaf, { maxLength: 4 }) },
  { weight: 1, arbitrary: fc.dictionary(fc.string(), leaf, { maxKeys: 4 }) },
);
const pair = fc.oneof(
  { weight: 9, arbitrary: fc.tuple(fc.oneof(fc.constantFrom(...KEYS), fc.string()), value) },
  { weight: 1, arbitrary: fc.tuple(fc.constant("tenant.id"), fc.constantFrom("a", "b", 7)) },
);
const pairs = fc
  .array(pair, { maxLength: 12 })
  .map((list): Plain[] => list.flatMap(([key, one]) => attributes({ [key]: one })));

const anySpan: fc.Arbitrary<Plain> = fc.record({
  traceId: fc.uint8Array({ minLength: 16, maxLength: 16 }),
  spanId: fc.uint8Array({ minLength: 0, maxLength: 9 }),
  name: text,
  kind: fc.integer({ min: 0, max: 9 }),
  startTimeUnixNano: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  endTimeUnixNano: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
  attributes: pairs,
  events: fc.array(
    fc.record({
      name: fc.constantFrom("exception", "gen_ai.choice", "spanseal.decision", "x"),
      attributes: pairs,
    }),
    { maxLength: 3 },
  ),
  status: fc.record({ message: text, code: fc.integer({ min: 0, max: 3 }) }),
  links: fc.array(fc.record({ traceId: fc.uint8Array({ maxLength: 20 }) }), { maxLength: 2 }),
});

function bodiesOf(batch: PreparedBatch): Uint8Array[] {
  return [...batch.bodyEnds].map((end, index) =>
    batch.bodies.subarray(index === 0 ? 0 : batch.bodyEnds[index - 1], end),
  );
}

function checkBatch(batch: PreparedBatch): void {
  for (const [index, body] of bodiesOf(batch).entries()) {
    const written = Buffer.from(body).toString();
    expect(written).toBe(canonicalize(JSON.parse(written) as JsonValue));
    expect(JSON.parse(written)).toMatchObject({
      schema: "spanseal.record/v1",
      nonce: expect.stringMatching(/^[0-9a-f]{32}$/) as string,
      time: { observed: expect.stringMatching(/^\d+$/) as string },
    });
    const digest = createHash("sha256").update("spanseal body v1\n").update(body).digest();
    expect(Buffer.from(batch.digests.subarray(index * 32, index * 32 + 32))).toEqual(digest);
  }
}

/** Whether the request was refused as the sender's fault; anything else that is thrown is ours. */
function isRefused(...input: Parameters<typeof prepared>): boolean {
  try {
    checkBatch(prepared(...input));
    return false;
  } catch (error) {
    if (error instanceof WireError || error instanceof RequestError) return true;
    throw error;
  }
}

test("bodies are canonical by construction, with their digest", () => {
  const property = fc.property(fc.array(anySpan, { maxLength: 4 }), (members) => {
    checkBatch(prepared("traces", traces(members)));
  });
  expect(() => fc.assert(property, { numRuns: 300 })).not.toThrow();
});

test("the load of the benchmark gives a record per span", () => {
  const batch = prepared("traces", agentRequest({ seed: 3, spans: 64, personalDataShare: 0.1 }));
  expect(batch.count).toBe(64);
  checkBatch(batch);
});

test("without stamps and redaction the forwarded bytes are the very input", () => {
  const property = fc.property(fc.array(anySpan, { maxLength: 3 }), (members) => {
    const bytes = new Uint8Array(traces(members));
    return prepared("traces", bytes).forward === bytes;
  });
  expect(() => fc.assert(property)).not.toThrow();
});

test("stamps are all that is added, on spans that became records", () => {
  const plain = { attributes: { "http.method": "GET" } };
  const call = {
    attributes: { "gen_ai.operation.name": "chat", "spanseal.decision.outcome": "allowed" },
  };
  const bytes = traces([plain, call, plain].map((input, id) => span({ ...input, id: id + 1 })));
  const batch = prepared("traces", bytes, { policy: policy({ stamp: true }) });
  const ids = mappedRecords(batch).map(({ id }) => id);
  expect(ids).toHaveLength(2);
  const stamp = encodeOtlp("Span", { attributes: attributes({ "spanseal.record.id": ids }) });
  const { forward } = batch;
  // The stamp, and a byte more for each of the three lengths around it that may have grown.
  expect(forward.length - bytes.length - stamp.length).toBeLessThanOrEqual(3);
  const at = Buffer.from(forward).indexOf(stamp);
  const rest = Buffer.concat([forward.subarray(0, at), forward.subarray(at + stamp.length)]);
  const tail = Buffer.from(bytes).subarray(at - forward.length + bytes.length + stamp.length);
  expect(rest.subarray(at)).toEqual(tail);
  expect(Buffer.from(rest).includes(encodeOtlp("Span", span({ ...call, id: 2 })))).toBe(true);
});

test("a sender's stamps are replaced on records and left alone elsewhere", () => {
  const forged = { "spanseal.record.id": "forged", "spanseal.redaction.count": 9 };
  const other = traces([span({ id: 1, attributes: forged })]);
  expect(prepared("traces", other, { policy: policy({ stamp: true }) }).forward).toBe(other);
  const call = { "gen_ai.operation.name": "chat" };
  const bytes = traces([span({ id: 1, attributes: { ...forged, ...call } })]);
  const batch = prepared("traces", bytes, { policy: policy({ stamp: true }) });
  expect(Buffer.from(batch.forward).includes("forged")).toBe(false);
  expect(Buffer.from(batch.forward).includes("spanseal.redaction.count")).toBe(false);
  expect(Buffer.from(batch.forward).includes(mappedRecords(batch)[0]!.id)).toBe(true);
  // Taking the stamps away gives what came without the forged ones.
  const clean = traces([span({ id: 1, attributes: call })]);
  expect(prepared("traces", clean, { policy: policy({ stamp: true }) }).forward.length).toBe(
    batch.forward.length,
  );
  const unstamped = prepared("traces", bytes);
  expect(unstamped.forward).toBe(bytes);
});

test("a repeat has the same ids and content, whatever nonce it gets", () => {
  const property = fc.property(fc.array(anySpan, { maxLength: 4 }), (members) => {
    const memory = new TraceMemory();
    const first = prepared("traces", traces(members), { memory });
    const again = prepared("traces", traces(members), { memory });
    expect(again.ids).toEqual(first.ids);
    expect(bodiesOf(again).map(contentDigest)).toEqual(bodiesOf(first).map(contentDigest));
  });
  expect(() => fc.assert(property)).not.toThrow();
  const load = agentRequest({ seed: 3, spans: 8, personalDataShare: 0 });
  expect(prepared("traces", load).digests).not.toEqual(prepared("traces", load).digests);
});

test("a repeat is one also where an agent was seen in its trace meanwhile", () => {
  const memory = new TraceMemory();
  const query = traces([span({ id: 1, attributes: { "db.system.name": "redis" } })]);
  const first = prepared("traces", query, { memory });
  prepared("traces", traces([span({ attributes: { "gen_ai.agent.name": "clerk" } })]), { memory });
  const again = prepared("traces", query, { memory });
  const flags = (batch: PreparedBatch): unknown => mappedRecords(batch)[0]!.body["flags"];
  expect([flags(first), flags(again)]).toEqual([["orphan"], undefined]);
  expect(again.ids).toEqual(first.ids);
  expect(bodiesOf(again).map(contentDigest)).toEqual(bodiesOf(first).map(contentDigest));
});

test("without ids the redacted source is the identity", () => {
  const member = (name: string): Plain => ({
    ...span({ name, attributes: { "gen_ai.operation.name": "chat" } }),
    traceId: new Uint8Array(16),
    spanId: new Uint8Array(8),
  });
  const idOf = (name: string): string =>
    mappedRecords(prepared("traces", traces([member(name)])))[0]!.id;
  expect(idOf("a")).toBe(idOf("a"));
  expect(idOf("a")).not.toBe(idOf("b"));
});

test("ids tell chains, spans, phases and signals apart", () => {
  const call = { "gen_ai.operation.name": "chat" };
  const ids = [
    ...map([{ id: 1, attributes: call }]),
    ...map([{ id: 2, attributes: call }]),
    ...map([{ id: 1, trace: 2, attributes: call }]),
    ...map([{ id: 1, attributes: { ...call, "tenant.id": "t" } }]),
    ...map([{ id: 1, attributes: call }], { resource: { "service.namespace": "n" } }),
  ].map(({ id }) => id);
  expect(new Set(ids).size).toBe(5);
});

const stamping = { policy: policy({ stamp: true }) };

test("arbitrary bytes are refused as malformed or prepared, never anything else", () => {
  const signal = fc.constantFrom("traces", "logs", "metrics");
  const property = fc.property(fc.uint8Array({ maxLength: 200 }), signal, (bytes, kind) => {
    isRefused(kind, bytes, stamping);
  });
  expect(() => fc.assert(property, { numRuns: 500 })).not.toThrow();
});

test("a recorded request with any byte changed is prepared or refused, and stays canonical", () => {
  const folder = join(import.meta.dirname, "../captures/python/mcp-sdk/native");
  const file = readdirSync(folder).find((name) => name.endsWith(".pb"))!;
  const recorded = new Uint8Array(readFileSync(join(folder, file)));
  const property = fc.property(fc.nat(recorded.length - 1), fc.nat(255), (at, byte) => {
    const bytes = recorded.slice();
    bytes[at] = byte;
    isRefused("traces", bytes, stamping);
  });
  expect(() => fc.assert(property, { numRuns: 300 })).not.toThrow();
});

test("numbers that JSON cannot hold are strings, marked as coerced", () => {
  const body = mapOne({
    attributes: {
      "gen_ai.operation.name": "chat",
      big: 9_007_199_254_740_993n,
      small: -9_223_372_036_854_775_808n,
      bytes: new Uint8Array([1, 255]),
      fine: 42,
      negative: -1,
    },
    more: {},
  });
  expect(body.attributes).toEqual({
    big: "9007199254740993",
    small: "-9223372036854775808",
    bytes: "01ff",
    fine: 42,
    negative: -1,
  });
  expect(body.flags).toEqual(["coerced"]);
  const doubles = mapOne({
    attributes: {
      "gen_ai.operation.name": "chat",
      a: Number.NaN,
      b: Infinity,
      c: -Infinity,
      d: 0.5,
    },
  });
  expect(doubles.attributes).toEqual({ a: "NaN", b: "Infinity", c: "-Infinity", d: 0.5 });
  const text = mapOne({
    attributes: { "gen_ai.operation.name": "chat", "gen_ai.usage.input_tokens": "12" },
  });
  expect(text.model.usage.input).toBe(12);
  expect(text.flags).toEqual(["coerced"]);
});

test("further copies of a repeated key are kept beside the first", () => {
  const twice = attributes({ "gen_ai.operation.name": "chat", x: 1 });
  const member = {
    ...span({}),
    attributes: [...twice, ...attributes({ x: 2 }), ...attributes({ x: [3] })],
  };
  const [record] = mappedRecords(prepared("traces", traces([member])));
  expect(record!.body.attributes).toEqual({ x: 1 });
  expect(record!.body.repeated_attributes).toEqual([
    ["x", 2],
    ["x", [3]],
  ]);
});

test("text that is not UTF-8 is recorded with U+FFFD and forwarded as it came", () => {
  const bytes = new Uint8Array(
    traces([span({ name: "bad?", attributes: { "gen_ai.operation.name": "chat", k: "é?" } })]),
  );
  const at = Buffer.from(bytes).indexOf("bad?") + 3;
  bytes[at] = 0xff;
  bytes[Buffer.from(bytes).indexOf("é?") + 2] = 0xc3;
  const batch = prepared("traces", bytes);
  const [record] = mappedRecords(batch);
  expect(record!.body.trace).toMatchObject({ name: "bad\ufffd" });
  expect(record!.body.attributes).toEqual({ k: "é\ufffd" });
  expect(record!.body.flags).toEqual(["coerced"]);
  expect(batch.forward).toBe(bytes);
});

test("zero ids, an end before the start and times to come are recorded as observed", () => {
  const member = {
    ...span({ attributes: { "gen_ai.operation.name": "chat" } }),
    traceId: new Uint8Array(16),
    startTimeUnixNano: 18_446_744_073_709_551_615n,
    endTimeUnixNano: 1n,
  };
  const [record] = mappedRecords(prepared("traces", traces([member])));
  expect(record!.body.time).toMatchObject({ start: "18446744073709551615", end: "1" });
  expect(record!.body.trace).not.toHaveProperty("trace_id");
});

test("a span too large to be recorded whole is recorded with its values cut", () => {
  const long = "é".repeat(2_000_000);
  const body = mapOne({
    name: long,
    attributes: {
      "gen_ai.operation.name": "chat",
      "gen_ai.input.messages": long,
      x: long,
      y: [long],
    },
  });
  expect(body.content.truncated).toBe(true);
  expect(Buffer.byteLength(body.content.input as string)).toBe(131_072);
  expect(Buffer.byteLength(body.attributes.x as string)).toBe(4096);
  expect(body.attributes.y).toBeNull();
  expect(body.flags).toBeUndefined();
});

function delimited(field: number, payload: Uint8Array): Uint8Array {
  const head = new Uint8Array(1 + varintSize(payload.length));
  head[0] = (field << 3) | 2;
  writeVarint(head, 1, payload.length);
  return Buffer.concat([head, payload]);
}

test("a request beyond the held attributes is walked again, with the same records", () => {
  const filler = Object.fromEntries(Array.from({ length: 110 }, (_, index) => [`k${index}`, 1]));
  const member = span({
    id: 1,
    attributes: { ...filler, "gen_ai.operation.name": "chat" },
    events: [{ name: "e", attributes: { "spanseal.decision.outcome": "denied" } }],
  });
  const one = encodeOtlp("ScopeSpans", { spans: [member] });
  const of = (count: number): ReturnType<typeof mappedRecords> => {
    const scope = Buffer.concat(Array.from({ length: count }, () => one));
    return mappedRecords(prepared("traces", delimited(1, delimited(2, scope))));
  };
  // 112 attributes a span: the last of them are beyond a million.
  const many = of(9100);
  expect(many).toHaveLength(18_200);
  expect(many.slice(-2)).toEqual(of(1));
});

test("decisions without end on one span are refused, and many are related in bounded time", () => {
  const events = (count: number): { name: string }[] =>
    Array.from({ length: count }, () => ({ name: "spanseal.decision" }));
  const call = { "gen_ai.operation.name": "execute_tool" };
  expect(map([{ attributes: call, events: events(1024) }])).toHaveLength(1025);
  expect(() => map([{ attributes: call, events: events(1025) }])).toThrow(
    expect.objectContaining({ code: "too_large" }) as Error,
  );
});

test("redactions of span, scope and resource are listed, and personal data is gone", () => {
  const redaction = compileRedaction({
    packs: ["core"],
    rules: [],
    phi: [],
    pepper: { id: "1", key: new Uint8Array(32) },
  });
  const bytes = traces(
    [span({ attributes: { "gen_ai.operation.name": "chat", note: "mail ada@example.com" } })],
    { resource: { "service.name": "of bob@example.com" } },
  );
  const batch = prepared("traces", bytes, { policy: policy({ redaction, stamp: true }) });
  const [record] = mappedRecords(batch);
  const { body } = record!;
  expect(JSON.stringify(body)).not.toContain("@example.com");
  expect(Buffer.from(batch.forward).includes("@example.com")).toBe(false);
  expect(body.redaction).toMatchObject([
    { action: "mask", count: 1, field: 'attributes["note"]' },
    { action: "tokenize", count: 1, field: 'resource.attributes["service.name"]' },
  ]);
  expect(Buffer.from(batch.forward).includes("spanseal.redaction.count")).toBe(true);
});

test("metrics pass through, their data points are counted", () => {
  const bytes = encodeOtlp("ExportMetricsServiceRequest", {
    resourceMetrics: [
      {
        scopeMetrics: [
          { metrics: [{ name: "m", gauge: { dataPoints: [{ asInt: 1n }, { asInt: 2n }] } }] },
        ],
      },
    ],
  });
  const batch = prepared("metrics", bytes, { policy: policy({ stamp: true }) });
  expect(batch.forward).toBe(bytes);
  expect(batch.count).toBe(0);
  expect(batch.statistics.items).toBe(2);
});

test("log records are not stamped", () => {
  const bytes = logs([{ attributes: attributes({ "spanseal.decision.outcome": "denied" }) }]);
  const batch = prepared("logs", bytes, { policy: policy({ stamp: true }) });
  expect(batch.count).toBe(1);
  expect(batch.forward).toBe(bytes);
});
