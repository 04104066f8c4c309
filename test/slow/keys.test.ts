/** What one may try who has no key, but another log of the same keys or a log that changed its key. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import type { VerifyReport } from "../../src/ledger/verify/report.ts";
import { spanseal } from "../cli/command.ts";
import { ledgerLines, north, post, recordLedger } from "../cli/recorded.ts";
import { startSidecar } from "../service/sidecar-process.ts";

const config = ["--config", "spanseal.yaml"];

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), "spanseal-keys-"));
  onTestFinished(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

const whole = { code: 0, classes: [] };

/** The exit code, and the classes of what is told. */
async function verify(
  cwd: string,
  ...more: readonly string[]
): Promise<{ code: number | null; classes: string[] }> {
  const { code, stdout } = await spanseal(["verify", "--json", ...more, ...config], { cwd });
  const { failures } = JSON.parse(stdout) as VerifyReport;
  return { code, classes: [...new Set(failures.map(({ class: name }) => name))] };
}

test("a chain that is moved from another log of the same keys is named", async () => {
  const own = await recordLedger();
  const cwd = folder();
  cpSync(join(own.cwd, "spanseal-keys"), join(cwd, "spanseal-keys"), { recursive: true });
  const other = await recordLedger({ cwd });
  const writerOf = (line: string): string => /"writer":"([0-9a-f]{32})"/.exec(line)![1]!;
  const [ownLines, otherLines] = [ledgerLines(own.ledger), ledgerLines(other.ledger)];
  const [ownWriter, otherWriter] = [writerOf(ownLines[0]!), writerOf(otherLines[0]!)];
  expect(otherWriter).not.toBe(ownWriter);
  const move = (change: (line: string) => string): void => {
    const lines = ownLines.map((line, at) =>
      line.includes('"tenant":"north","time"') ? change(otherLines[at]!) : line,
    );
    expect(lines.filter((line, at) => line !== ownLines[at])).toHaveLength(5);
    const path = join(own.ledger, "segments/0000000000000000.jsonl");
    writeFileSync(path, lines.map((line) => `${line}\n`).join(""));
  };
  const auditor = ["--no-chain-key", "--public-key", own.publicKey];
  expect(await verify(own.cwd)).toEqual(whole);
  move((line) => line);
  const asItWas = await verify(own.cwd);
  expect(asItWas).toMatchObject({ code: 1 });
  expect(asItWas.classes).toContain("spliced");
  expect((await verify(own.cwd, ...auditor)).classes).toContain("spliced");
  // The writer is text that anybody can change; the key of the chain is another in each log.
  move((line) => line.replace(otherWriter, ownWriter));
  const renamed = await verify(own.cwd);
  expect(renamed).toMatchObject({ code: 1 });
  expect(renamed.classes).toContain("spliced");
  expect((await verify(own.cwd, ...auditor)).classes).toEqual([
    "spliced",
    "altered",
    "root_mismatch",
  ]);
}, 120_000);

test("a log whose key was rotated is held to the old key's word for the new one", async () => {
  const sidecar = await startSidecar();
  const { cwd } = sidecar;
  await post(sidecar.ready.endpoints.http, "traces", north);
  expect((await spanseal(["publish", ...config], { cwd })).code).toBe(0);
  expect((await spanseal(["keys", "rotate", "log", ...config], { cwd })).code).toBe(0);
  expect((await spanseal(["publish", ...config], { cwd })).code).toBe(0);
  await sidecar.stop();
  const oldKey = sidecar.ready.public_key;
  const auditor = ["--no-chain-key", "--public-key", oldKey];
  expect(await verify(cwd, ...auditor)).toEqual(whole);

  const [origin, hint] = oldKey.split("+") as [string, string];
  const data = join(cwd, "spanseal-data");
  const roots = ["ledger", `bucket/${origin}`, `bucket/${origin}/checkpoints`].flatMap((name) =>
    readdirSync(join(data, name), { withFileTypes: true })
      .filter((entry) => entry.isFile() && /^(?:checkpoint|\d+)$/.test(entry.name))
      .map((entry) => join(entry.parentPath, entry.name)),
  );
  const segment = join(data, "ledger/segments/0000000000000000.jsonl");
  const isBy = (line: string): boolean =>
    Buffer.from(line.split(" ")[2]!, "base64").toString("hex", 0, 4) === hint;
  const without = (isGone: (line: string) => boolean) => (text: string) =>
    text
      .match(/^.*\n/gm)!
      .filter((line) => !line.startsWith("— ") || !isGone(line))
      .join("");
  const harm = async (paths: readonly string[], change: (text: string) => string) => {
    const texts = paths.map((path) => readFileSync(path, "utf8"));
    for (const [at, path] of paths.entries()) writeFileSync(path, change(texts[at]!));
    const told = [await verify(cwd, ...auditor), await verify(cwd)];
    for (const [at, path] of paths.entries()) writeFileSync(path, texts[at]!);
    return told;
  };
  const both = roots.filter((path) => readFileSync(path, "utf8").match(/^— /gm)!.length === 2);
  // One was published before the rotation, one made for it.
  expect(both).toHaveLength(roots.length - 2);
  const wrongKey = { code: 1, classes: ["wrong_key"] };
  const altered = { code: 1, classes: ["altered"] };
  // Who holds the new key too needs nobody's word for it; to the auditor the log ends before it.
  const gone = [{ code: 2, classes: [] }, whole];
  expect(await harm(both, without(isBy))).toEqual(gone);
  expect(
    await harm(
      both,
      without((line) => !isBy(line)),
    ),
  ).toEqual([wrongKey, wrongKey]);
  const otherDigit = (_: string, before: string, digit: string): string =>
    before + (digit === "0" ? "1" : "0");
  const otherKey = (text: string): string => text.replace(/("to":"[^"]*\+)([0-9a-f])/, otherDigit);
  expect(await harm([segment], otherKey)).toEqual([altered, altered]);
}, 120_000);
