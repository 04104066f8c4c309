/** Which chain a record belongs to: what names it, and where nothing is guessed. */
import { expect, test } from "vitest";
import { mappedRecords } from "../../src/audit/mapped-record.ts";
import { TraceMemory } from "../../src/audit/trace-memory.ts";
import { LENGTH_DELIMITED, varintSize, writeVarint } from "../../src/bytes/wire.ts";
import { attributes, encodeOtlp } from "../support/otlp-writer.ts";
import { map, prepared, span, traces } from "./setup.ts";

const tool = { "gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "refund" };

test("namespace and tenant: span, scope, resource, trace, default", () => {
  const chains = (members: Parameters<typeof map>[0], options = {}): string[] =>
    map(members, options).map(({ namespace, tenant }) => `${namespace}/${tenant}`);
  const around = { resource: { "tenant.id": "r", "service.namespace": "shop" } };
  const scope = { scope: { name: "s", attributes: attributes({ "tenant.id": "s" }) } };
  const own = { attributes: { ...tool, "tenant.id": "t" } };
  const none = { attributes: tool };
  expect(chains([own], { ...around, ...scope })).toEqual(["shop/t"]);
  expect(chains([none], { ...around, ...scope })).toEqual(["shop/s"]);
  expect(chains([none], around)).toEqual(["shop/r"]);
  expect(chains([none, own])).toEqual(["default/t", "default/t"]);
  expect(chains([none])).toEqual(["default/default"]);
  const memory = new TraceMemory();
  map([own], { memory });
  expect(chains([none], { memory })).toEqual(["default/t"]);
  expect(chains([{ attributes: { ...tool, "tenant.id": 42 } }])).toEqual(["default/42"]);
});

test("names with spaces in them stay apart", () => {
  const records = map([
    { attributes: { ...tool, "service.namespace": "a b", "tenant.id": "c" } },
    { attributes: { ...tool, "service.namespace": "a", "tenant.id": "b c" } },
  ]);
  expect(records.map(({ namespace, tenant }) => [namespace, tenant])).toEqual([
    ["a b", "c"],
    ["a", "b c"],
  ]);
});

test("where a trace names two tenants, nothing is guessed", () => {
  const named = (tenant: string): object => ({ attributes: { ...tool, "tenant.id": tenant } });
  const records = map([named("a"), named("b"), { attributes: tool }] as never);
  expect(records.map(({ tenant }) => tenant)).toEqual(["a", "b", "default"]);
  expect(records[2]!.body.flags).toEqual(["ambiguous_correlation"]);
});

test("where a trace names two tenants in two requests, nothing is guessed either", () => {
  const memory = new TraceMemory();
  const named = (tenant: string): Parameters<typeof map>[0][number] => ({
    attributes: { ...tool, "tenant.id": tenant },
  });
  const unnamed = { attributes: tool };
  map([named("a")], { memory });
  expect(map([unnamed], { memory })[0]!.tenant).toBe("a");
  // What the request itself shows is nearer than what earlier ones showed.
  expect(map([named("b"), unnamed], { memory }).map(({ tenant }) => tenant)).toEqual(["b", "b"]);
  for (const known of [memory, memoryAfter([named("a"), named("b")])]) {
    const [record] = map([unnamed], { memory: known });
    expect([record!.tenant, record!.body.flags]).toEqual(["default", ["ambiguous_correlation"]]);
  }
  const once = memoryAfter([named("a")]);
  const mixed = map([named("a"), named("b"), unnamed], { memory: once });
  expect(mixed[2]).toMatchObject({ tenant: "default" });
});

function memoryAfter(members: Parameters<typeof map>[0]): TraceMemory {
  const memory = new TraceMemory();
  map(members, { memory });
  return memory;
}

test("a second copy of resource or scope adds to the first", () => {
  const item = { spans: [span({ attributes: tool })] };
  const scopes = [
    encodeOtlp("ScopeSpans", { scope: { name: "s", attributes: attributes({ a: 1 }) } }),
    encodeOtlp("ScopeSpans", { scope: { attributes: attributes({ "tenant.id": "t" }) }, ...item }),
  ];
  const resources = [
    encodeOtlp("ResourceSpans", { resource: { attributes: attributes({ "service.name": "n" }) } }),
    encodeOtlp("ResourceSpans", {
      resource: { attributes: attributes({ "service.namespace": "shop" }) },
    }),
    field(2, Buffer.concat(scopes)),
  ];
  const [record] = mappedRecords(prepared("traces", field(1, Buffer.concat(resources))));
  expect(record).toMatchObject({
    namespace: "shop",
    tenant: "t",
    body: { actor: { service: { name: "n" } }, source: { scope: "s" } },
  });
});

/** A length-delimited field. */
function field(number: number, payload: Uint8Array): Uint8Array {
  const length = new Uint8Array(varintSize(payload.length));
  writeVarint(length, 0, payload.length);
  return Buffer.concat([Buffer.of((number << 3) | LENGTH_DELIMITED), length, payload]);
}

test.each(["spanseal", " a", "x".repeat(129), "ü"])("the namespace %j is refused", (name) => {
  const bytes = traces([span({ attributes: tool })], { resource: { "service.namespace": name } });
  const memory = new TraceMemory();
  expect(() => prepared("traces", bytes, { memory })).toThrow(
    expect.objectContaining({ name: "RequestError", code: "bad_name" }) as Error,
  );
  expect(memory.size).toBe(0);
});
