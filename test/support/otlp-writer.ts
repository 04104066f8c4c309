/** Writes OTLP messages as protobuf from plain objects with the OTLP/JSON member names. */
import { messageNamed } from "../../src/audit/otlp/schema.ts";
import type { Field, Message } from "../../src/audit/otlp/schema.ts";
import { FIXED32, FIXED64, LENGTH_DELIMITED, VARINT } from "../../src/bytes/wire.ts";

export type Plain = { readonly [name: string]: unknown };

/** `value` uses Uint8Array for ids and bytes, bigint for 64-bit integers (number is accepted). */
export function encodeOtlp(messageName: string, value: Plain): Uint8Array {
  return Buffer.concat(encodeMessage(messageNamed(messageName), value));
}

/** The same message as OTLP/JSON: hexadecimal ids, base64 bytes, 64-bit integers as strings. */
export function encodeOtlpJson(messageName: string, value: Plain): string {
  return JSON.stringify(jsonMessage(messageNamed(messageName), value));
}

function jsonMessage(message: Message, value: Plain): Plain {
  const members = Object.entries(value).filter(([, member]) => member !== undefined);
  return Object.fromEntries(
    members.map(([name, member]) => {
      const field = message.byName.get(name);
      if (field === undefined) throw new Error(`${message.name} has no ${name}`);
      const json = field.repeated
        ? (member as unknown[]).map((one) => jsonField(field, one))
        : jsonField(field, member);
      return [name, json];
    }),
  );
}

function jsonField(field: Field, value: unknown): unknown {
  if (field.kind === "message") return jsonMessage(field.message!, value as Plain);
  if (field.kind === "id") return Buffer.from(value as Uint8Array).toString("hex");
  if (field.kind === "bytes") return Buffer.from(value as Uint8Array).toString("base64");
  if (field.kind.endsWith("64")) return String(value);
  return value;
}

/** An AnyValue from a JavaScript value: integers become intValue, other numbers doubleValue. */
export function anyValue(value: unknown): Plain {
  if (typeof value === "string") return { stringValue: value };
  if (typeof value === "boolean") return { boolValue: value };
  if (typeof value === "bigint") return { intValue: value };
  if (typeof value === "number") {
    return Number.isSafeInteger(value) ? { intValue: value } : { doubleValue: value };
  }
  if (value instanceof Uint8Array) return { bytesValue: value };
  if (Array.isArray(value)) return { arrayValue: { values: value.map(anyValue) } };
  if (value === null || value === undefined) return {};
  return { kvlistValue: { values: attributes(value as Plain) } };
}

export function attributes(members: Plain): Plain[] {
  return Object.entries(members).map(([key, value]) => ({ key, value: anyValue(value) }));
}

function encodeMessage(message: Message, value: Plain): Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (const [name, member] of Object.entries(value)) {
    const field = message.byName.get(name);
    if (field === undefined) throw new Error(`${message.name} has no ${name}`);
    if (member === undefined) continue;
    const members = field.repeated ? (member as unknown[]) : [member];
    for (const one of members) parts.push(...encodeField(field, one));
  }
  return parts;
}

function encodeField(field: Field, value: unknown): Uint8Array[] {
  switch (field.kind) {
    case "message": {
      const parts = encodeMessage(field.message!, value as Plain);
      return delimited(field.number, Buffer.concat(parts));
    }
    case "string":
      return delimited(field.number, Buffer.from(value as string));
    case "bytes":
    case "id":
      return delimited(field.number, value as Uint8Array);
    case "bool":
      return [tag(field.number, VARINT), varint(value === true ? 1n : 0n)];
    case "sint32": {
      const number = BigInt(value as number);
      return [tag(field.number, VARINT), varint((number << 1n) ^ (number >> 31n))];
    }
    case "fixed32": {
      const bytes = Buffer.alloc(4);
      bytes.writeUInt32LE(value as number);
      return [tag(field.number, FIXED32), bytes];
    }
    case "fixed64":
    case "sfixed64": {
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64LE(BigInt.asUintN(64, BigInt(value as number | bigint)));
      return [tag(field.number, FIXED64), bytes];
    }
    case "double": {
      const bytes = Buffer.alloc(8);
      bytes.writeDoubleLE(value as number);
      return [tag(field.number, FIXED64), bytes];
    }
    default:
      return [tag(field.number, VARINT), varint(BigInt(value as number | bigint))];
  }
}

function delimited(number: number, payload: Uint8Array): Uint8Array[] {
  return [tag(number, LENGTH_DELIMITED), varint(BigInt(payload.length)), payload];
}

function tag(number: number, wireType: number): Uint8Array {
  return varint(BigInt(number * 8 + wireType));
}

function varint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, value);
  while (rest >= 128n) {
    bytes.push(Number(rest & 0x7fn) | 0x80);
    rest >>= 7n;
  }
  bytes.push(Number(rest));
  return Uint8Array.from(bytes);
}
