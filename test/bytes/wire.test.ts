/** The wire reader against the reader of protobufjs, and against bytes that nobody would write. */
import * as fc from "fast-check";
import protobuf from "protobufjs";
import { expect, test } from "vitest";
import {
  FIXED32,
  FIXED64,
  GROUP_END,
  GROUP_START,
  LENGTH_DELIMITED,
  VARINT,
  WireError,
  WireReader,
  varintSize,
  writeVarint,
} from "../../src/bytes/wire.ts";
import { nestingDepthMax } from "../../src/limits.ts";

interface SeenField {
  readonly field: number;
  readonly wireType: number;
  readonly start: number;
  readonly stop: number;
}

function fieldsByUs(bytes: Uint8Array): SeenField[] {
  const reader = new WireReader(bytes);
  const fields: SeenField[] = [];
  let end = 0;
  while (reader.next()) {
    expect(reader.tagStart).toBe(end);
    end = reader.position;
    const { field, wireType, start, stop } = reader;
    fields.push({ field, wireType, start, stop });
  }
  expect(end).toBe(bytes.length);
  return fields;
}

/** The same by protobufjs; throws where it does. */
function fieldsByProtobufjs(bytes: Uint8Array): SeenField[] {
  const reader = protobuf.Reader.create(bytes);
  const fields: SeenField[] = [];
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    const wireType = tag & 7;
    let start = reader.pos;
    reader.skipType(wireType, 0, tag >>> 3);
    let stop = reader.pos;
    if (wireType === LENGTH_DELIMITED) {
      const probe = protobuf.Reader.create(bytes);
      probe.pos = start;
      start = stop - probe.uint32();
    }
    // A group's payload ends before the tag that closes it.
    if (wireType === GROUP_START) stop -= varintSize((tag >>> 3) * 8 + GROUP_END);
    fields.push({ field: tag >>> 3, wireType, start, stop });
  }
  return fields;
}

const fieldNumber = fc.oneof(
  fc.integer({ min: 1, max: 20 }),
  fc.integer({ min: 1, max: 2 ** 29 - 1 }),
);
const uint64 = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });

function varint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return Uint8Array.from([...bytes, Number(rest)]);
}

const tagged = (field: number, wireType: number, payload: Uint8Array): Uint8Array =>
  Buffer.concat([varint(BigInt(field) * 8n + BigInt(wireType)), payload]);

const { message } = fc.letrec<{ message: Uint8Array; field: Uint8Array }>((tie) => ({
  message: fc.array(tie("field"), { maxLength: 5 }).map((fields) => Buffer.concat(fields)),
  field: fc.oneof(
    { maxDepth: 5 },
    fc.tuple(fieldNumber, uint64).map(([field, value]) => tagged(field, VARINT, varint(value))),
    fc
      .tuple(fieldNumber, fc.uint8Array({ minLength: 8, maxLength: 8 }))
      .map(([field, payload]) => tagged(field, FIXED64, payload)),
    fc
      .tuple(fieldNumber, fc.uint8Array({ minLength: 4, maxLength: 4 }))
      .map(([field, payload]) => tagged(field, FIXED32, payload)),
    fc
      .tuple(fieldNumber, fc.oneof(fc.uint8Array({ maxLength: 200 }), tie("message")))
      .map(([field, payload]) =>
        tagged(field, LENGTH_DELIMITED, Buffer.concat([varint(BigInt(payload.length)), payload])),
      ),
    fc
      .tuple(fieldNumber, tie("message"))
      .map(([field, payload]) =>
        Buffer.concat([
          tagged(field, GROUP_START, payload),
          tagged(field, GROUP_END, new Uint8Array(0)),
        ]),
      ),
  ),
}));

test("the fields of any message have the same bounds as protobufjs gives them", () => {
  fc.assert(
    fc.property(message, (bytes) => {
      expect(fieldsByUs(bytes)).toEqual(fieldsByProtobufjs(bytes));
    }),
    { numRuns: 2_000 },
  );
});

test("a message inside of other bytes is read between its bounds", () => {
  fc.assert(
    fc.property(message, fc.uint8Array({ maxLength: 9 }), (bytes, around) => {
      const whole = Buffer.concat([around, bytes, around]);
      const reader = new WireReader(whole, around.length, around.length + bytes.length);
      for (const expected of fieldsByUs(bytes)) {
        expect(reader.next()).toBe(true);
        expect(reader.start - around.length).toBe(expected.start);
        expect(reader.stop - around.length).toBe(expected.stop);
      }
      expect(reader.next()).toBe(false);
    }),
  );
});

