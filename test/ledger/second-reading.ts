/** Runs the verifier that was written from FORMAT.md alone, in Python, on files of logs. */
import { execFile, execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

import { toHex } from "../../src/bytes/hex.ts";
import { encodeVkey } from "../../src/ledger/note.ts";
import { nameOf, read, type Cell, type Reader } from "../faults/tamper/cell.ts";
import type { Subject } from "../faults/tamper/subject.ts";
import { writeFiles, type EvidenceFiles } from "./evidence-files.ts";

const run = promisify(execFile);
const script = new URL("independent_verifier.py", import.meta.url).pathname;
const chainEpochs = [1, 2];

export const hasPython: boolean = isThere("python3");

function isThere(program: string): boolean {
  try {
    execFileSync(program, ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    process.stderr.write(`SKIPPED: ${program} is absent, FORMAT.md is not read a second time\n`);
    return false;
  }
}

/** `vectors` or `logs`, and a file; what it prints. */
export async function readSecond(what: "vectors" | "logs", file: string): Promise<string> {
  const { stdout } = await run("python3", [script, what, file], { maxBuffer: 2 ** 24 });
  return stdout;
}

interface Case {
  readonly name: string;
  readonly files: EvidenceFiles;
  readonly reader: Reader;
}

/** The subject unharmed and with each damage, as operator and auditor see it. */
function casesOf(subject: Subject, cells: readonly Cell[]): Case[] {
  const readers = ["operator", "auditor"] as const;
  const whole = readers.map((reader) => ({
    name: `whole, ${reader}`,
    files: subject.files,
    reader,
  }));
  const harmed = cells.flatMap((cell) => {
    const files: EvidenceFiles = new Map(subject.files);
    cell.damage(files, subject);
    return readers.map((reader) => ({ name: `${nameOf(cell)}, ${reader}`, files, reader }));
  });
  return [...whole, ...harmed];
}

/** Cases of which the two verifiers say something else; one line each. */
export async function differences(subject: Subject, cells: readonly Cell[]): Promise<string[]> {
  const cases = casesOf(subject, cells);
  const root = await mkdtemp(join(tmpdir(), "spanseal-second-"));
  try {
    const asked: object[] = [];
    for (const [at, { files, reader }] of cases.entries()) {
      const folder = join(root, String(at));
      await writeFiles(folder, files);
      asked.push(question(folder, subject, reader));
    }
    await writeFile(join(root, "cases.json"), JSON.stringify(asked));
    const answers = (await readSecond("logs", join(root, "cases.json"))).split("\n");
    const different: string[] = [];
    for (const [at, { name, files, reader }] of cases.entries()) {
      const { verdict } = await read(files, subject, reader);
      const answer = answers[at] ?? "none";
      if (!answer.startsWith(verdict)) different.push(`${name}: ${verdict}, second: ${answer}`);
    }
    return different;
  } finally {
    await rm(root, { recursive: true });
  }
}

function question(folder: string, subject: Subject, reader: Reader): object {
  const epochs = reader === "operator" ? chainEpochs : [];
  const keys = epochs.flatMap((epoch) => {
    const key = subject.chainKey(epoch);
    return key === undefined ? [] : [[epoch, toHex(key)]];
  });
  return {
    ledger: join(folder, "ledger"),
    bucket: join(folder, "bucket"),
    vkeys: subject.trusted.map(({ name, publicKey }) => encodeVkey(name, publicKey)),
    chain_keys: Object.fromEntries(keys) as object,
  };
}
