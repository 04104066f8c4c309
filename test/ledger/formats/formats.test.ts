/** encode(decode(x)) = x for every format, and nothing but what an encoder gives is decoded. */
import { createHmac } from "node:crypto";

import * as fc from "fast-check";
import { expect, test } from "vitest";

import { parseCanonical, canonicalize, type JsonValue } from "../../../src/bytes/canonical-json.ts";
import { isCanonicalObject } from "../../../src/bytes/canonical-scan.ts";
import {
  deriveChainKey,
  encodeHead,
  encodeLine,
  parseLine,
  recordMac,
  type Head,
} from "../../../src/ledger/chain.ts";
import { encodeCheckpointBody, parseCheckpointBody } from "../../../src/ledger/checkpoint.ts";
import { encodeDescriptor, parseDescriptor } from "../../../src/ledger/descriptor.ts";
import { hmacSha256, PREFIX } from "../../../src/ledger/digest.ts";
import { FormatError } from "../../../src/ledger/format-error.ts";
import { scanLine } from "../../../src/ledger/line.ts";
import { RecordMac } from "../../../src/ledger/record-mac.ts";
import {
  ed25519Signer,
  encodeNote,
  encodeVkey,
  parseNote,
  parseVkey,
  signNote,
} from "../../../src/ledger/note.ts";
import { encodeProof, parseProof } from "../../../src/ledger/proof.ts";
import { parseSegmentName, segmentName } from "../../../src/ledger/segment-name.ts";
import {
  encodeBundle,
  parseBundle,
  parseTilePath,
  tilePath,
  tilesOf,
} from "../../../src/ledger/tile.ts";

const count = fc.nat({ max: Number.MAX_SAFE_INTEGER });
const name = fc
  .array(fc.constantFrom(...Array.from("abcXYZ019!#$&()*+,-./:;<=>?@[]^_`{|}~")), {
    minLength: 1,
    maxLength: 128,
  })
  .map((characters) => characters.join(""));
const bytesOf = (length: number): fc.Arbitrary<Uint8Array> =>
  fc.uint8Array({ minLength: length, maxLength: length });
const decimal = fc.bigInt({ min: 0n, max: 10n ** 20n - 1n }).map(String);

const head: fc.Arbitrary<Head> = fc.record(
  {
    bodyDigest: bytesOf(32),
    conflictOf: bytesOf(32),
    group: count,
    id: bytesOf(16),
    index: count,
    key: fc
      .tuple(fc.integer({ min: 1, max: 99_999 }), bytesOf(4))
      .map(([epoch, check]) => `${epoch}:${Buffer.from(check).toString("hex")}`),
    kind: fc.constantFrom("action", "seal", "key_rotated"),
    namespace: name,
    previousMac: bytesOf(32),
    sequence: count.map((value) => Math.max(1, value)),
    tenant: name,
    time: decimal,
    writer: bytesOf(16),
  },
  {
    requiredKeys: [
      "bodyDigest",
      "group",
      "id",
      "index",
      "key",
      "kind",
      "namespace",
      "previousMac",
      "sequence",
      "tenant",
      "time",
      "writer",
    ],
  },
);

const object = fc.dictionary(
  fc.string({ unit: "grapheme" }),
  fc.jsonValue() as fc.Arbitrary<JsonValue>,
);

test("lines: what was encoded is parsed, and encodes to the same bytes", () => {
  fc.assert(
    fc.property(head, bytesOf(32), fc.option(object), (value, mac, body) => {
      const bodyBytes = body === null ? undefined : Buffer.from(canonicalize(body));
      const text = encodeHead(value);
      expect(canonicalize(JSON.parse(text) as JsonValue)).toBe(text);
      const line = encodeLine(text, mac, bodyBytes);
      const parsed = parseLine(line.subarray(0, -1));
      expect(Buffer.from(parsed.headBytes).toString()).toBe(text);
      expect(encodeHead(parsed.head)).toBe(text);
      const again = encodeLine(encodeHead(parsed.head), parsed.mac, parsed.body);
      expect(Buffer.compare(again, line)).toBe(0);
    }),
  );
});

test("lines: a changed byte is refused or changes what is encoded, never silently the same", () => {
  fc.assert(
    fc.property(
      head,
      bytesOf(32),
      fc.nat(),
      fc.integer({ min: 1, max: 255 }),
      (value, mac, at, flip) => {
        const line = encodeLine(encodeHead(value), mac, Buffer.from('{"nonce":"00"}')).subarray(
          0,
          -1,
        );
        const changed = Uint8Array.from(line);
        changed[at % line.length]! ^= flip;
        const outcome = attempt(() => parseLine(changed));
        if (outcome === undefined) return;
        const again = encodeLine(encodeHead(outcome.head), outcome.mac, outcome.body);
        expect(Buffer.compare(again.subarray(0, -1), changed)).toBe(0);
      },
    ),
    { numRuns: 1000 },
  );
});

