import * as fc from "fast-check";
import { expect, test } from "vitest";

import { DedupeWindow, entryBytes } from "../../../src/ledger/window.ts";

const words = (id: number): Uint32Array => Uint32Array.of(id, 7, id >>> 1, 0);

/** Far up, so that the window's indexes go over a border of their low words. */
const firstIndex = 2 ** 33 - 7;

/** Indexes of all entries with an id, the newest first. */
function indexesOf(window: DedupeWindow, id: number): number[] {
  const indexes: number[] = [];
  for (let slot = window.newest(words(id), 0); slot !== -1; slot = window.older(slot)) {
    indexes.push(window.indexOf(slot));
  }
  return indexes;
}

/** The same from the plain list of ids. */
function expected({ capacity }: DedupeWindow, ids: readonly number[], id: number): number[] {
  const entries = ids.map((one, at) => ({ one, index: firstIndex + at })).slice(-capacity);
  return entries.flatMap(({ one, index }) => (one === id ? [index] : [])).toReversed();
}

test("answers as a list of the newest entries would, also after it was copied", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 9 }),
      fc.array(fc.nat(12), { maxLength: 40 }),
      (size, ids) => {
        const window = new DedupeWindow(size, 0x1234_5678);
        for (const [at, id] of ids.entries()) {
          window.add(words(id), 0, firstIndex + at);
          expect(indexesOf(window, id)).toEqual(expected(window, ids.slice(0, at + 1), id));
        }
        expect(window.count).toBe(Math.min(size, ids.length));
        const start = window.end - window.count;
        const copy = new DedupeWindow(size, 0x0bad_cafe);
        copy.clear(start);
        copy.restore(window.copy(start));
        expect([copy.end, copy.count]).toEqual([window.end, window.count]);
        for (let id = 0; id <= 12; id++) {
          expect(indexesOf(window, id)).toEqual(expected(window, ids, id));
          expect(indexesOf(copy, id)).toEqual(expected(window, ids, id));
        }
        expect(copy.copy(start).length).toBe(window.count * entryBytes);
      },
    ),
  );
});
