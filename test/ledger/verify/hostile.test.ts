/** Folders that somebody made to stop the verifier: it ends soon, in little memory, with an answer. */
import { execFileSync } from "node:child_process";
import { mkdir, mkdtemp, rename, rm, symlink, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test, vi } from "vitest";

import { directorySource } from "../../../src/ledger/directory-source.ts";
import { nodeFileSystem } from "../../../src/ledger/file-system.ts";
import { parseVkey } from "../../../src/ledger/note.ts";
import type { VerifyReport } from "../../../src/ledger/verify/report.ts";
import { verifyLedger } from "../../../src/ledger/verify/verify.ts";
import { spanseal } from "../../cli/command.ts";
import { exampleLedger } from "../builder.ts";
import { filesOf, writeFiles } from "../evidence-files.ts";

const ledger = exampleLedger();
const first = "ledger/segments/0000000000000000.jsonl";
const last = "ledger/segments/0000000000000012.jsonl";
const gigabyte = 2 ** 30;

class Folder {
  readonly root: string;

  constructor(root: string) {
    this.root = root;
  }

  at(path: string): string {
    return join(this.root, path);
  }
}

async function folder(): Promise<Folder> {
  const root = await mkdtemp(join(tmpdir(), "spanseal-hostile-"));
  onTestFinished(() => rm(root, { recursive: true, force: true }));
  await writeFiles(root, filesOf(ledger));
  return new Folder(root);
}

function verify(hostile: Folder, keys = true): Promise<VerifyReport> {
  return verifyLedger(directorySource(hostile.at("ledger"), hostile.at("bucket")), {
    ...(keys && { chainKey: ledger.chainKey }),
    trusted: [parseVkey(ledger.vkey)],
  });
}

const named = ({ failures }: VerifyReport): string[] =>
  failures.map(({ class: name, place }) => `${name} ${place.file ?? place.segment}`);

const pipeMaker = "mkfifo";

/** Each is put in the place of a file. */
const stand: readonly [what: string, make: (path: string) => Promise<unknown>][] = [
  ["a folder", (path) => mkdir(path)],
  ["a pipe that nobody writes to", async (path) => execFileSync(pipeMaker, [path])],
  ["a device without end", (path) => symlink("/dev/zero", path)],
  ["a link to itself", (path) => symlink(path, path)],
  ["an empty file", (path) => writeFile(path, "")],
  ["a gigabyte of nothing", (path) => writeFile(path, "").then(() => truncate(path, gigabyte))],
];
const places: readonly string[] = [
  "ledger/ledger.json",
  "ledger/checkpoint",
  "ledger/tile/0",
  "bucket/checkpoint",
  "bucket/checkpoints/7",
  "bucket/tile/entries/000.p/17",
  first,
  last,
];

/** An empty segment is how one begins: what is missing is told by what follows it. */
function placeNamed(path: string, what: string): string {
  if (what === "an empty file" && path === first) return "0000000000000012.jsonl";
  if (what === "an empty file" && path === last) return "bucket/checkpoints/17";
  if (path === "ledger/tile/0") return "tile/0/000.p/17";
  return path.replace(/^ledger\/(?:segments\/)?/, "");
}

test.each(stand)("%s in the place of each file is named there", async (what, make) => {
  for (const path of places) {
    const hostile = await folder();
    await rm(hostile.at(path));
    await make(hostile.at(path));
    const report = await verify(hostile);
    expect(named(report).join()).toContain(placeNamed(path, what));
    expect(report.exitCode).toBe(1);
  }
});

test("the command says so too, where no ledger can be made out", async () => {
  const hostile = await folder();
  await rm(hostile.at("ledger/ledger.json"));
  await writeFile(hostile.at("ledger/ledger.json"), "{".repeat(3000));
  const ended = await spanseal(["verify", hostile.root, "--keys", "none", "--json"]);
  expect(ended).toMatchObject({ code: 1, stderr: "" });
  expect(JSON.parse(ended.stdout).failures).toMatchObject([
    { class: "malformed", place: { file: "ledger.json" } },
  ]);
});

test("an index beyond all reason is a gap, not a tree to be filled", async () => {
  const hostile = exampleLedger();
  const { lines } = hostile.segments[1]!;
  const far = (line: string, by: number): string =>
    line
      .replace(/"group":\d+/, `"group":${2 ** 52}`)
      .replace(/"index":\d+/, `"index":${2 ** 52 + by}`);
  for (const [by, line] of lines.slice(5).entries()) lines[5 + by] = far(line, by);
  for (const keys of [true, false]) {
    const report = await verifyLedger(hostile.source({ bucket: true }), {
      ...(keys && { chainKey: hostile.chainKey }),
      trusted: [parseVkey(hostile.vkey)],
    });
    expect(report.verdict).toBe("broken");
    expect(report.failureCounts.gap).toBeGreaterThan(0);
  }
});

test("a million empty lines, and one line longer than any", async () => {
  const hostile = await folder();
  await writeFile(hostile.at(first), "\n".repeat(1_000_000));
  const report = await verify(hostile);
  expect(report.failureCounts.malformed).toBeGreaterThan(999_999);
  await writeFile(hostile.at(first), "x".repeat(17 * 2 ** 20));
  expect(named(await verify(hostile))).toContain("malformed 0000000000000000.jsonl");
});

test("a segment under another name, and one out of order", async () => {
  const hostile = await folder();
  await rename(hostile.at(last), hostile.at("ledger/segments/0000000000000013.jsonl"));
  expect(named(await verify(hostile))).toEqual(["reordered 0000000000000013.jsonl"]);
  const other = await folder();
  await rename(other.at(last), other.at("ledger/segments/-.jsonl"));
  expect(named(await verify(other))).toContain("reordered -.jsonl");
});

test("what was opened is read, whatever stands in its place meanwhile", async () => {
  const hostile = await folder();
  const path = hostile.at("ledger/ledger.json");
  const open = nodeFileSystem.open.bind(nodeFileSystem);
  let closed = 0;
  const replacing = vi.spyOn(nodeFileSystem, "open").mockImplementation(async (...given) => {
    const file = await open(...given);
    await rm(path);
    await mkdir(path);
    return { ...file, close: () => file.close().then(() => void closed++) };
  });
  onTestFinished(() => replacing.mockRestore());
  const source = directorySource(hostile.at("ledger"));
  expect(Buffer.from(await source.descriptor()).toString()).toMatch(/^\{"algorithms":/);
  expect(closed).toBe(1);
});
