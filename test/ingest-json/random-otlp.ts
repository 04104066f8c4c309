/** Random OTLP messages, and their OTLP/JSON in one of the many spellings that a sender may choose. */
import * as fc from "fast-check";
import protobuf from "protobufjs";
import { otlp } from "./otlp-proto.ts";

/** Members by field name: bigint for integers, Uint8Array for bytes and ids. */
export type Tree = { readonly [name: string]: unknown };

const RANGES: Readonly<Record<string, readonly [bigint, bigint]>> = {
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  uint32: [0n, 2n ** 32n - 1n],
  sint32: [-(2n ** 31n), 2n ** 31n - 1n],
  fixed32: [0n, 2n ** 32n - 1n],
  int64: [-(2n ** 63n), 2n ** 63n - 1n],
  uint64: [0n, 2n ** 64n - 1n],
  fixed64: [0n, 2n ** 64n - 1n],
  sfixed64: [-(2n ** 63n), 2n ** 63n - 1n],
};

const text = fc.oneof(
  fc.string({ maxLength: 12 }),
  fc.string({ unit: "binary", maxLength: 12 }),
  fc.string({ minLength: 100, maxLength: 300 }),
  fc.constantFrom("", "\u0000", '"\\/', "\u{1F600}é", "\u2028", "null"),
);

/** Random messages of a type; values nest at most `depth` levels further. */
export function arbitraryMessage(typeName: string, depth: number = 3): fc.Arbitrary<Tree> {
  const type = otlp.lookupType(typeName);
  const members: Record<string, fc.Arbitrary<unknown>> = {};
  for (const field of type.fieldsArray) {
    const nested = field.resolvedType instanceof protobuf.Type;
    if (nested && depth === 0 && typeName === "AnyValue") continue;
    const one = arbitraryValue(field, typeName === "AnyValue" ? depth - 1 : depth);
    members[field.name] = field.repeated ? fc.array(one, { maxLength: 3 }) : one;
  }
  const oneofs = type.oneofsArray.filter((oneof) => oneof.oneof.length > 1);
  if (oneofs.length === 0) return fc.record(members, { requiredKeys: [] });
  return fc
    .record({
      choices: fc.array(fc.nat(), { minLength: oneofs.length, maxLength: oneofs.length }),
      tree: fc.record(members, { requiredKeys: [] }),
    })
    .map(({ choices, tree }) => keepOneOfEach(tree, oneofs, choices));
}

function keepOneOfEach(tree: Tree, oneofs: protobuf.OneOf[], choices: readonly number[]): Tree {
  const dropped = new Set<string>();
  oneofs.forEach((oneof, index) => {
    const present = oneof.oneof.filter((name) => name in tree);
    const kept = present[choices[index]! % Math.max(1, present.length)];
    for (const name of present) if (name !== kept) dropped.add(name);
  });
  return Object.fromEntries(Object.entries(tree).filter(([name]) => !dropped.has(name)));
}

function arbitraryValue(field: protobuf.Field, depth: number): fc.Arbitrary<unknown> {
  if (field.resolvedType instanceof protobuf.Type) {
    return arbitraryMessage(field.resolvedType.name, depth);
  }
  const range = RANGES[field.type];
  if (range !== undefined) {
    const [min, max] = range;
    const edges = [min, max, 0n, 1n, 1000n, 10n ** 9n].filter((value) => value <= max);
    return fc.oneof(fc.bigInt({ min, max }), fc.constantFrom(...edges));
  }
  if (field.type === "string") return text.map((value) => value.toWellFormed());
  if (field.type === "bool") return fc.boolean();
  if (field.type === "double") return fc.double();
  const idBytes = idBytesOf(field.name);
  if (idBytes === undefined) return fc.uint8Array({ maxLength: 20 });
  const id = fc.uint8Array({ minLength: idBytes, maxLength: idBytes });
  return fc.oneof({ weight: 5, arbitrary: id }, fc.constant(new Uint8Array(0)));
}

function idBytesOf(name: string): number | undefined {
  if (name === "traceId") return 16;
  return name === "spanId" || name === "parentSpanId" ? 8 : undefined;
}

/** The protobuf of a tree, by protobufjs. */
export function encodeTree(typeName: string, tree: Tree): Uint8Array {
  const type = otlp.lookupType(typeName);
  return type.encode(type.fromObject(forProtobuf(tree) as object)).finish();
}

function forProtobuf(value: unknown): unknown {
  if (typeof value === "bigint") {
    // protobufjs takes 64-bit integers as halves.
    if (value >= -(2n ** 31n) && value < 2n ** 32n) return Number(value);
    const bits = BigInt.asUintN(64, value);
    return { low: Number(bits & 0xffff_ffffn) | 0, high: Number(bits >> 32n) | 0, unsigned: false };
  }
  if (Array.isArray(value)) return value.map(forProtobuf);
  if (value instanceof Uint8Array || typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, forProtobuf(item)]));
}

