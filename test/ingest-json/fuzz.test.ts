/** Bytes that nobody would send: the transcoder answers or refuses, and agrees with JSON.parse. */
import * as fc from "fast-check";
import { expect, test } from "vitest";
import { SIGNALS } from "../../src/audit/otlp/schema.ts";
import { JsonError, transcodeJson } from "../../src/ingest/json.ts";
import { TOP, otlp } from "./otlp-proto.ts";
import { Dice, arbitraryMessage, writeJson } from "./random-otlp.ts";

/** @returns undefined where the text was refused; any other error is a failure. */
function attempt(signal: (typeof SIGNALS)[number], text: Uint8Array): Uint8Array | undefined {
  try {
    return transcodeJson(signal, text);
  } catch (error) {
    if (error instanceof JsonError) return undefined;
    throw error;
  }
}

test("random bytes are refused unless they are JSON", () => {
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 64 }),
    fc
      .string({ unit: characters('{}[]",:\\u0123456789eE+-. ntrfals'), maxLength: 40 })
      .map((text) => new Uint8Array(Buffer.from(text))),
  );
  fc.assert(
    fc.property(bytes, fc.constantFrom(...SIGNALS), (text, signal) => {
      const accepted = attempt(signal, text) !== undefined;
      expect(accepted && !isJson(Buffer.from(text).toString())).toBe(false);
    }),
    { numRuns: 5_000 },
  );
});

test("mutated requests are transcoded to protobuf or refused", () => {
  fc.assert(
    fc.property(
      fc
        .constantFrom(...SIGNALS)
        .chain((signal) =>
          fc.record({ signal: fc.constant(signal), tree: arbitraryMessage(TOP[signal], 2) }),
        ),
      fc.integer(),
      ({ signal, tree }, seed) => {
        const dice = new Dice(seed);
        const text = Buffer.from(writeJson(TOP[signal], tree, dice));
        for (let round = 0; round < 20; round++) {
          const mutated = mutate(text, dice);
          const result = attempt(signal, mutated);
          if (result === undefined) continue;
          expect(isJson(mutated.toString())).toBe(true);
          otlp.lookupType(TOP[signal]).decode(result);
        }
      },
    ),
    { numRuns: 300 },
  );
}, 60_000);

test("an unknown member is accepted exactly where JSON.parse accepts it", () => {
  const values = fc.oneof(
    fc.json({ maxDepth: 6 }),
    fc.string({ unit: characters('{}[]",:\\u01eE+-. ntrue'), maxLength: 16 }),
  );
  fc.assert(
    fc.property(values, fc.integer(), (json, seed) => {
      const mutated = seed % 2 === 0 ? json : mutate(Buffer.from(json), new Dice(seed)).toString();
      const text = `{"unknown":${mutated}}`;
      expect(attempt("logs", Buffer.from(text)) !== undefined).toBe(isJson(text));
    }),
    { numRuns: 5_000 },
  );
});

function characters(text: string): fc.Arbitrary<string> {
  return fc.constantFrom(...text.split(""));
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

function mutate(text: Buffer, dice: Dice): Buffer {
  const at = dice.roll(text.length + 1);
  const until = Math.min(text.length, at + dice.roll(4));
  const piece = dice.pick([
    "",
    "}",
    "]",
    ",",
    '"',
    "\\",
    "0",
    "-",
    "e",
    "\u0000",
    "é",
    "null",
    "[{",
  ]);
  return Buffer.concat([text.subarray(0, at), Buffer.from(piece), text.subarray(until)]);
}
