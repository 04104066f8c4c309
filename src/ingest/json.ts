/**
 * OTLP/JSON, walked as text and written as protobuf in one pass. `JSON.parse` would round 64-bit
 * integers, keep one of two equal keys and build an object for every attribute.
 *
 * What is where the specifications leave room:
 * - A member that occurs twice is written twice and means what protobuf says of a field that occurs
 *   twice: the last scalar counts, lists are joined, messages merged. Redaction sees every copy.
 * - What is present is written, defaults included; `null` is absent, but a null in a list of
 *   messages is an empty message, because positions count.
 * - Ill-formed UTF-8 and lone surrogates become U+FFFD: protobuf strings have no room for either.
 * - Unknown members are left out, as JSON has no field numbers to keep them under.
 *
 * Sources: opentelemetry.io/docs/specs/otlp (JSON Protobuf Encoding), protobuf.dev ProtoJSON.
 */
import { isUtf8 } from "node:buffer";
import { REQUEST } from "../audit/otlp/schema.ts";
import type { Field, Message, Signal } from "../audit/otlp/schema.ts";
import { decodeUtf8Lossy, encodeUtf8 } from "../bytes/utf8.ts";
import { FIXED32, FIXED64, LENGTH_DELIMITED, VARINT } from "../bytes/wire.ts";
import { nestingDepthMax, requestBytesMax } from "../limits.ts";
import { writeUsualAttribute } from "./json-attribute.ts";
import {
  ARRAY_END,
  ARRAY_START,
  JsonCursor,
  JsonError,
  OBJECT_END,
  OBJECT_START,
} from "./json-cursor.ts";
import { SCALAR_WRITERS, unescape } from "./json-scalar.ts";
import type { ScalarWriter } from "./json-scalar.ts";
import { type Words, wordsOf } from "./json-words.ts";
import { ProtobufOutput } from "./protobuf-output.ts";

export { JsonError } from "./json-cursor.ts";

/**
 * The Export…ServiceRequest in `text` as protobuf.
 *
 * @throws JsonError where the text is not JSON, does not fit the signal's messages, nests deeper
 * than `nestingDepthMax` messages or takes more than `requestBytesMax` as protobuf.
 */
export function transcodeJson(signal: Signal, text: Uint8Array): Uint8Array {
  const cursor = new JsonCursor(isUtf8(text) ? text : encodeUtf8(decodeUtf8Lossy(text)));
  const output = cursor.end > scratchTextBytesMax ? new ProtobufOutput(cursor.end) : scratch;
  output.size = 0;
  writeMessage({ cursor, output }, planOf(REQUEST[signal]), 1);
  if (cursor.peek() !== -1) cursor.fail("expected the end of the text");
  const bytes = output.bytes.slice(0, output.size);
  if (scratch.bytes.length > scratchBytesMax) scratch = new ProtobufOutput(scratchBytes);
  return bytes;
}

/** Texts up to this size are written to one buffer, which is kept unless it grew too large. */
const scratchTextBytesMax = 1024 * 1024;
const scratchBytes = 64 * 1024;
const scratchBytesMax = 4 * 1024 * 1024;
let scratch = new ProtobufOutput(scratchBytes);

interface Walk {
  readonly cursor: JsonCursor;
  readonly output: ProtobufOutput;
}

/** A field of the table with all that writing it needs. */
interface Slot {
  readonly field: Field;
  readonly name: Uint8Array;
  /** The name in quotes, and a colon. */
  readonly written: Words;
  readonly tag: number;
  /** Undefined for a message. */
  readonly write: ScalarWriter | undefined;
  readonly plan: Plan | undefined;
  /** Repeated numbers are written in one field. */
  readonly packed: boolean;
  readonly isAttribute: boolean;
  /** The one that came after it last time: messages resemble each other. */
  next: Slot | undefined;
}

/** The fields of one message by length and first letter of their names. */
interface Plan {
  readonly buckets: readonly Slot[][];
  /** The one that came first last time. */
  next: Slot | undefined;
}

const plans = new Map<Message, Plan>();

function planOf(message: Message): Plan {
  const known = plans.get(message);
  if (known !== undefined) return known;
  const plan: Plan = { buckets: Array.from({ length: 256 }, () => []), next: undefined };
  plans.set(message, plan);
  for (const field of message.fields) {
    const name = encodeUtf8(field.name);
    plan.buckets[bucketOf(name[0]!, name.length)]!.push(slotOf(field, name));
  }
  return plan;
}

