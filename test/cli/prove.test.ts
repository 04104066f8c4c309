/** `spanseal prove` and `spanseal check-proof`: what holds, what does not, and what cannot be told. */
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, expect, test } from "vitest";
import { startSidecar } from "../service/sidecar-process.ts";
import { spanseal, temporaryFolder } from "./command.ts";
import { ledgerLines, north, post, recordLedger, south } from "./recorded.ts";
import type { Recorded } from "./recorded.ts";

let recorded: Recorded;
let other: Recorded;
/** The proof of record 4, and a folder that holds nothing of this log. */
let proof: string;
beforeAll(async () => {
  [recorded, other] = await Promise.all([recordLedger(), recordLedger()]);
  proof = (await recorded.run(["prove", "4"])).stdout;
});

/** Checks a proof as an auditor would: elsewhere, with what he was given. */
function check(text: string, ...parameters: string[]) {
  const cwd = temporaryFolder();
  writeFileSync(join(cwd, "record.tlog-proof"), text);
  return spanseal(["check-proof", "record.tlog-proof", ...parameters], { cwd });
}

test("a proof holds with nothing but the public key, given as text or as a file", async () => {
  const { id, index } = recorded.records[4]!;
  const origin = recorded.publicKey.split("+")[0];
  const json = await check(proof, "--public-key", recorded.publicKey, "--json");
  expect(json).toMatchObject({ code: 0, stderr: "" });
  expect(JSON.parse(json.stdout)).toEqual({
    verdict: "ok: the record is in the log",
    origin,
    size: recorded.records.length,
    index,
    id,
    included: true,
    signed_by_trusted_key: true,
  });
  const key = join(temporaryFolder(), "auditor.vkey");
  writeFileSync(key, `# from the operator\n${recorded.publicKey}\n`);
  const text = await check(proof, "-p", key);
  expect(text).toMatchObject({ code: 0, stderr: "" });
  expect(text.stdout).toMatch(
    /^ok: the record is in the log\nrecord +[0-9a-f]{32}, 4 of the log\n/,
  );
  expect(text.stdout).toContain("clinic/north #3");
});

test("a proof says who, where and when, and nothing of the content", () => {
  expect(proof.split("\n")[0]).toBe("c2sp.org/tlog-proof@v1");
  const extra = Buffer.from(/^extra (.*)$/m.exec(proof)![1]!, "base64").toString();
  expect(extra).toContain('"tenant":"north"');
  expect(extra).not.toContain("lookup_patient");
});

test("the operator needs no option: the key folder is asked; every record can be proved", async () => {
  const records = [recorded.records[0]!, recorded.records[7]!, recorded.records.at(-1)!];
  for (const { id, index } of records) {
    const file = `proof-${index}`;
    const proved = await recorded.run(["prove", id, "-o", file]);
    expect(proved).toMatchObject({ code: 0, stdout: "" });
    expect(proved.stderr).toBe(`record ${index} is in the signed tree of 11 records: ${file}\n`);
    expect(await recorded.run(["check-proof", file])).toMatchObject({ code: 0, stderr: "" });
  }
  const json = await recorded.run(["prove", "4", "--json"]);
  const { id } = recorded.records[4]!;
  expect(JSON.parse(json.stdout)).toEqual({ id, index: 4, size: 11, proof });
});

test("the key folder alone is enough, without a ledger", async () => {
  const keys = join(recorded.cwd, "spanseal-keys");
  const held = await check(proof, "--keys", keys);
  expect(held).toMatchObject({ code: 0, stderr: "" });
  expect(await check(proof, "--keys", join(other.cwd, "spanseal-keys"))).toMatchObject({ code: 1 });
});

test("a proof is read from standard input as well", async () => {
  const cwd = temporaryFolder();
  const parameters = ["check-proof", "-", "--public-key", recorded.publicKey];
  expect(await spanseal(parameters, { cwd, stdin: proof })).toMatchObject({ code: 0, stderr: "" });
});

test("the record itself is held against its proof", async () => {
  const line = (await recorded.run(["show", "4", "--line"])).stdout;
  const hold = async (text: string) => {
    const file = join(temporaryFolder(), "record.jsonl");
    writeFileSync(file, text);
    const given = ["--public-key", recorded.publicKey, "--record", file, "--json"];
    const ended = await check(proof, ...given);
    return { ...ended, answer: ended.stdout === "" ? undefined : JSON.parse(ended.stdout) };
  };
  const same = await hold(line);
  expect(same).toMatchObject({ code: 0, answer: { record_matches: true } });
  const edited = await hold(line.replace("lookup_patient", "lookup_patience"));
  expect(edited).toMatchObject({ code: 1, answer: { record_matches: false, included: true } });
  expect(edited.answer.verdict).toBe("broken: the given record is another one");
  const another = await hold(`${ledgerLines(recorded.ledger)[5]}\n`);
  expect(another).toMatchObject({ code: 1, answer: { record_matches: false } });
  const none = await hold("no line");
  expect(none).toMatchObject({ code: 1, stdout: "" });
  expect(none.stderr).toMatch(/^error: .*record\.jsonl: .*\nhint: expected what spanseal prove/);
});

