/** What bodies may look like: rules P1 to P12, judged by the answer and by what is passed on. */
import type { Signal } from "../../src/audit/otlp/schema.ts";
import { encodeOtlp, type Plain } from "../support/otlp-writer.ts";
import {
  bytesOf,
  field,
  jsonText,
  JSON_TYPE,
  nameField,
  PROTOBUF,
  inRequest,
  spanId,
  traceId,
} from "./payloads.ts";
import type { Arrival, Case, Rule } from "./rule.ts";

const accepted = { status: 200 };
const refused = { status: 400 };

type Seen = Omit<Arrival, "signal" | "name">;

/** A span in JSON that must be accepted, and what of it must come out. */
function json(name: string, members: string, seen: Seen = {}): Case {
  return {
    name,
    request: { headers: JSON_TYPE, body: jsonText(name, members) },
    expected: accepted,
    arrives: { signal: "traces", name, ...seen },
  };
}

function jsonRefused(name: string, members: string): Case {
  const request = { headers: JSON_TYPE, body: jsonText(name, members) };
  return { name, request, expected: refused };
}

/** A span in protobuf of these fields, in hexadecimal, between its name and its ids. */
function wire(name: string, hex: string, seen: Seen = {}): Case {
  const bytes = bytesOf(hex);
  const fields = Buffer.concat([nameField(name), bytes, field(2, spanId), field(1, traceId)]);
  return {
    name,
    request: { headers: PROTOBUF, body: inRequest(fields) },
    expected: accepted,
    arrives: { signal: "traces", name, ...seen },
  };
}

/** Judged by the answer alone: the decoder at the other end is stricter. */
function wireAnswered(name: string, hex: string, expected = accepted): Case {
  const body = inRequest(Buffer.concat([nameField(name), bytesOf(hex)]));
  return { name, request: { headers: PROTOBUF, body }, expected };
}

function wireRefused(name: string, hex: string): Case {
  return wireAnswered(name, hex, refused);
}

function kept(name: string, hex: string): Case {
  return wire(name, hex, { holds: bytesOf(hex) });
}

const attribute = (value: string): string => `"attributes":[{"key":"k","value":${value}}]`;
const arrivesAs = (value: Plain): Seen => ({ item: { attributes: [{ key: "k", value }] } });

