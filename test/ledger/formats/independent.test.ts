import { execFile, execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";

import { vectorFolder } from "./vector-files.ts";

const run = promisify(execFile);
const script = new URL("../independent_verifier.py", import.meta.url).pathname;
const hasPython = isThere("python3");

function isThere(program: string): boolean {
  try {
    execFileSync(program, ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    process.stderr.write(
      `SKIPPED: ${program} is absent, the second reading of FORMAT.md is not run\n`,
    );
    return false;
  }
}

test.skipIf(!hasPython)("a verifier written from FORMAT.md alone accepts the vectors", async () => {
  const { stdout } = await run("python3", [script, new URL("ledger.json", vectorFolder).pathname]);
  expect(stdout).toBe("ok: 8 records, 2 checkpoints\n");
});

test.skipIf(!hasPython)("and refuses a changed digit", async () => {
  const folder = await mkdtemp(join(tmpdir(), "spanseal-vectors-"));
  try {
    const text = await readFile(new URL("ledger.json", vectorFolder), "utf8");
    const changed = text.replace('\\"time\\":\\"1767225600001', '\\"time\\":\\"1767225600002');
    expect(changed).not.toBe(text);
    await writeFile(join(folder, "ledger.json"), changed);
    await expect(run("python3", [script, join(folder, "ledger.json")])).rejects.toThrow("MAC");
  } finally {
    await rm(folder, { recursive: true });
  }
});
