/**
 * Bytes that nobody meant, given to the verifier and to every parser of what is kept on disk: an
 * answer or a named error, never another one, and never "ok" where evidence differs.
 */
import * as fc from "fast-check";
import { describe, expect, test } from "vitest";

import { encodeCursor, parseCursor } from "../../../src/forward/cursor.ts";
import { ForwardError } from "../../../src/forward/forward-error.ts";
import { encodeWrite, findHeader, framePayload, parseHeader } from "../../../src/forward/frame.ts";
import { keyName } from "../../../src/ledger/chain.ts";
import { parseCheckpoint } from "../../../src/ledger/checkpoint.ts";
import { CONTROL_KINDS, parseControl } from "../../../src/ledger/control.ts";
import { parseDescriptor } from "../../../src/ledger/descriptor.ts";
import { FormatError } from "../../../src/ledger/format-error.ts";
import { LedgerError } from "../../../src/ledger/ledger-error.ts";
import { parseLine } from "../../../src/ledger/line.ts";
import { newCounters } from "../../../src/ledger/memory.ts";
import { parseNote, parseVkey } from "../../../src/ledger/note.ts";
import { parseProof } from "../../../src/ledger/proof.ts";
import { judgeProof } from "../../../src/ledger/record-proof.ts";
import { encodeState, parseState } from "../../../src/ledger/state.ts";
import { parseBundle, parseTilePath } from "../../../src/ledger/tile.ts";
import { readerNames, read } from "../../faults/tamper/cell.ts";
import { builtSubject, keptSizes, segmentPaths } from "../../faults/tamper/subject.ts";
import { exampleLedger } from "../builder.ts";
import type { EvidenceFiles } from "../evidence-files.ts";

const subject = builtSubject();
const paths = [...subject.files.keys()];

/** One thing done to the bytes of a file, at places given as shares of its length. */
type Mutation =
  | { readonly kind: "flip" | "set"; readonly at: number; readonly byte: number }
  | { readonly kind: "insert"; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: "cut" | "repeat" | "move"; readonly at: number; readonly end: number };

const share = fc.double({ min: 0, max: 1, noNaN: true });
const byte = fc.oneof(fc.integer({ min: 0, max: 255 }), fc.constantFrom(0x0a, 0x0d, 0x22, 0x7d));
const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.record({ kind: fc.constantFrom("flip", "set"), at: share, byte }),
  fc.record({
    kind: fc.constant("insert"),
    at: share,
    bytes: fc.oneof(fc.uint8Array({ minLength: 1, maxLength: 40 }), fc.constant(Buffer.from("\n"))),
  }),
  fc.record({ kind: fc.constantFrom("cut", "repeat", "move"), at: share, end: share }),
);

function mutate(bytes: Buffer, one: Mutation): Buffer {
  const place = (at: number): number => Math.floor(at * bytes.length);
  const at = place(one.at);
  const [head, tail] = [bytes.subarray(0, at), bytes.subarray(at)];
  if (one.kind === "insert") return Buffer.concat([head, one.bytes, tail]);
  if ("byte" in one) {
    const changed = Buffer.from(bytes);
    if (at < bytes.length) changed[at] = one.kind === "set" ? one.byte : changed[at]! ^ one.byte;
    return changed;
  }
  const [from, to] = [at, place(one.end)].toSorted((left, right) => left - right) as [
    number,
    number,
  ];
  const part = bytes.subarray(from, to);
  const rest = [bytes.subarray(0, from), bytes.subarray(to)];
  if (one.kind === "cut") return Buffer.concat(rest);
  if (one.kind === "repeat") return Buffer.concat([bytes.subarray(0, to), bytes.subarray(from)]);
  return Buffer.concat([...rest, part]);
}

/** The places where a change may pass: those of TAMPER.md, L and H, for who has keys and bucket. */
function isWithinLimit(files: EvidenceFiles): boolean {
  return paths.every((path) => {
    const [before, after] = [subject.files.get(path)!, files.get(path)!];
    return after.equals(before) || isHarmless(path, before, after);
  });
}

function isHarmless(path: string, before: Buffer, after: Buffer): boolean {
  const begins = after.subarray(0, before.length).equals(before);
  if (path.startsWith("ledger/tile/")) return begins; // H2
  if (path === segmentPaths(subject.files).at(-1)) return isNewestSegment(before, after); // L2, L9
  return /checkpoint/.test(path) && hasSameSignatures(before, after); // H1
}

