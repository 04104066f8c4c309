import * as fc from "fast-check";
import { expect, test } from "vitest";

import { DedupeWindow, entryBytes } from "../../../src/ledger/window.ts";

interface Entry {
  readonly id: number;
  readonly content: number;
}

const words = (value: number): Uint32Array => Uint32Array.of(value, 7, value >>> 1, 0);

/** Far up, so that the window's indexes go over a border of their low words. */
const firstIndex = 2 ** 33 - 7;

function add(window: DedupeWindow, { id, content }: Entry, index = 0): void {
  window.add(words(id), words(content), 0, firstIndex + index);
}

/** What the window says of a record: new, a repeat, or whom it contradicts. */
function answer(window: DedupeWindow, { id, content }: Entry): string {
  const found = window.find(words(id), words(content), 0);
  if (found >= 0) return `repeat ${window.indexOf(found)}`;
  return found === -1 ? "new" : `conflict ${window.indexOf(-2 - found)}`;
}

/** The same from the plain list of the newest entries. */
function expected(window: DedupeWindow, entries: readonly Entry[], { id, content }: Entry): string {
  const oldest = entries.length - window.capacity;
  const newestWith = (matches: (entry: Entry) => boolean): number => {
    const at = entries.findLastIndex((one) => one.id === id && matches(one));
    return at < Math.max(0, oldest) ? -1 : at;
  };
  const repeated = newestWith((one) => one.content === content);
  if (repeated >= 0) return `repeat ${firstIndex + repeated}`;
  const newest = newestWith(() => true);
  return newest < 0 ? "new" : `conflict ${firstIndex + newest}`;
}

const entry = fc.record({ id: fc.nat(12), content: fc.nat(3) });

test("answers as a list of the newest entries would, also after it was copied", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 9 }),
      fc.array(entry, { maxLength: 40 }),
      (size, list) => {
        const window = new DedupeWindow(size, 0x1234_5678);
        for (const [at, one] of list.entries()) {
          add(window, one, at);
          expect(answer(window, one)).toBe(expected(window, list.slice(0, at + 1), one));
        }
        expect(window.count).toBe(Math.min(size, list.length));
        const start = window.end - window.count;
        const copy = new DedupeWindow(size, 0x0bad_cafe);
        copy.clear(start);
        copy.restore(window.copy(start));
        expect([copy.end, copy.count]).toEqual([window.end, window.count]);
        for (let id = 0; id <= 12; id++) {
          const probe = { id, content: 0 };
          expect(answer(window, probe)).toBe(expected(window, list, probe));
          expect(answer(copy, probe)).toBe(expected(window, list, probe));
        }
        expect(copy.copy(start).length).toBe(window.count * entryBytes);
      },
    ),
  );
});

test("a flood of contradictions of one id stays cheap", () => {
  const window = new DedupeWindow(200_000, 1);
  for (let content = 0; content < 200_000; content++) add(window, { id: 5, content }, content);
  const started = process.cpuUsage();
  for (let content = 0; content < 10_000; content++) {
    expect(window.find(words(5), words(300_000 + content), 0)).toBeLessThan(-1);
  }
  // Time of this process, whatever else the machine does.
  expect(process.cpuUsage(started).user).toBeLessThan(1_000_000);
});
