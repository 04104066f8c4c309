/** P1, P9 and the bound of depth: what passes the first look at a request. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { REQUEST, type Signal } from "../../src/audit/otlp/schema.ts";
import { WireError, WireReader } from "../../src/bytes/wire.ts";
import { checkWire } from "../../src/ingest/check-wire.ts";
import { decodeOtlp, TOP } from "../ingest-json/otlp-proto.ts";
import { agentRequest } from "../support/agent-load.ts";

const spans = agentRequest({ seed: 3, spans: 20, personalDataShare: 0.5 });

function hex(text: string): Uint8Array {
  return new Uint8Array(Buffer.from(text.replaceAll(" ", ""), "hex"));
}

/** A field around bytes, with the shortest length. */
function field(number: number, inner: Uint8Array): Uint8Array {
  const size = inner.length;
  const length = size < 128 ? [size] : [(size & 0x7f) | 0x80, size >> 7];
  return Buffer.concat([Buffer.from([(number << 3) | 2, ...length]), inner]);
}

test("counts spans, log records and metrics", () => {
  expect(checkWire("traces", spans)).toBe(20);
  const empty = new Uint8Array();
  for (const signal of ["traces", "logs", "metrics"] as const) {
    expect(checkWire(signal, empty)).toBe(0);
    const item = field(1, field(2, Buffer.concat([field(2, empty), field(2, empty)])));
    expect(checkWire(signal, Buffer.concat([item, item]))).toBe(4);
  }
});

test.each([
  ["an unknown varint", "f8 07 ff ff ff ff ff ff ff ff ff 01"],
  ["an unknown fixed64", "f9 07 00 00 00 00 00 00 00 00"],
  ["unknown bytes", "fa 07 03 ff ff ff"],
  ["an unknown group with a group in it", "fb 07 08 01 13 14 fc 07"],
  ["an unknown fixed32", "fd 07 00 00 00 00"],
  ["a known message as a varint", "08 01"],
  ["a field with an overlong length", "0a 80 80 00"],
  ["two of a single field", "0a 04 0a 00 0a 00"],
])("P1: %s passes", (_, text) => {
  expect(checkWire("traces", hex(text))).toBe(0);
});

test("P1: strings that are no UTF-8 pass", () => {
  const span = field(5, hex("ff fe c3 28"));
  expect(checkWire("traces", field(1, field(2, field(2, span))))).toBe(1);
});

test.each([
  ["a truncated tag", "80"],
  ["an overlong tag", "80 80 80 80 80 01"],
  ["field number 0", "02 00"],
  ["wire type 6", "0e"],
  ["wire type 7", "0f 00"],
  ["a length without bytes", "0a"],
  ["a length beyond the end", "0a 05 00"],
  ["a length of two bytes beyond the end", "0a ff 01 00 00"],
  ["a negative length", "0a ff ff ff ff ff ff ff ff ff 01"],
  ["a length of more than 32 bits", "0a ff ff ff ff 7f"],
  ["an inner length beyond its message", "0a 02 12 01 12 00"],
  ["a truncated varint", "10 ff"],
  ["an overlong varint", "10 ff ff ff ff ff ff ff ff ff ff 01"],
  ["a truncated fixed64", "11 00 00 00"],
  ["a truncated fixed32", "15 00"],
  ["an unclosed group", "0b"],
  ["a group closed by another", "0b 14"],
  ["the end of a group alone", "0c"],
])("P1: %s is refused", (_, text) => {
  expect(() => checkWire("traces", hex(text))).toThrow(WireError);
});

test("every truncation of a request is refused or is a shorter request", () => {
  for (let size = 0; size < spans.length; size += 7) {
    const part = spans.subarray(0, size);
    expect(passes(() => checkWire("traces", part))).toBe(passes(() => walk("traces", part)));
  }
});

/** The same question to the plain reader. */
function walk(signal: Signal, bytes: Uint8Array): void {
  const message = (reader: WireReader, type = REQUEST[signal], depth = 1): void => {
    if (depth > 100) throw new WireError("too_deep", "", 0);
    while (reader.next()) {
      const inner = type.byNumber[reader.field]?.message;
      if (inner !== undefined && reader.wireType === 2) message(reader.message(), inner, depth + 1);
    }
  };
  message(new WireReader(bytes));
}

function passes(check: () => unknown): boolean {
  try {
    check();
    return true;
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
    return false;
  }
}

test("changed bytes pass where they pass the plain reader, and never crash", () => {
  const small = agentRequest({ seed: 3, spans: 2, personalDataShare: 0.5 });
  const change = fc.tuple(fc.nat(small.length - 1), fc.nat(255));
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), (changes) => {
      const bytes = new Uint8Array(small);
      for (const [at, value] of changes) bytes[at] = value;
      const passed = passes(() => checkWire("traces", bytes));
      expect(passed).toBe(passes(() => walk("traces", bytes)));
    }),
    { numRuns: 2_000 },
  );
});

test("what passes is what an independent decoder accepts", () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 40 }),
      fc.constantFrom<Signal>("traces", "logs"),
      (bytes, signal) => {
        let decoded = true;
        try {
          decodeOtlp(TOP[signal], bytes);
        } catch {
          decoded = false;
        }
        // Not the other way round: that decoder takes lengths of more than 32 bits and their like.
        const passed = passes(() => checkWire(signal, bytes));
        expect(passed && !decoded).toBe(false);
      },
    ),
    { numRuns: 2_000 },
  );
});

test("more than 100 messages deep are refused", () => {
  const nested = (depth: number): Uint8Array => {
    // Request, resource spans, resource, attribute, value; then two for each list.
    let value: Uint8Array = hex("10 01");
    for (let level = 5; level < depth; level += 2) value = field(5, field(1, value));
    return field(1, field(1, field(1, field(2, value))));
  };
  expect(checkWire("traces", nested(99))).toBe(0);
  expect(() => checkWire("traces", nested(101))).toThrow(
    expect.objectContaining({ code: "too_deep" }) as Error,
  );
});

test("an attribute is as deep as it is, usual or not", () => {
  const nested = (depth: number, member: string): Uint8Array => {
    // Request, resource spans, resource, attribute, value; then a map and a member for each level.
    let inner: Uint8Array = hex(member);
    for (let level = 7; level < depth; level += 3) inner = field(2, field(6, field(1, inner)));
    return field(1, field(1, field(1, inner)));
  };
  const depthOf = (bytes: Uint8Array): boolean => passes(() => checkWire("traces", bytes));
  const walked = (bytes: Uint8Array): boolean => passes(() => walk("traces", bytes));
  for (const member of ["0a 01 61 12 02 18 01", "0a 01 61 12 03 0a 01 62", "12 02 18 01"]) {
    for (let depth = 91; depth < 106; depth++) {
      const bytes = nested(depth, member);
      expect(depthOf(bytes), `${member} at ${depth}`).toBe(walked(bytes));
    }
    expect(depthOf(nested(91, member))).toBe(true);
    expect(depthOf(nested(105, member))).toBe(false);
  }
});
