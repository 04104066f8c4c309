/** Writes the value of an attribute as a member has it, whatever it came as. */
import { canonicalize } from "../bytes/canonical-json.ts";
import { doubleAt, integerAt, isTrue, type ValuePlace, writeValue } from "./json-value.ts";
import type { JsonWriter } from "./json-writer.ts";
import type { MemberType } from "./members.ts";
import { ARRAY, BOOL, DOUBLE, INT, STRING } from "./walk/columns.ts";

export function writeAs(
  type: MemberType,
  writer: JsonWriter,
  bytes: Uint8Array,
  place: ValuePlace,
): void {
  const { kind, start, stop } = place;
  switch (type) {
    case "any":
      writeValue(writer, bytes, place);
      return;
    case "texts":
      if (kind === ARRAY) writeValue(writer, bytes, place);
      else writeListText(writer, bytes, start, stop);
      return;
    case "boolean":
      writer.ascii(
        kind === BOOL ? String(isTrue(bytes, start, stop)) : asciiOf(bytes, start, stop),
      );
      if (kind !== BOOL) writer.coerced = true;
      return;
    case "integer":
      if (kind === INT) writeValue(writer, bytes, place);
      else {
        writer.ascii(String(Number(asciiOf(bytes, start, stop))));
        writer.coerced = true;
      }
      return;
    default:
      if (kind === STRING) writer.string(bytes, start, stop);
      else writeScalarText(writer, bytes, place);
  }
}

function asciiOf(bytes: Uint8Array, start: number, stop: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, stop - start).toString("latin1");
}

/** A number or boolean where a text is expected: its text. */
function writeScalarText(writer: JsonWriter, bytes: Uint8Array, place: ValuePlace): void {
  const { kind, start, stop } = place;
  let text: string;
  if (kind === INT) text = String(integerAt(bytes, start, stop));
  else if (kind === DOUBLE) text = String(doubleAt(bytes, start));
  else text = String(isTrue(bytes, start, stop));
  writer.ascii(`"${text}"`);
  writer.coerced = true;
}

/** A list that came as one text: as a JSON list where it is one, else as its only element. */
function writeListText(writer: JsonWriter, bytes: Uint8Array, start: number, stop: number): void {
  const list = bytes[start] === OPEN_LIST ? listIn(bytes.subarray(start, stop)) : undefined;
  if (list === undefined) {
    writer.byte(OPEN_LIST);
    writer.string(bytes, start, stop);
    writer.byte(CLOSE_LIST);
  } else writer.json(canonicalize(list));
  writer.coerced = true;
}

const OPEN_LIST = 0x5b;
const CLOSE_LIST = 0x5d;

/** Undefined for a text that only begins like a list. */
function listIn(bytes: Uint8Array): string[] | undefined {
  try {
    const list = JSON.parse(Buffer.from(bytes).toString()) as unknown;
    const isList = Array.isArray(list) && list.every((element) => typeof element === "string");
    return isList ? list : undefined;
  } catch {
    return undefined;
  }
}