/** Draws from a seed (mulberry32), so that a failing case can be repeated. */
export class Dice {
  private state: number;

  constructor(seed: number) {
    this.state = seed | 0;
  }

  /** An integer in [0, sides). */
  roll(sides: number): number {
    this.state = (this.state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.state ^ (this.state >>> 15), 1 | this.state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % sides;
  }

  pick<T>(items: readonly T[]): T {
    return items[this.roll(items.length)]!;
  }
}

const UNKNOWN = [
  '"unknown"',
  "17",
  "-0.5e+3",
  "null",
  "[]",
  "{}",
  '[{"a":[true,false,{"b":"\\u0041\\n"}]},[[[]]]]',
  '{"":{"spans":[1,2],"name":{}}}',
];

/** OTLP/JSON of a tree: white space, order, spellings and unknown members as the dice fall. */
export function writeJson(typeName: string, tree: Tree, dice: Dice): string {
  const type = otlp.lookupType(typeName);
  const members = Object.entries(tree).map(([name, value]) => {
    const field = type.fields[name]!;
    const one = (item: unknown): string => writeValue(field, item, dice);
    const json = field.repeated ? list((value as unknown[]).map(one), "[]", dice) : one(value);
    return `${writeString(name, dice)}${space(dice)}:${space(dice)}${json}`;
  });
  if (dice.roll(6) === 0)
    members.push(`"${dice.pick(["x", "trace_id", "Name"])}":${dice.pick(UNKNOWN)}`);
  if (dice.roll(6) === 0) {
    const absent = type.fieldsArray.filter((field) => !(field.name in tree));
    if (absent.length > 0) members.push(`"${dice.pick(absent).name}":null`);
  }
  members.sort(() => dice.roll(3) - 1);
  return list(members, "{}", dice);
}

function list(items: readonly string[], brackets: string, dice: Dice): string {
  const inner = items.join(`${space(dice)},${space(dice)}`);
  return `${brackets[0]!}${space(dice)}${inner}${space(dice)}${brackets[1]!}`;
}

function space(dice: Dice): string {
  return dice.roll(4) === 0 ? dice.pick([" ", "\n", "\r\n", "\t", "  "]) : "";
}

function writeValue(field: protobuf.Field, value: unknown, dice: Dice): string {
  if (field.resolvedType instanceof protobuf.Type) {
    return writeJson(field.resolvedType.name, value as Tree, dice);
  }
  if (typeof value === "bigint") return writeInteger(field, value, dice);
  if (typeof value === "number") return writeDouble(value, dice);
  if (typeof value === "string") return writeString(value, dice);
  if (typeof value === "boolean") return String(value);
  const bytes = Buffer.from(value as Uint8Array);
  if (idBytesOf(field.name) !== undefined) {
    const hex = bytes.toString("hex");
    return `"${dice.roll(2) === 0 ? hex : hex.toUpperCase()}"`;
  }
  return writeString(bytes.toString(dice.pick(["base64", "base64url"])), dice);
}

function writeInteger(field: protobuf.Field, value: bigint, dice: Dice): string {
  const zeros = /0*$/.exec(String(value))![0].length;
  const spelling = dice.pick([
    String(value),
    String(value),
    `${value}.0`,
    zeros === 0 || value === 0n ? String(value) : `${value / 10n ** BigInt(zeros)}e${zeros}`,
    value === 0n ? "0E-2" : `${value}00E-2`,
  ]);
  const isEnum = /^(kind|code|severityNumber|aggregationTemporality)$/.test(field.name);
  return !isEnum && dice.roll(2) === 0 ? `"${spelling}"` : spelling;
}

function writeDouble(value: number, dice: Dice): string {
  if (!Number.isFinite(value)) return `"${value}"`;
  const spelling = Object.is(value, -0) ? "-0.0" : String(value);
  return dice.roll(4) === 0 ? `"${spelling}"` : spelling;
}

/** Every character may be escaped, and some must be. */
function writeString(value: string, dice: Dice): string {
  const often = dice.roll(3) === 0;
  let json = "";
  for (const character of value) {
    if (often && dice.roll(4) === 0) {
      for (let index = 0; index < character.length; index++) {
        json += `\\u${character.charCodeAt(index).toString(16).padStart(4, "0")}`;
      }
    } else json += JSON.stringify(character).slice(1, -1);
  }
  return `"${often ? json.replaceAll("/", "\\/") : json}"`;
}
