import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";

import { cells } from "../../faults/tamper/matrix.ts";
import { builtSubject } from "../../faults/tamper/subject.ts";
import { Random } from "../../support/agent-load.ts";
import { differences, hasPython, readSecond } from "../second-reading.ts";
import { vectorFolder } from "./vector-files.ts";

test.skipIf(!hasPython)("a verifier written from FORMAT.md alone accepts the vectors", async () => {
  const stdout = await readSecond("vectors", new URL("ledger.json", vectorFolder).pathname);
  expect(stdout).toBe("ok: 8 records, 2 checkpoints\n");
});

test.skipIf(!hasPython)("and refuses a changed digit", async () => {
  const folder = await mkdtemp(join(tmpdir(), "spanseal-vectors-"));
  try {
    const text = await readFile(new URL("ledger.json", vectorFolder), "utf8");
    const changed = text.replace('\\"time\\":\\"1767225600001', '\\"time\\":\\"1767225600002');
    expect(changed).not.toBe(text);
    await writeFile(join(folder, "ledger.json"), changed);
    await expect(readSecond("vectors", join(folder, "ledger.json"))).rejects.toThrow("MAC");
  } finally {
    await rm(folder, { recursive: true });
  }
});

test.skipIf(!hasPython)("both verifiers say the same of a damaged log", async () => {
  const seed = Number(process.env["SPANSEAL_TEST_SEED"] ?? Date.now() % 1_000_000);
  const random = new Random(seed);
  const some = Array.from({ length: 20 }, () => random.pick(cells));
  console.log(`seed ${seed}: repeat with SPANSEAL_TEST_SEED=${seed}`);
  expect(await differences(builtSubject(), some)).toEqual([]);
});