/** Cut behind the newest root, or bytes without a line feed at its end, or both. */
function isNewestSegment(before: Buffer, after: Buffer): boolean {
  const end = after.lastIndexOf("\n") + 1;
  const lines = after.subarray(0, end);
  return before.subarray(0, end).equals(lines) && lines.toString().split("\n").length > 47;
}

/** The text as it was, and each signature of its keys; what else is signed is nobody's. */
function hasSameSignatures(before: Buffer, after: Buffer): boolean {
  try {
    const [left, right] = [parseNote(before), parseNote(after)];
    const names = new Set(left.signatures.map(({ keyId, name }) => `${name} ${keyId}`));
    const known = (note: typeof left): string[] =>
      note.signatures
        .filter(({ keyId, name }) => names.has(`${name} ${keyId}`))
        .map(({ signature }) => Buffer.from(signature).toString("hex"));
    return (
      left.text === right.text &&
      new Set([...known(left), ...known(right)]).size === known(left).length
    );
  } catch {
    return false;
  }
}

const seeded = { numRuns: Number(process.env["SPANSEAL_FUZZ_RUNS"] ?? 200) };

test("no mutation of a file of a log is ok to who has the keys, but for the limits that are told", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...paths),
      fc.array(mutation, { minLength: 1, maxLength: 3 }),
      fc.constantFrom(...readerNames),
      async (path, mutations, reader) => {
        const files: EvidenceFiles = new Map(subject.files);
        const changed = mutations.reduce(mutate, subject.files.get(path)!);
        files.set(path, changed);
        const report = await read(files, subject, reader);
        if (changed.equals(subject.files.get(path)!)) return;
        if (reader !== "operator" || report.exitCode === 1) return;
        expect(isWithinLimit(files)).toBe(true);
      },
    ),
    seeded,
  );
});

const oneBack = `bucket/checkpoints/${keptSizes(subject.files).at(-2)}`;

test("files of a log put in each other's place, taken away or doubled", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(...paths),
      fc.constantFrom(...paths),
      fc.constantFrom("swap", "copy", "remove"),
      fc.constantFrom(...readerNames),
      async (left, right, what, reader) => {
        const files: EvidenceFiles = new Map(subject.files);
        if (what === "remove") files.delete(left);
        else files.set(left, subject.files.get(right)!);
        if (what === "swap") files.set(right, subject.files.get(left)!);
        const report = await read(files, subject, reader);
        expect(report.summary).not.toBe("");
        const isSame = left === right || subject.files.get(left)!.equals(subject.files.get(right)!);
        if (reader !== "operator" || (isSame && what !== "remove")) return;
        // L3, L4: older roots and their partial tiles may be gone.
        const isMissed = !/bucket\/(?:checkpoints\/\d+|tile\/.*\.p\/\d+)$/.test(left);
        // L10: the newest root named may be the one before.
        const isOneBack = left === "bucket/checkpoint" && right === oneBack && what === "copy";
        const mayPass = isOneBack || (what === "remove" && !isMissed);
        expect(mayPass || report.exitCode === 1).toBe(true);
      },
    ),
    seeded,
  );
});

const ledger = exampleLedger();
const line = Buffer.from(ledger.lines[3]!);
const key = {
  name: keyName(1, ledger.epochKeys[0]!),
  epochKey: ledger.epochKeys[0]!,
  descriptorDigest: ledger.digest,
};
const state = encodeState(
  {
    size: 0,
    root: Buffer.alloc(32),
    counters: newCounters(1, parseDescriptor(ledger.descriptor)),
    segment: { first: 0, end: 0, firstTime: 0n },
    segments: { count: 0, digest: "" },
    windowEnd: 0,
    block: null,
    edge: Buffer.alloc(0),
    chains: {
      names: Buffer.alloc(0),
      sequences: new Float64Array(),
      macs: Buffer.alloc(0),
      tags: Buffer.alloc(0),
    },
    windowEntries: Buffer.alloc(0),
  },
  key,
);
const frame = encodeWrite(
  [{ signal: "traces", bytes: Buffer.from("a request"), first: 1, end: 2 }],
  {
    number: 3,
    group: 1,
    stagedUnixMs: 5,
    writeStart: 0,
  },
);
const cursor = encodeCursor({ next: 1, committed: 2, logSize: 3, suspensions: [] });
const proof = Buffer.from(
  `c2sp.org/tlog-proof@v1\nextra ${Buffer.from(line.toString().replace(/,"body".*/, "}")).toString("base64")}\nindex 3\n\n`,
);
const wholeProof = Buffer.concat([proof, ledger.local.checkpoint!]);
const body = Buffer.from(/"body":(.*)\}$/.exec(ledger.lines[0]!)![1]!);

