/** Forms are drawn once and filled again: a record must not depend on what was mapped before it. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import type { AuditPolicy } from "../../src/audit/policy.ts";
import { map, policy, type SpanInput } from "./setup.ts";

const text = fc.constantFrom("a", "unknown", "", "<REDACTED>", "7", "true", "é\n", '"\\', "error");
const odd = fc.constantFrom<unknown>(
  1,
  2n ** 60n,
  0.5,
  Number.NaN,
  true,
  ["a", "error"],
  [1],
  { a: "b" },
  '[{"id":"d"}]',
  new Uint8Array([1, 255]),
);
const value = fc.oneof({ weight: 8, arbitrary: text }, odd);

/** Few sets of keys, so that layouts come again with other values. */
const KEYS = [
  ["gen_ai.agent.id", "gen_ai.conversation.id", "user.id", "other"],
  ["gen_ai.tool.name", "gen_ai.tool.call.result", "spanseal.action.outcome"],
  ["gen_ai.response.finish_reasons", "gen_ai.usage.input_tokens", "gen_ai.output.messages"],
  ["gen_ai.retrieval.documents", "error.type", "user.roles"],
  ["spanseal.decision.outcome", "spanseal.decision.by", "spanseal.decision.would_deny"],
  ["mcp.method.name", "gen_ai.tool.name"],
  ["db.system.name", "db.query.text"],
];
const operation = fc.constantFrom("chat", "execute_tool", "invoke_agent", "retrieval");
const attributes = fc
  .tuple(operation, fc.constantFrom(...KEYS), fc.array(value, { minLength: 4, maxLength: 4 }))
  .map(([name, keys, values]) => ({
    "gen_ai.operation.name": name,
    ...Object.fromEntries(keys.map((key, index) => [key, values[index]])),
  }));
const status = fc.constantFrom(undefined, { code: 2 }, { code: 2, message: "why" }, { code: 1 });
const span = fc.record({
  name: fc.constantFrom("one", ""),
  kind: fc.constantFrom(0, 1, 3, 9),
  attributes,
  status,
  events: fc.constantFrom([], [{ name: "exception", attributes: { "exception.type": "E" } }]),
});
const pair = fc.record({
  above: span,
  below: span,
  nested: fc.boolean(),
  authenticated: fc.boolean(),
  resource: fc.dictionary(fc.constantFrom("user.id", "service.name", "gen_ai.agent.name"), text),
});
type Pair = typeof pair extends fc.Arbitrary<infer Value> ? Value : never;

function bodies({ above, below, nested, ...options }: Pair, used: AuditPolicy): unknown[] {
  const spans = [
    { ...above, id: 1 },
    { ...below, id: 2, ...(nested && { parent: 1 }) },
  ] as SpanInput[];
  return map(spans, { ...options, policy: used }).map(({ body }) => body);
}

/** The same with texts that say nothing particular, which come of the same layouts. */
function plain({ above, below, ...others }: Pair): Pair {
  const plainSpan = (one: Pair["above"]): Pair["above"] => {
    const entries = Object.entries(one.attributes).map(([key, said]) => [
      key,
      typeof said === "string" && key !== "gen_ai.operation.name" ? "plain" : said,
    ]);
    return { ...one, attributes: Object.fromEntries(entries) as Pair["above"]["attributes"] };
  };
  return { ...others, above: plainSpan(above), below: plainSpan(below) };
}

test("what was drawn for other records gives the same as what is drawn anew", () => {
  const long = policy();
  const property = fc.property(pair, (one) => {
    const anew = bodies(one, policy());
    const used = policy();
    const before = bodies(plain(one), used);
    expect(bodies(one, used)).toEqual(anew);
    expect(bodies(plain(one), used)).toEqual(before);
    expect(bodies(one, long)).toEqual(anew);
  });
  expect(() => fc.assert(property, { numRuns: 300, endOnFailure: true })).not.toThrow();
});
