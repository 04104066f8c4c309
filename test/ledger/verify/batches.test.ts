/** Lines are hashed some at a time; what is found in them is what one at a time would show. */
import * as fc from "fast-check";
import { expect, test } from "vitest";

import type { VerifyReport } from "../../../src/ledger/verify/report.ts";
import type { LedgerSource } from "../../../src/ledger/verify/source.ts";
import { verifyLedger } from "../../../src/ledger/verify/verify.ts";
import { builtSubject, linesOf, segmentPaths, setLines } from "../../faults/tamper/subject.ts";
import { memorySource, type EvidenceFiles } from "../evidence-files.ts";

const subject = builtSubject();
const LINE_FEED = 0x0a;

/** Gives each line as a chunk of its own. */
function lineByLine(source: LedgerSource): LedgerSource {
  return {
    ...source,
    segments: async () =>
      (await source.segments()).map((segment) => ({
        ...segment,
        async *chunks() {
          for await (const chunk of segment.chunks()) {
            const bytes = Buffer.from(chunk);
            for (let start = 0; start < bytes.length;) {
              const end = bytes.indexOf(LINE_FEED, start) + 1 || bytes.length;
              yield Uint8Array.from(bytes.subarray(start, end));
              start = end;
            }
          }
        },
      })),
  };
}

async function reports(files: EvidenceFiles, hasKeys: boolean): Promise<VerifyReport[]> {
  const chainKey = (epoch: number): Uint8Array | undefined => subject.chainKey(epoch);
  const options = { trusted: subject.trusted, ...(hasKeys && { chainKey }) };
  const source = memorySource(files, { bucket: true });
  return Promise.all([source, lineByLine(source)].map((one) => verifyLedger(one, options)));
}

interface Damage {
  readonly kind: "flip" | "remove" | "repeat" | "move";
  /** Shares of the lines and of the bytes of one. */
  readonly line: number;
  readonly other: number;
}

const share = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const damage: fc.Arbitrary<Damage> = fc.record({
  kind: fc.constantFrom("flip", "remove", "repeat", "move"),
  line: share,
  other: share,
});

function inflict(lines: string[], { kind, line, other }: Damage): void {
  const at = Math.floor(line * lines.length);
  const text = lines[at]!;
  if (kind === "flip") {
    const place = Math.floor(other * text.length);
    const flipped = String.fromCharCode(text.charCodeAt(place) ^ 1);
    lines[at] = text.slice(0, place) + flipped + text.slice(place + 1);
    return;
  }
  if (kind !== "repeat") lines.splice(at, 1);
  if (kind !== "remove") lines.splice(Math.floor(other * lines.length), 0, text);
}

test("a sound log, over several batches", async () => {
  for (const hasKeys of [true, false]) {
    const [together, alone] = await reports(subject.files, hasKeys);
    expect(together!.failures).toEqual([]);
    expect(together).toEqual(alone);
  }
});

test("any few damages, with and without keys", async () => {
  const paths = segmentPaths(subject.files);
  await fc.assert(
    fc.asyncProperty(
      fc.array(damage, { minLength: 1, maxLength: 4 }),
      fc.constantFrom(...paths),
      fc.boolean(),
      async (damages, path, hasKeys) => {
        const files = new Map(subject.files);
        const lines = linesOf(files, path);
        for (const one of damages) inflict(lines, one);
        setLines(files, path, lines);
        const [together, alone] = await reports(files, hasKeys);
        expect(together).toEqual(alone);
      },
    ),
    { numRuns: 150 },
  );
});