test("lines: the longest head and an erased body fit the template", () => {
  const longest: Head = {
    bodyDigest: new Uint8Array(32),
    conflictOf: new Uint8Array(32),
    group: Number.MAX_SAFE_INTEGER,
    id: new Uint8Array(16),
    index: Number.MAX_SAFE_INTEGER,
    key: "999999999999999:00000000",
    kind: "k".repeat(32),
    namespace: "n".repeat(128),
    previousMac: new Uint8Array(32),
    sequence: Number.MAX_SAFE_INTEGER,
    tenant: "t".repeat(128),
    time: "9".repeat(20),
    writer: new Uint8Array(16),
  };
  for (const body of [undefined, Buffer.from("{}")]) {
    const line = encodeLine(encodeHead(longest), new Uint8Array(32), body).subarray(0, -1);
    expect(parseLine(line).head).toEqual(longest);
  }
});

test.each([
  ["white space", (line: string) => line.replace('"mac":', '"mac": ')],
  ["an unknown member", (line: string) => line.replace('"id":', '"hue":1,"id":')],
  ["a repeated member", (line: string) => line.replace('"index":', '"id":"00","index":')],
  ["an upper-case digit", (line: string) => line.replace('"mac":"aa', '"mac":"aA')],
  ["a leading zero", (line: string) => line.replace('"index":', '"index":0')],
  ["a number of 2^53", (line: string) => line.replace(/"index":\d+/, '"index":9007199254740992')],
  ["sequence 0", (line: string) => line.replace(/"sequence":\d+/, '"sequence":0')],
  ["another version", (line: string) => line.replace('"version":1', '"version":2')],
  ["something after the body", (line: string) => `${line}{}`],
  [
    "a body with members out of order",
    (line: string) => line.replace('{"a":1,"b":2}', '{"b":2,"a":1}'),
  ],
  ["a body with a member twice", (line: string) => line.replace('{"a":1,"b":2}', '{"a":1,"a":2}')],
  ["a name that ends with a space", (line: string) => line.replace('","previous', ' ","previous')],
  ["a name that begins with a space", (line: string) => line.replace('"tenant":"', '"tenant":" ')],
  [
    "a name of 129 characters",
    (line: string) => line.replace(/"tenant":"[^"]+/, `"tenant":"${"t".repeat(129)}`),
  ],
  ["no name", (line: string) => line.replace(/"tenant":"[^"]+/, '"tenant":"')],
  ["no kind", (line: string) => line.replace(/"kind":"[^"]+/, '"kind":"')],
  ["epoch 0", (line: string) => line.replace(/"key":"\d+/, '"key":"0')],
  [
    "a time of 21 digits",
    (line: string) => line.replace(/"time":"\d+/, `"time":"${"1".repeat(21)}`),
  ],
  ["an escape in a name", (line: string) => line.replace('"tenant":"', '"tenant":"\\u0041')],
])("lines: %s is refused", (_, change) => {
  const text = `{"head":${encodeHead(fc.sample(head, { numRuns: 1, seed: 5 })[0]!)},"mac":"${"aa".repeat(32)}","body":{"a":1,"b":2}}`;
  expect(() => parseLine(Buffer.from(text))).not.toThrow();
  expect(change(text)).not.toBe(text);
  expect(() => parseLine(Buffer.from(change(text)))).toThrow(FormatError);
});

test("lines: no part of a line is one, wherever it lies in the bytes", () => {
  const text = `{"head":${encodeHead(fc.sample(head, { numRuns: 1, seed: 5 })[0]!)},"mac":"${"aa".repeat(32)}","body":{"a":1}}`;
  // What follows in the chunk would make it whole.
  const bytes = Buffer.from(`${text}\n${text}\n`);
  for (const before of [0, text.length + 1]) {
    expect(scanLine(bytes, before, before + text.length).mac).toBe("aa".repeat(32));
    for (let length = 0; length < text.length; length++) {
      expect(() => scanLine(bytes, before, before + length)).toThrow(FormatError);
    }
  }
});

test("the scan for canonical JSON agrees with parsing and writing it again", () => {
  const decorated = fc.tuple(
    object,
    fc.nat(),
    fc.constantFrom(" ", "", "0", '"', "\\", "e", ".", ",", "}", "\u00e9", "\n"),
  );
  fc.assert(
    fc.property(decorated, ([value, at, insert]) => {
      const text = canonicalize(value);
      expect(scan(text)).toBe(true);
      const place = at % (text.length + 1);
      const changed = (text.slice(0, place) + insert + text.slice(place)).toWellFormed();
      expect(scan(changed)).toBe(attempt(() => isObject(parseCanonical(changed))) ?? false);
    }),
    { numRuns: 2000 },
  );
});

test.each([
  ['{"a":1e21}', false],
  ['{"a":1E21}', false],
  ['{"a":1e+21}', true],
  ['{"a":-0}', false],
  ['{"a":0.1}', true],
  ['{"a":.1}', false],
  ['{"a":1.0}', false],
  ['{"a":01}', false],
  ['{"a":123456789012345678}', false],
  ['{"a":123456789012345680}', true],
  ['{"a":-1}', true],
  ['{"a":"\\u000b"}', true],
  ['{"a":"\\u000B"}', false],
  ['{"a":"\\n"}', true],
  ['{"a":"\\u000a"}', false],
  ['{"a":"\\/"}', false],
  ['{"a":"\\u0041"}', false],
  ['{"a b":1,"a!":2}', true],
  ['{"a":1,"a ":2}', true],
  ['{"\\n":1,"\\r":2}', true],
  ['{"\\r":1,"\\n":2}', false],
  ['{"\u{1f600}":1,"\ufb33":2}', true],
  ['{"\ufb33":1,"\u{1f600}":2}', false],
  ['{"a":tru}', false],
  ['{"a":[1,]}', false],
  ["{", false],
  ['{"a"', false],
  ['{"a":1e999}', false],
  ["[]", false],
  ['{"a":[true,false,null,{}]}', true],
  ['{"a":-}', false],
  ['{"a":"', false],
])("canonical JSON: %s is %s", (text, expected) => {
  expect(scan(text)).toBe(expected);
});

test("canonical JSON nested beyond its bound and ill-formed UTF-8 are refused", () => {
  const deep = `{"a":${"[".repeat(128)}${"]".repeat(128)}}`;
  expect(scan(deep)).toBe(false);
  const bytes = Buffer.from('{"a":"\u00e9"}');
  bytes[7] = 0x28;
  expect(isCanonicalObject(bytes, { start: 0, end: bytes.length }, 128)).toBe(false);
});

function scan(text: string): boolean {
  const padded = Buffer.from(`xx${text}"}`);
  return isCanonicalObject(padded, { start: 2, end: padded.length - 2 }, 128);
}

function isObject(value: JsonValue): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function attempt<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    // A number beyond the range of a double is a TypeError of the canonical writer.
    const refused = [FormatError, SyntaxError, TypeError].some((type) => error instanceof type);
    if (refused) return undefined;
    throw error;
  }
}

test("descriptors", () => {
  const origin = fc.constantFrom("spanseal.local", "audit.example.com/prod", "a/b-c/d_e~f");
  const descriptor = fc.record({
    created: decimal,
    firstLogKey: bytesOf(32),
    instance: bytesOf(16),
    origin,
    predecessor: fc.option(fc.record({ origin, root: bytesOf(32), size: count })),
  });
  fc.assert(
    fc.property(descriptor, (value) => {
      const bytes = encodeDescriptor(value);
      const parsed = parseDescriptor(bytes);
      expect(Buffer.compare(encodeDescriptor(parsed), bytes)).toBe(0);
    }),
  );
  const bytes = Buffer.from(
    encodeDescriptor(fc.sample(descriptor, { numRuns: 1, seed: 1 })[0]!),
  ).toString();
  for (const changed of [
    `${bytes}\n`,
    bytes.replace("SHA-256", "SHA-512"),
    bytes.replace('"origin"', '"hue":1,"origin"'),
    bytes.replace("ledger/v1", "ledger/v2"),
  ]) {
    expect(() => parseDescriptor(Buffer.from(changed))).toThrow(FormatError);
  }
});

test("notes, verifier keys and checkpoints", () => {
  const seeds = fc.uniqueArray(fc.integer({ min: 0, max: 255 }), { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(seeds, bytesOf(32), count, (values, root, size) => {
      const signers = values.map((value) =>
        ed25519Signer("log.example/a", new Uint8Array(32).fill(value)),
      );
      const body = { origin: "log.example/a", size, root };
      const text = encodeCheckpointBody(body);
      expect(encodeCheckpointBody(parseCheckpointBody(text))).toBe(text);
      const bytes = signNote(text, signers);
      expect(Buffer.compare(encodeNote(parseNote(bytes)), bytes)).toBe(0);
      for (const { publicKey } of signers) {
        const vkey = encodeVkey("log.example/a", publicKey);
        expect(encodeVkey(parseVkey(vkey).name, parseVkey(vkey).publicKey)).toBe(vkey);
      }
    }),
    { numRuns: 30 },
  );
});

test.each([
  ["no signature", "a\n\n"],
  ["no empty line", "a\n\u2014 k AAAAAAA=\n"],
  ["a control character", "a\tb\n\n\u2014 k AAAAAAA=\n"],
  ["a hyphen for a dash", "a\n\n- k AAAAAAA=\n"],
  ["a plus in the key name", "a\n\n\u2014 k+k AAAAAAA=\n"],
  ["base64 without padding", "a\n\n\u2014 k AAAAAAA\n"],
  ["a missing final line feed", "a\n\n\u2014 k AAAAAAA="],
])("notes: %s is refused", (_, text) => {
  expect(() => parseNote(Buffer.from(text))).toThrow(FormatError);
});

test.each(["o\n-1\n", "o\n01\n", "o\n1e3\n", "o\n9007199254740992\n", "o o\n1\n", "\n1\n"])(
  "checkpoints: %j is refused",
  (start) => {
    const root = Buffer.alloc(32).toString("base64");
    expect(() => parseCheckpointBody(`${start}${root}\n`)).toThrow(FormatError);
  },
);

test("checkpoints: an extension line and a short root are refused", () => {
  const root = Buffer.alloc(32).toString("base64");
  expect(parseCheckpointBody(`o\n1\n${root}\n`).size).toBe(1);
  expect(() => parseCheckpointBody(`o\n1\n${root}\nmore\n`)).toThrow(FormatError);
  expect(() => parseCheckpointBody(`o\n1\nAAAA\n`)).toThrow(FormatError);
});

test("proofs", () => {
  const proof = fc.record(
    {
      extra: fc.uint8Array(),
      index: count,
      path: fc.array(bytesOf(32), { maxLength: 63 }),
      checkpoint: fc.uint8Array(),
    },
    { requiredKeys: ["index", "path", "checkpoint"] },
  );
  fc.assert(
    fc.property(proof, (value) => {
      const bytes = encodeProof(value);
      expect(Buffer.compare(encodeProof(parseProof(bytes)), bytes)).toBe(0);
    }),
  );
  for (const text of [
    "",
    "c2sp.org/tlog-proof@v2\nindex 1\n\nx",
    "c2sp.org/tlog-proof@v1\nindex 01\n\nx",
    "c2sp.org/tlog-proof@v1\nindex 1\nAAAA\n\nx",
  ]) {
    expect(() => parseProof(Buffer.from(text))).toThrow(FormatError);
  }
});

test("tile paths, bundles and segment names", () => {
  fc.assert(
    fc.property(
      fc.constantFrom<number | "entries">(0, 1, 7, 63, "entries"),
      fc.nat(2 ** 40),
      fc.integer({ min: 1, max: 256 }),
      (level, index, width) => {
        const path = tilePath({ level, index, width });
        expect(parseTilePath(path)).toEqual({ level, index, width });
      },
    ),
  );
  expect(tilePath({ level: 0, index: 1_234_067, width: 256 })).toBe("tile/0/x001/x234/067");
  for (const path of [
    "tile/0/0",
    "tile/64/000",
    "tile/00/000",
    "tile/0/000.p/256",
    "tile/0/000.p/0",
    "tile/0/x000/000",
    "tile/0/000.p/01",
    "x/tile/0/000",
  ]) {
    expect(() => parseTilePath(path)).toThrow(FormatError);
  }
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 400 }), { minLength: 1, maxLength: 256 }),
      (entries) => {
        const bytes = encodeBundle(entries);
        expect(Buffer.compare(encodeBundle(parseBundle(bytes, entries.length)), bytes)).toBe(0);
        expect(() => parseBundle(bytes, entries.length + 1)).toThrow(FormatError);
      },
    ),
    { numRuns: 20 },
  );
  fc.assert(
    fc.property(count, (first) => {
      expect(parseSegmentName(segmentName(first))).toBe(first);
    }),
  );
  expect([...tilesOf(70_000)].at(-1)).toEqual({ level: 2, index: 0, width: 1 });
});

test("the fast MAC is the HMAC of node:crypto", () => {
  const key = deriveChainKey(new Uint8Array(32), new Uint8Array(32), {
    namespace: "a",
    tenant: "b",
  });
  const fast = new RecordMac();
  fast.useKey(key);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 5000 }), (bytes) => {
      const mac = createHmac("sha256", key).update(PREFIX.record).update(bytes).digest();
      expect(Buffer.from(recordMac(key, bytes))).toEqual(mac);
      expect(fast.of(Buffer.from(bytes), 0, bytes.length)).toBe(mac.toString("latin1"));
    }),
  );
});

test("an HMAC of few or many bytes, and of several parts, is that of node:crypto", () => {
  const part = fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.string({ maxLength: 100 }));
  const some = fc.array(part, { maxLength: 4 });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), some, fc.boolean(), (key, parts, isLong) => {
      const all = isLong ? [...parts, new Uint8Array(70_000).fill(7)] : parts;
      const mac = createHmac("sha256", key);
      for (const each of all) mac.update(each);
      expect(Buffer.from(hmacSha256(key, ...all))).toEqual(mac.digest());
    }),
  );
});