test("a proof that was changed does not hold", async () => {
  const lines = proof.split("\n");
  const at = (pattern: RegExp): number => lines.findIndex((line) => pattern.test(line));
  const extra = lines[at(/^extra /)]!;
  const head = Buffer.from(extra.slice("extra ".length), "base64").toString();
  const withHead = (text: string) =>
    proof.replace(extra, `extra ${Buffer.from(text).toString("base64")}`);
  const hash = lines[at(/^index /) + 1]!;
  const changedHash = hash.startsWith("A") ? `B${hash.slice(1)}` : `A${hash.slice(1)}`;
  const changes: Record<string, string> = {
    tenant: withHead(head.replace('"tenant":"north"', '"tenant":"nerth"')),
    time: withHead(head.replace(/"time":"(\d+)"/, (_, time) => `"time":"${BigInt(time) + 1n}"`)),
    index: proof.replace("\nindex 4\n", "\nindex 5\n"),
    path: proof.replace(hash, changedHash),
    size: proof.replace(/\n11\n/, "\n12\n"),
    shorter: proof.replace(`${hash}\n`, ""),
    cut: proof.slice(0, -20),
    other: (await recorded.run(["prove", "5"])).stdout.replace(/^extra .*$/m, extra),
  };
  for (const [name, text] of Object.entries(changes)) {
    expect([name, text === proof]).toEqual([name, false]);
    const ended = await check(text, "--public-key", recorded.publicKey);
    expect([name, ended.code]).toEqual([name, 1]);
    expect([name, ended.stdout + ended.stderr]).toEqual([
      name,
      expect.stringMatching(/^(broken: |error: record\.tlog-proof: .*\nhint: )/),
    ]);
  }
});

test("another log's key does not vouch, and without a key nobody does", async () => {
  const wrong = await check(proof, "--public-key", other.publicKey);
  expect(wrong).toMatchObject({ code: 1, stderr: "" });
  expect(wrong.stdout).toMatch(/^broken: the root is not signed by a trusted key\n/);
  const none = await check(proof);
  expect(none).toMatchObject({ code: 2, stderr: "" });
  expect(none.stdout).toMatch(/^undetermined: .* whose root it is is unproven\n/);
  const elsewhere = join(other.cwd, "foreign.tlog-proof");
  writeFileSync(elsewhere, proof);
  expect(await other.run(["check-proof", elsewhere])).toMatchObject({ code: 1 });
  const bad = await check(proof, "--public-key", `${recorded.publicKey}x`);
  expect(bad).toMatchObject({ code: 2, stdout: "" });
  expect(bad.stderr).toMatch(/^error: .* is no verifier key .*\nhint: expected <origin>\+/);
});

test("a log or a proof that does not hold has its exit code where nobody reads the answer", async () => {
  const foreign = ["--public-key", other.publicKey];
  const unread = ["stdout"] as const;
  const verified = await recorded.run(["verify", ...foreign], { unread });
  expect(verified).toEqual({ code: 1, stdout: "", stderr: "" });
  const file = join(temporaryFolder(), "record.tlog-proof");
  writeFileSync(file, proof);
  const checked = await spanseal(["check-proof", file, ...foreign], { unread });
  expect(checked).toEqual({ code: 1, stdout: "", stderr: "" });
});

test("a file that is not there or no proof is told apart from a proof that does not hold", async () => {
  const missing = await spanseal(["check-proof", "missing", "-p", recorded.publicKey]);
  expect(missing).toMatchObject({ code: 2, stdout: "" });
  expect(missing.stderr).toMatch(/^error: ENOENT.*missing.*\nhint: check that the path is right/);
  const noProof = await check("hello\n", "-p", recorded.publicKey);
  expect(noProof).toMatchObject({ code: 1, stdout: "" });
  expect(noProof.stderr).toMatch(/^error: record\.tlog-proof: .*\nhint: expected what/);
});

test("what is not signed yet cannot be proved until it is published", async () => {
  const sidecar = await startSidecar();
  const { cwd, ready } = sidecar;
  const run = (...parameters: string[]) =>
    spanseal([...parameters, "--config", "spanseal.yaml"], { cwd });
  await post(ready.endpoints.http, "traces", north);
  const early = await run("prove", "2");
  expect(early).toMatchObject({ code: 1, stdout: "" });
  expect(early.stderr).toBe(
    "error: the log has no signed root yet\nhint: sign one now with spanseal publish\n",
  );
  expect(await run("publish")).toMatchObject({ code: 0 });
  expect(await run("prove", "2", "-o", "2.proof")).toMatchObject({ code: 0 });
  await post(ready.endpoints.http, "traces", south);
  const newer = await run("prove", "8");
  expect(newer.code).toBe(1);
  expect(newer.stderr).toMatch(
    /^error: record 8 is newer than the newest signed root, of 8 records\nhint: /,
  );
  expect(await run("check-proof", "2.proof")).toMatchObject({ code: 0 });
  await sidecar.stop();
  const later = await run("prove", "2");
  expect(later.code).toBe(0);
  expect(later.stdout).not.toBe(readFileSync(join(cwd, "2.proof"), "utf8"));
  expect(await run("check-proof", "2.proof")).toMatchObject({ code: 0 });
  expect(await run("prove", "99")).toMatchObject({ code: 1 });
});
