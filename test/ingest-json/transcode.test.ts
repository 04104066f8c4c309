import * as fc from "fast-check";
import { expect, test } from "vitest";
import { SIGNALS } from "../../src/audit/otlp/schema.ts";
import type { Message } from "../../src/audit/otlp/schema.ts";
import { REQUEST } from "../../src/audit/otlp/schema.ts";
import { transcodeJson } from "../../src/ingest/json.ts";
import protobuf from "protobufjs";
import { TOP, decodeOtlp, otlp } from "./otlp-proto.ts";
import { Dice, arbitraryMessage, encodeTree, writeJson } from "./random-otlp.ts";

test.each(SIGNALS)(
  "random %s requests come through in every spelling",
  (signal) => {
    const requests = arbitraryMessage(TOP[signal]);
    fc.assert(
      fc.property(requests, fc.integer(), (tree, seed) => {
        const json = writeJson(TOP[signal], tree, new Dice(seed));
        expect(() => JSON.parse(json) as unknown).not.toThrow();
        const bytes = transcodeJson(signal, Buffer.from(json));
        const expected = decodeOtlp(TOP[signal], encodeTree(TOP[signal], tree));
        expect(decodeOtlp(TOP[signal], bytes)).toEqual(expected);
      }),
      { numRuns: 300 },
    );
  },
  60_000,
);

test("the table has every field of the protocol with its number and type", () => {
  const seen = new Set<string>();
  const check = (message: Message, type: protobuf.Type): void => {
    if (seen.has(type.name)) return;
    seen.add(type.name);
    const ours = message.fields.map(
      ({ name, number, kind, repeated, message: child }) =>
        `${number} ${name} ${repeated} ${child?.name ?? ({ id: "bytes", enum: "int32" } as Record<string, string>)[kind] ?? kind}`,
    );
    const theirs = type.fieldsArray.map(
      (field) => `${field.id} ${field.name} ${field.repeated} ${field.type}`,
    );
    expect([type.name, ...ours.toSorted()]).toEqual([type.name, ...theirs.toSorted()]);
    for (const { number, message: child } of message.fields) {
      if (child !== undefined) check(child, type.fieldsById[number]!.resolvedType as protobuf.Type);
    }
  };
  for (const signal of SIGNALS) check(REQUEST[signal], otlp.lookupType(TOP[signal]));
  expect(seen.size).toBe(34);
});
