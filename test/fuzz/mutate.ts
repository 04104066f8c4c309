/** Changes of bytes: blind ones, and those that know protobuf and the words of OTLP/JSON. */
import { WireReader } from "../../src/bytes/wire.ts";
import type { Dice } from "../ingest-json/random-otlp.ts";

const bytesMax = 64 * 1024;
const edges = [0x00, 0x01, 0x7f, 0x80, 0xff, 0x22, 0x5c, 0x7b, 0x5b, 0x0a];
const varints = [
  "00",
  "ffffffff0f",
  "ffffffffffffffffff01",
  "ffffffffffffffffffff01",
  "8000",
  "ff7f",
];
const words = [
  "{",
  "}",
  "[",
  "]",
  ",",
  ":",
  '"',
  "\\",
  "\\u0000",
  "\\ud800",
  "null",
  "true",
  "-0",
  "1e999",
  "NaN",
  '{"kvlistValue":{"values":[{"key":"a","value":',
  '{"arrayValue":{"values":[',
  '"stringValue":"',
  '"intValue":"9223372036854775808"',
  '"bytesValue":"====',
  '"traceId":"',
  " \t\r\n",
  "\u00e9",
].map((word) => Buffer.from(word));

type Change = (bytes: Buffer, dice: Dice, other: Buffer) => Buffer;

const changes: readonly Change[] = [
  (bytes, dice) => replace(bytes, at(bytes, dice), 1, Buffer.from([dice.roll(256)])),
  (bytes, dice) => replace(bytes, at(bytes, dice), 1, Buffer.from([dice.pick(edges)])),
  (bytes, dice) => {
    const place = at(bytes, dice);
    return replace(bytes, place, 1, Buffer.from([(bytes[place] ?? 0) ^ (1 << dice.roll(8))]));
  },
  (bytes, dice) => replace(bytes, at(bytes, dice), dice.roll(16), Buffer.alloc(0)),
  (bytes, dice) => replace(bytes, at(bytes, dice), 0, Buffer.alloc(dice.roll(16), dice.roll(256))),
  (bytes, dice) =>
    replace(bytes, at(bytes, dice), dice.roll(3), Buffer.from(dice.pick(varints), "hex")),
  (bytes, dice) => replace(bytes, at(bytes, dice), dice.roll(8), dice.pick(words)),
  (bytes, dice) => bytes.subarray(0, at(bytes, dice)),
  // A piece of it again, and a piece of another.
  (bytes, dice) => replace(bytes, at(bytes, dice), 0, piece(bytes, dice)),
  (bytes, dice, other) => replace(bytes, at(bytes, dice), dice.roll(64), piece(other, dice)),
  doubleField,
  dropField,
  nestField,
];

/** One to eight changes, the same for the same dice. */
export function mutate(bytes: Buffer, dice: Dice, other: Buffer): Buffer {
  let changed = bytes;
  for (let left = 1 + dice.roll(8); left > 0; left--)
    changed = dice.pick(changes)(changed, dice, other);
  return changed.subarray(0, bytesMax);
}

function at(bytes: Buffer, dice: Dice): number {
  return dice.roll(bytes.length + 1);
}

function piece(bytes: Buffer, dice: Dice): Buffer {
  const start = at(bytes, dice);
  return bytes.subarray(start, start + dice.roll(256));
}

function replace(bytes: Buffer, place: number, count: number, by: Uint8Array): Buffer {
  return Buffer.concat([bytes.subarray(0, place), by, bytes.subarray(place + count)]);
}

interface Place {
  readonly tagStart: number;
  readonly end: number;
}

/** A message's fields, and the way down to it: lengths on the way must follow a change. */
function fieldsAt(bytes: Buffer, dice: Dice): { way: WireReader[]; fields: Place[] } | undefined {
  const way: WireReader[] = [];
  let start = 0;
  let end = bytes.length;
  for (;;) {
    const reader = new WireReader(bytes, start, end);
    const fields: Place[] = [];
    const inner: WireReader[] = [];
    try {
      while (reader.next()) {
        fields.push({ tagStart: reader.tagStart, end: reader.position });
        if (reader.wireType !== 2 || reader.stop - reader.start < 2) continue;
        const { tagStart, stop, start: from } = reader;
        inner.push(
          Object.assign(new WireReader(bytes, from, stop), { tagStart, start: from, stop }),
        );
      }
    } catch {
      return undefined;
    }
    if (inner.length === 0 || dice.roll(4) === 0)
      return fields.length === 0 ? undefined : { way, fields };
    const next = dice.pick(inner);
    way.push(next);
    start = next.start;
    end = next.stop;
  }
}

/** Puts `by` in the place of a field, and mends the lengths around it. */
function changeField(bytes: Buffer, dice: Dice, by: (field: Buffer) => Buffer): Buffer {
  const found = fieldsAt(bytes, dice);
  if (found === undefined) return bytes;
  const { tagStart, end } = dice.pick(found.fields);
  let changed: Buffer = by(bytes.subarray(tagStart, end));
  let from = tagStart;
  let to = end;
  for (const { start, stop, tagStart: tag } of found.way.toReversed()) {
    const payload = Buffer.concat([bytes.subarray(start, from), changed, bytes.subarray(to, stop)]);
    changed = Buffer.concat([bytes.subarray(tag, tag + 1), varint(payload.length), payload]);
    from = tag;
    to = stop;
  }
  return Buffer.concat([bytes.subarray(0, from), changed, bytes.subarray(to)]);
}

function doubleField(bytes: Buffer, dice: Dice): Buffer {
  return changeField(bytes, dice, (field) => Buffer.concat([field, field]));
}

function dropField(bytes: Buffer, dice: Dice): Buffer {
  return changeField(bytes, dice, () => Buffer.alloc(0));
}

/** A field in a field of the same or an unknown number, a few times over. */
function nestField(bytes: Buffer, dice: Dice): Buffer {
  const tag = Buffer.from([dice.pick([0x0a, 0x12, 0x2a, 0x32, 0x4a, 0x7a])]);
  const times = 1 + dice.roll(dice.roll(8) === 0 ? 120 : 4);
  return changeField(bytes, dice, (field) => {
    let nested = field;
    for (let left = times; left > 0; left--)
      nested = Buffer.concat([tag, varint(nested.length), nested]);
    return nested;
  });
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Buffer.from([...bytes, rest]);
}