interface Parser {
  readonly name: string;
  readonly genuine: Uint8Array;
  readonly parse: (bytes: Buffer) => unknown;
  readonly errors: readonly (new (...all: never[]) => Error)[];
}

const parsers: readonly Parser[] = [
  { name: "note", genuine: ledger.local.checkpoint!, parse: parseNote, errors: [FormatError] },
  {
    name: "checkpoint",
    genuine: ledger.local.checkpoint!,
    parse: parseCheckpoint,
    errors: [FormatError],
  },
  {
    name: "verifier key",
    genuine: Buffer.from(ledger.vkey),
    parse: (bytes) => parseVkey(bytes.toString("latin1")),
    errors: [FormatError],
  },
  { name: "line", genuine: line, parse: parseLine, errors: [FormatError] },
  { name: "descriptor", genuine: ledger.descriptor, parse: parseDescriptor, errors: [FormatError] },
  {
    name: "control record",
    genuine: body,
    parse: (bytes) => CONTROL_KINDS.map((kind) => settle(() => parseControl(kind, bytes))),
    errors: [],
  },
  {
    name: "bundle",
    genuine: ledger.local.tiles.get("tile/entries/000.p/17")!,
    parse: (bytes) => parseBundle(bytes, 17),
    errors: [FormatError],
  },
  {
    name: "tile path",
    genuine: Buffer.from("tile/0/x001/067.p/9"),
    parse: (bytes) => parseTilePath(bytes.toString("latin1")),
    errors: [FormatError],
  },
  { name: "proof", genuine: wholeProof, parse: parseProof, errors: [FormatError] },
  {
    name: "proof of a record",
    genuine: wholeProof,
    parse: (bytes) => judgeProof(bytes, () => [parseVkey(ledger.vkey)]),
    errors: [FormatError],
  },
  {
    name: "snapshot",
    genuine: state,
    parse: (bytes) => parseState(bytes, (name) => (name === key.name ? key : undefined)),
    errors: [LedgerError],
  },
  {
    name: "spool cursor",
    genuine: cursor,
    parse: (bytes) => parseCursor(bytes, "cursor"),
    errors: [ForwardError],
  },
  {
    name: "spool frame",
    genuine: frame,
    parse: (bytes) => {
      const header = parseHeader(bytes, 0) ?? findHeader(bytes, 0, () => true);
      return header && framePayload(bytes, 0, header);
    },
    errors: [],
  },
];

/** Only a format error is an answer of a parser. */
function settle(parse: () => unknown): unknown {
  try {
    return parse();
  } catch (error) {
    if (error instanceof FormatError) return undefined;
    throw error;
  }
}

describe.each(parsers)("$name", ({ genuine, parse, errors }) => {
  /** True where the parser answers, or names what is wrong as its own kind of error. */
  const isAnswered = (bytes: Buffer): boolean => {
    try {
      parse(bytes);
      return true;
    } catch (error) {
      return errors.some((type) => error instanceof type);
    }
  };

  test("mutations of a genuine one, and any bytes, are answered or named", () => {
    expect(parse(Buffer.from(genuine))).not.toBe(null);
    const bytes = Buffer.from(genuine);
    const mutated = fc.array(mutation, { minLength: 1, maxLength: 4 });
    fc.assert(
      fc.property(mutated, (mutations) => isAnswered(mutations.reduce(mutate, bytes))),
      seeded,
    );
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (any) => isAnswered(Buffer.from(any))),
      seeded,
    );
  });

  test("nesting without end, and lengths beyond all reason", () => {
    for (const text of [
      "[".repeat(200_000),
      '{"a":'.repeat(100_000),
      "9".repeat(100_000),
      "\n".repeat(100_000),
    ]) {
      const half = genuine.subarray(0, genuine.length >> 1);
      expect(isAnswered(Buffer.from(text))).toBe(true);
      expect(isAnswered(Buffer.concat([half, Buffer.from(text)]))).toBe(true);
    }
  });
});

test("a snapshot is believed only with its authenticator", () => {
  const keys = (name: string): typeof key | undefined => (name === key.name ? key : undefined);
  fc.assert(
    fc.property(fc.array(mutation, { minLength: 1, maxLength: 2 }), (mutations) => {
      const changed = mutations.reduce(mutate, Buffer.from(state));
      if (changed.equals(state)) return;
      expect(() => parseState(changed, keys)).toThrow(LedgerError);
    }),
    seeded,
  );
});