export const payloadRules: readonly Rule[] = [
  {
    id: "P1",
    level: "MUST",
    says: "protobuf: unknown fields of every wire type, any order, the last of two scalars; not what is cut or overlong",
    cases: [
      kept("an unknown varint", "f8 07 ff ff ff ff ff ff ff ff ff 01"),
      kept("an unknown fixed64", "f9 07 01 02 03 04 05 06 07 08"),
      kept("unknown bytes", "fa 07 03 01 02 03"),
      kept("an unknown group", "fb 07 08 01 13 14 fc 07"),
      kept("an unknown fixed32", "fd 07 01 02 03 04"),
      wire("in no order", "3a 00 30 03", {
        item: { kind: 3, spanId: hexOf(spanId), traceId: hexOf(traceId) },
      }),
      wire("the last of two", "30 01 30 03", { item: { kind: 3 } }),
      wire("an overlong varint that fits", "30 83 80 00", { item: { kind: 3 } }),
      repeatedNumbers("packed"),
      repeatedNumbers("unpacked"),
      wireAnswered("text that is no UTF-8", "1a 02 c3 28"),
      wireRefused("a varint cut off", "30 ff"),
      wireRefused("a varint of eleven bytes", "30 ff ff ff ff ff ff ff ff ff ff 01"),
      wireRefused("a negative length", "1a ff ff ff ff ff ff ff ff ff 01"),
      wireRefused("a length beyond the end", "1a 7f 00"),
      wireRefused("a fixed64 cut off", "39 00 00"),
      wireRefused("a group without an end", "fb 07 08 01"),
      wireRefused("field number 0", "02 00"),
      wireRefused("wire type 7", "37 00"),
    ],
  },
  {
    id: "P2",
    level: "MUST",
    says: "JSON: names are lowerCamelCase, others are unknown",
    cases: [
      json("snake_case", '"start_time_unix_nano":"5","Kind":2', {
        item: { startTimeUnixNano: undefined, kind: undefined },
      }),
    ],
  },
  {
    id: "P3",
    level: "MUST",
    says: "JSON: ids are hexadecimal of either case and full length, or empty; base64 is refused",
    cases: [
      json(
        "upper case",
        `"traceId":"${hexOf(traceId).toUpperCase()}","spanId":"${hexOf(spanId).toUpperCase()}"`,
        { item: { traceId: hexOf(traceId), spanId: hexOf(spanId) } },
      ),
      json("an empty parent", '"parentSpanId":""', { item: { parentSpanId: undefined } }),
      jsonRefused("a trace id in base64", `"traceId":"${traceId.toString("base64")}"`),
      jsonRefused("a span id in base64", `"spanId":"${spanId.toString("base64")}"`),
      jsonRefused("a short id", '"spanId":"b7ad6b71"'),
    ],
  },
  {
    id: "P4",
    level: "MUST",
    says: "JSON: integers of 64 bits as text or number, without loss",
    cases: [
      json("a time as text", '"startTimeUnixNano":"1795241720000000001"', {
        item: { startTimeUnixNano: "1795241720000000001" },
      }),
      json("a time as a number", '"startTimeUnixNano":1795241720000000001', {
        item: { startTimeUnixNano: "1795241720000000001" },
      }),
      json("the largest", attribute('{"intValue":"9223372036854775807"}'), {
        ...arrivesAs({ intValue: "9223372036854775807" }),
      }),
      json("the smallest", attribute('{"intValue":-9223372036854775808}'), {
        ...arrivesAs({ intValue: "-9223372036854775808" }),
      }),
      json("32 bits as text", '"droppedAttributesCount":"4294967295"', {
        item: { droppedAttributesCount: 4_294_967_295 },
      }),
      jsonRefused("too large", attribute('{"intValue":"9223372036854775808"}')),
      jsonRefused("a fraction", attribute('{"intValue":1.5}')),
    ],
  },
  {
    id: "P5",
    level: "MUST",
    says: "JSON: enumerations are integers, their names are invalid",
    cases: [
      json("an integer", '"kind":3', { item: { kind: 3 } }),
      json("an integer that has no name yet", '"kind":77', { item: { kind: 77 } }),
      jsonRefused("a name", '"kind":"SPAN_KIND_CLIENT"'),
    ],
  },
  {
    id: "P6",
    level: "SHOULD",
    says: "JSON: bytes are base64, also without padding or with the alphabet of URLs",
    cases: [
      json("standard", attribute('{"bytesValue":"+/8="}'), arrivesAs({ bytesValue: "fbff" })),
      json("no padding", attribute('{"bytesValue":"+/8"}'), arrivesAs({ bytesValue: "fbff" })),
      json("of URLs", attribute('{"bytesValue":"-_8"}'), arrivesAs({ bytesValue: "fbff" })),
      jsonRefused("neither", attribute('{"bytesValue":"?"}')),
    ],
  },
  {
    id: "P7",
    level: "MUST",
    says: "JSON: doubles may be NaN and the infinities as text",
    cases: [
      ...["NaN", "Infinity", "-Infinity"].map((value) =>
        json(value, attribute(`{"doubleValue":"${value}"}`), arrivesAs({ doubleValue: value })),
      ),
      json("a number", attribute('{"doubleValue":1e-3}'), arrivesAs({ doubleValue: 0.001 })),
      json("as text", attribute('{"doubleValue":"2.5"}'), arrivesAs({ doubleValue: 2.5 })),
    ],
  },
  {
    id: "P8",
    level: "MUST",
    says: "JSON: unknown members are left out at every level, null is absent",
    cases: [
      json("unknown members", '"x":{"y":[1,{"z":null}]},"kind":2', { item: { kind: 2 } }),
      json("null", '"kind":null,"attributes":null,"status":null', {
        item: { kind: undefined, attributes: undefined, status: undefined },
      }),
      json("unknown beside a value", attribute('{"stringValue":"v","x":1}'), {
        ...arrivesAs({ stringValue: "v" }),
      }),
      unknownEverywhere(),
    ],
  },
  {
    id: "P9",
    level: "MUST",
    says: "values may be empty, bytes, lists of anything, maps of anything",
    cases: [
      json("an empty value", attribute("{}"), arrivesAs({})),
      json(
        "a mixed list",
        attribute('{"arrayValue":{"values":[{"intValue":1},{},{"stringValue":"a"}]}}'),
        arrivesAs({ arrayValue: { values: [{ intValue: "1" }, {}, { stringValue: "a" }] } }),
      ),
      json(
        "a list in a list",
        attribute('{"arrayValue":{"values":[{"arrayValue":{"values":[{"boolValue":true}]}}]}}'),
        arrivesAs({ arrayValue: { values: [{ arrayValue: { values: [{ boolValue: true }] } }] } }),
      ),
      json(
        "a map",
        attribute('{"kvlistValue":{"values":[{"key":"a","value":{"bytesValue":"AQ=="}}]}}'),
        arrivesAs({ kvlistValue: { values: [{ key: "a", value: { bytesValue: "01" } }] } }),
      ),
    ],
  },
  {
    id: "P10",
    level: "SHOULD",
    says: "a key may occur twice: all copies are passed on, and redaction sees them all",
    cases: [
      {
        ...json(
          "two of a key",
          '"attributes":[{"key":"k","value":{"stringValue":"one@p10.example"}},{"key":"k","value":{"stringValue":"two@p10.example"}}]',
          { hides: ["one@p10.example", "two@p10.example"] },
        ),
      },
    ],
  },
  {
    id: "P11",
    level: "SHOULD",
    says: "free text stands in many places, and redaction covers them all",
    cases: [everywhere()],
  },
  {
    id: "P12",
    level: "SHOULD",
    says: "zero ids, an end before the start, times in the future are accepted as they are",
    cases: [
      json("ids of zeros", `"traceId":"${"0".repeat(32)}","spanId":"${"0".repeat(16)}"`, {
        item: { traceId: "0".repeat(32), spanId: "0".repeat(16) },
      }),
      json("no ids", '"traceId":"","spanId":""'),
      json("an end before the start", '"startTimeUnixNano":"9","endTimeUnixNano":"3"', {
        item: { startTimeUnixNano: "9", endTimeUnixNano: "3" },
      }),
      json("the year 2554", '"startTimeUnixNano":"18446744073709551615"', {
        item: { startTimeUnixNano: "18446744073709551615" },
      }),
    ],
  },
];