function slotOf(field: Field, name: Uint8Array): Slot {
  const write = field.kind === "message" ? undefined : SCALAR_WRITERS[field.kind];
  const wireType = wireTypeOf(field);
  const packed = field.repeated && wireType !== LENGTH_DELIMITED;
  return {
    field,
    name,
    written: wordsOf(`"${field.name}":`),
    tag: field.number * 8 + (packed ? LENGTH_DELIMITED : wireType),
    write,
    plan: field.message === undefined ? undefined : planOf(field.message),
    packed,
    isAttribute: field.message?.name === "KeyValue",
    next: undefined,
  };
}

function wireTypeOf(field: Field): number {
  switch (field.kind) {
    case "message":
    case "string":
    case "bytes":
    case "id":
      return LENGTH_DELIMITED;
    case "fixed64":
    case "sfixed64":
    case "double":
      return FIXED64;
    case "fixed32":
      return FIXED32;
    default:
      return VARINT;
  }
}

function bucketOf(firstLetter: number, length: number): number {
  return (firstLetter + length * 31) & 0xff;
}

function writeMessage(walk: Walk, plan: Plan, depth: number): void {
  const { cursor, output } = walk;
  if (depth > nestingDepthMax) cursor.tooDeep();
  let unfinished = cursor.enter(OBJECT_START, OBJECT_END);
  let before: Slot | Plan = plan;
  while (unfinished) {
    const slot = nextKey(cursor, plan, before);
    if (slot === undefined) cursor.stepOver(depth);
    else {
      before = slot;
      if (!cursor.skipNull()) writeMember(walk, slot, depth);
    }
    unfinished = cursor.more(OBJECT_END);
  }
  if (output.size > requestBytesMax) {
    throw new JsonError("too_large", `more than ${requestBytesMax} bytes as protobuf`, cursor.at);
  }
}

/** Steps over a key and its colon. @returns its field, undefined where the message has none. */
function nextKey(cursor: JsonCursor, plan: Plan, before: Slot | Plan): Slot | undefined {
  const { next } = before;
  if (next !== undefined && cursor.skipWords(next.written)) return next;
  const slot = key(cursor, plan);
  cursor.colon();
  if (slot !== undefined) before.next = slot;
  return slot;
}

/** Longer than any field's name with every letter written as \u0000. */
const escapedKeyBytesMax = 256;
const unescapedKey = new ProtobufOutput(escapedKeyBytesMax);

/** Steps over a key. @returns its field, undefined where the message has none of that name. */
function key(cursor: JsonCursor, plan: Plan): Slot | undefined {
  cursor.string();
  if (!cursor.escaped) return find(plan, cursor.text, cursor.start, cursor.stop);
  if (cursor.stop - cursor.start > escapedKeyBytesMax) return undefined;
  unescapedKey.size = 0;
  unescape(cursor, unescapedKey);
  return find(plan, unescapedKey.bytes, 0, unescapedKey.size);
}

function find(plan: Plan, text: Uint8Array, start: number, stop: number): Slot | undefined {
  if (start === stop) return undefined;
  const length = stop - start;
  const bucket = plan.buckets[bucketOf(text[start]!, length)]!;
  for (const slot of bucket) {
    const { name } = slot;
    let same = name.length === length;
    for (let index = 0; same && index < length; index++) same = name[index] === text[start + index];
    if (same) return slot;
  }
  return undefined;
}

function writeMember(walk: Walk, slot: Slot, depth: number): void {
  if (!slot.field.repeated) writeOne(walk, slot, depth);
  else if (slot.packed) writePacked(walk, slot, depth);
  else {
    const { cursor } = walk;
    let unfinished = cursor.enter(ARRAY_START, ARRAY_END);
    while (unfinished) {
      writeOne(walk, slot, depth);
      unfinished = cursor.more(ARRAY_END);
    }
  }
}

function writeOne(walk: Walk, slot: Slot, depth: number): void {
  const { cursor, output } = walk;
  if (slot.write !== undefined) {
    output.varint(slot.tag);
    slot.write(cursor, output, slot.field);
    return;
  }
  if (slot.isAttribute && depth + 2 <= nestingDepthMax) {
    if (writeUsualAttribute(cursor, output, slot.tag)) return;
  }
  const start = output.open(slot.tag, depth);
  if (!cursor.skipNull()) writeMessage(walk, slot.plan!, depth + 1);
  output.close(start, depth);
}

function writePacked({ cursor, output }: Walk, slot: Slot, depth: number): void {
  let unfinished = cursor.enter(ARRAY_START, ARRAY_END);
  if (!unfinished) return;
  const start = output.open(slot.tag, depth);
  while (unfinished) {
    slot.write!(cursor, output, slot.field);
    unfinished = cursor.more(ARRAY_END);
  }
  output.close(start, depth);
}
