/** Policies, an independent decoder, and requests with a string in every position. */
import protobuf from "protobufjs";
import { compileRedaction } from "../../src/audit/redact/policy.ts";
import type { RedactionConfig, RedactionPolicy } from "../../src/audit/redact/policy.ts";
import { messageNamed, REQUEST } from "../../src/audit/otlp/schema.ts";
import type { Field, Message, Signal } from "../../src/audit/otlp/schema.ts";

export const pepper = { id: "1", key: new Uint8Array(32).fill(7) };

export function policyOf(config: Partial<RedactionConfig> = {}): RedactionPolicy {
  return compileRedaction({
    packs: ["core", "secrets", "us"],
    rules: [],
    phi: [],
    pepper,
    ...config,
  });
}

const scalarTypes: Readonly<Record<string, string>> = { id: "bytes", enum: "int32" };
const root = new protobuf.Root();

/** protobufjs reads what our own code wrote. */
function typeOf(message: Message): protobuf.Type {
  const known = root.get(message.name);
  if (known instanceof protobuf.Type) return known;
  const type = new protobuf.Type(message.name);
  root.add(type);
  for (const field of message.fields) {
    const kind = field.message?.name ?? scalarTypes[field.kind] ?? field.kind;
    type.add(
      new protobuf.Field(field.name, field.number, kind, field.repeated ? "repeated" : undefined),
    );
    if (field.message !== undefined) typeOf(field.message);
  }
  return type;
}

for (const signal of ["traces", "logs", "metrics"] as const) typeOf(REQUEST[signal]);
root.resolveAll();

export function decode(signal: Signal, bytes: Uint8Array): unknown {
  const type = root.lookupType(REQUEST[signal].name);
  return type.toObject(type.decode(bytes), { longs: String, bytes: String });
}

/** A place for text in a message tree, named by the path of object members to it. */
export interface Position {
  readonly path: readonly (string | number)[];
  readonly field: Field;
  readonly owner: Message;
}

type Tree = Record<string, unknown>;

/** A message with every field, `AnyValue` nested through lists and maps, and its text positions. */
export function fullMessage(
  name: string,
  word: () => string,
): { value: Tree; positions: Position[] } {
  const positions: Position[] = [];
  const build = (message: Message, path: (string | number)[], depth: number): Tree => {
    if (message.name === "AnyValue") return anyValue(path, depth);
    const value: Tree = {};
    for (const field of message.fields) {
      const here = field.repeated ? [...path, field.name, 0] : [...path, field.name];
      const one = single(message, field, here, depth);
      value[field.name] = field.repeated ? [one] : one;
    }
    return value;
  };
  const single = (
    owner: Message,
    field: Field,
    path: (string | number)[],
    depth: number,
  ): unknown => {
    if (field.kind === "message") return build(field.message!, path, depth + 1);
    if (field.kind === "string") {
      positions.push({ path, field, owner });
      return word();
    }
    return scalar(field);
  };
  const anyValue = (path: (string | number)[], depth: number): Tree => {
    const fields = messageNamed("AnyValue").byName;
    const kinds = ["stringValue", "bytesValue", "arrayValue", "kvlistValue", "intValue"] as const;
    const kind = kinds[(path.length + positions.length) % kinds.length]!;
    const nested = kind === "arrayValue" || kind === "kvlistValue";
    if (kind === "intValue" || (nested && depth > 9)) return { intValue: 12n };
    const field = fields.get(kind)!;
    const owner = messageNamed("AnyValue");
    if (nested) return { [kind]: build(field.message!, [...path, kind], depth + 1) };
    positions.push({ path: [...path, kind], field, owner });
    return { [kind]: kind === "stringValue" ? word() : Buffer.from(word()) };
  };
  return { value: build(messageNamed(name), [], 0), positions };
}

function scalar(field: Field): unknown {
  switch (field.kind) {
    case "id":
      return Buffer.from("4111111111111111").subarray(0, field.name === "traceId" ? 16 : 8);
    case "bytes":
      return Buffer.from([1, 2, 3]);
    case "bool":
      return true;
    case "double":
      return 1.5;
    case "fixed64":
    case "uint64":
    case "int64":
    case "sfixed64":
      return 1_790_000_000_123_000_000n;
    default:
      return 2;
  }
}

/** A copy of `tree` with `value` at `path`. */
export function withAt(tree: unknown, path: readonly (string | number)[], value: unknown): unknown {
  const [first, ...rest] = path;
  if (first === undefined) return value;
  if (Array.isArray(tree)) {
    return tree.map((one, at) => (at === first ? withAt(one, rest, value) : one));
  }
  const object = tree as Tree;
  return { ...object, [first]: withAt(object[first], rest, value) };
}