test("every cut of a message ends between two fields or is refused", () => {
  fc.assert(
    fc.property(message, (bytes) => {
      const ends = new Set([
        0,
        ...fieldsByUs(bytes).map(({ stop, field, wireType }) =>
          wireType === GROUP_START ? stop + varintSize(field * 8 + GROUP_END) : stop,
        ),
      ]);
      for (let cut = 0; cut < bytes.length; cut++) {
        expect([cut, outcome(bytes.subarray(0, cut)) === "read"]).toEqual([cut, ends.has(cut)]);
      }
    }),
    { numRuns: 300 },
  );
});

function outcome(bytes: Uint8Array): "read" | "malformed" | "too_deep" {
  try {
    const reader = new WireReader(bytes);
    while (reader.next());
    return "read";
  } catch (error) {
    if (error instanceof WireError) return error.code;
    throw error;
  }
}

test("random bytes are read as protobufjs reads them, or refused", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 30 }),
    fc
      .array(fc.constantFrom(0x0a, 0x0b, 0x0c, 0x08, 0x0d, 0x09, 0x00, 0x01, 0x02, 0x80, 0xff), {
        maxLength: 14,
      })
      .map((some) => Uint8Array.from(some)),
  );
  fc.assert(
    fc.property(bytes, (some) => {
      const read = outcome(some) === "read";
      expect(read ? fieldsByUs(some) : []).toEqual(read ? fieldsByProtobufjs(some) : []);
    }),
    { numRuns: 20_000 },
  );
});

test("what is read out of a field is what protobufjs reads", () => {
  fc.assert(
    fc.property(uint64, fc.double(), (value, double) => {
      const low = Number(value & 0xffff_ffffn);
      const bits = new protobuf.util.LongBits(low, Number(value >> 32n));
      const writer = protobuf.Writer.create();
      writer.uint32(8).uint64(bits.toLong(true));
      writer.uint32(17).fixed64(bits.toLong(true));
      writer.uint32(25).double(double);
      const reader = new WireReader(writer.finish());
      reader.next();
      expect(reader.uint64()).toBe(value);
      expect(reader.int64()).toBe(BigInt.asIntN(64, value));
      expect(reader.uint32()).toBe(low);
      reader.next();
      expect(reader.fixed64()).toBe(value);
      reader.next();
      expect(reader.double()).toBe(double);
    }),
  );
});

test("a varint takes as many bytes as it needs, and reads back", () => {
  const edges = [7, 14, 21, 28, 35, 42, 49].flatMap((bits) => [2 ** bits - 1, 2 ** bits]);
  fc.assert(
    fc.property(
      fc.oneof(fc.maxSafeNat(), fc.constantFrom(0, ...edges, Number.MAX_SAFE_INTEGER)),
      (value) => {
        const bytes = new Uint8Array(12);
        const size = writeVarint(bytes, 1, value) - 1;
        expect(size).toBe(varintSize(value));
        expect(bytes.subarray(1, 1 + size)).toEqual(varint(BigInt(value)));
        expect([bytes[0], ...bytes.subarray(1 + size)]).toEqual(Array(12 - size).fill(0));
      },
    ),
  );
});

test.each([
  ["field number 0", [0x00]],
  ["field number 0 in a group", [0x0b, 0x00, 0x01, 0x0c]],
  ["a reserved wire type", [0x0e]],
  ["a group end without a group", [0x0c]],
  ["an unclosed group", [0x0b, 0x08, 0x01]],
  ["a group closed by another's end", [0x0b, 0x14]],
  ["a tag of six bytes", [0x88, 0x80, 0x80, 0x80, 0x80, 0x00, 0x01]],
  ["a tag over 32 bits", [0x88, 0x80, 0x80, 0x80, 0x10, 0x01]],
  ["a varint of eleven bytes", [0x08, ...Array(10).fill(0x80), 0x00]],
  ["a length over 32 bits", [0x0a, 0xff, 0xff, 0xff, 0xff, 0x7f]],
  ["a length of minus one", [0x0a, ...Array(9).fill(0xff), 0x01]],
  ["a length beyond the end", [0x0a, 0x02, 0x00]],
  ["a field without its payload", [0x08]],
  ["a fixed field that ends early", [0x09, 0, 0, 0, 0, 0, 0, 0]],
])("%s is malformed", (_, bytes) => {
  expect(outcome(Uint8Array.from(bytes as number[]))).toBe("malformed");
});

test("groups nest so deep and no deeper", () => {
  const groups = (count: number): Uint8Array =>
    Uint8Array.from([...Array(count).fill(0x0b), ...Array(count).fill(0x0c)]);
  expect(outcome(groups(nestingDepthMax))).toBe("read");
  expect(outcome(groups(nestingDepthMax + 1))).toBe("too_deep");
  expect(outcome(new Uint8Array(1_000_000).fill(0x0b))).toBe("too_deep");
});