function hexOf(bytes: Buffer): string {
  return bytes.toString("hex");
}

/** An unknown member in each object of a request. */
function unknownEverywhere(): Case {
  const name = "unknown at every level";
  const request = { headers: JSON_TYPE, body: jsonText(name, attribute('{"intValue":"1"}')) };
  return {
    name,
    request: { ...request, body: request.body.replaceAll("{", '{"no_such_member":[{"x":{}}],') },
    expected: accepted,
    arrives: { signal: "traces", name, ...arrivesAs({ intValue: "1" }) },
  };
}

/** Counts of a histogram, in both ways that protobuf has for lists of numbers. */
function repeatedNumbers(how: "packed" | "unpacked"): Case {
  const counts = [1, 2].map((count) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigUInt64LE(BigInt(count));
    return bytes;
  });
  const each = counts.map((bytes) => Buffer.concat([Buffer.from([6 * 8 + 1]), bytes]));
  const point = how === "packed" ? field(6, Buffer.concat(counts)) : Buffer.concat(each);
  const name = `${how} numbers`;
  const metric = Buffer.concat([field(1, Buffer.from(name)), field(9, field(1, point))]);
  const signal: Signal = "metrics";
  return {
    name,
    request: {
      path: "/v1/metrics",
      headers: PROTOBUF,
      body: inRequest(metric),
    },
    expected: accepted,
    arrives: { signal, name, item: { histogram: { dataPoints: [{ bucketCounts: ["1", "2"] }] } } },
  };
}

/** An address in every place of a request where text may stand, each of its own. */
function everywhere(): Case {
  const addresses: string[] = [];
  const text = (place: string): string => {
    addresses.push(`${place}@p11.example`);
    return `mail ${addresses.at(-1)} now`;
  };
  const stringOf = (place: string): Plain => ({ stringValue: text(place) });
  const keyed = (place: string): Plain[] => [
    { key: text(`${place}-key`), value: stringOf(`${place}-value`) },
  ];
  const name = "text everywhere";
  const scope = { name: text("scope"), version: text("version"), attributes: keyed("scope") };
  const span = {
    traceId,
    spanId,
    name,
    traceState: text("state"),
    status: { message: text("status"), code: 2 },
    attributes: [
      ...keyed("span"),
      { key: "list", value: { arrayValue: { values: [stringOf("list")] } } },
      { key: "map", value: { kvlistValue: { values: keyed("map") } } },
      { key: "bytes", value: { bytesValue: Buffer.from(text("bytes")) } },
      { key: "json", value: { stringValue: JSON.stringify({ a: [text("json")] }) } },
    ],
    events: [{ name: text("event"), attributes: keyed("event") }],
    links: [{ traceId, spanId, traceState: text("link-state"), attributes: keyed("link") }],
  };
  const entity = { schemaUrl: text("entity-schema"), type: text("entity"), idKeys: [text("id")] };
  const entityRefs = [{ ...entity, descriptionKeys: [text("description")] }];
  const resource = { attributes: keyed("resource"), entityRefs };
  const body = encodeOtlp("ExportTraceServiceRequest", {
    resourceSpans: [
      {
        resource,
        scopeSpans: [{ scope, spans: [span], schemaUrl: text("scope-schema") }],
        schemaUrl: text("schema"),
      },
    ],
  });
  return {
    name,
    request: { headers: PROTOBUF, body },
    expected: accepted,
    arrives: { signal: "traces", name, hides: addresses },
  };
}
