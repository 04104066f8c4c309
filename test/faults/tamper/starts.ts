/**
 * What a start says to a change of each file that a sidecar keeps, evidence or not. It is refused,
 * or the sidecar goes on and loses nothing that was acknowledged; what a start does not look at is
 * named by the verifier.
 */
import type { VerifyReport } from "../../../src/ledger/verify/report.ts";
import { Life } from "../storage/life.ts";
import type { PathSink } from "../storage/path-sink.ts";

interface Target {
  readonly name: string;
  /** Of several files of that pattern the first, or the last. */
  readonly pattern: RegExp;
  readonly which: "first" | "last";
  /** False where damage may stop the start or pass it, but must never be seen in the log. */
  readonly isEvidence: boolean;
}

const target = (
  name: string,
  pattern: RegExp,
  isEvidence: boolean,
  which: Target["which"] = "last",
): Target => ({ name, pattern, which, isEvidence });

const targets: readonly Target[] = [
  target("ledger.json", /ledger\/ledger\.json$/, true),
  target("segment, closed", /\.jsonl$/, true, "first"),
  target("segment, newest", /\.jsonl$/, true),
  target("checkpoint", /ledger\/checkpoint$/, true),
  target("tile/0", /ledger\/tile\/0$/, true),
  target("tile/entries", /ledger\/tile\/entries$/, true),
  target("bucket checkpoint", /bucket\/.*\/checkpoint$/, true),
  target("bucket checkpoints/<older>", /bucket\/.*\/checkpoints\/\d\d$/, true, "first"),
  target("bucket tile/0, newest", /bucket\/.*\/tile\/0\/000\.p\/\d+$/, true),
  target("state, newest", /\/state\/\d+$/, false),
  target("state, older", /\/state\/\d\d$/, false, "first"),
  target("policy.json", /policy\.json$/, false),
  target("publish/cursor.json", /cursor\.json$/, false),
  target("spool entries", /\.spool$/, false),
  target("spool cursor", /spool\/traces\/cursor$/, false),
  target("lock", /ledger\/lock$/, false),
  target("lock.owner", /lock\.owner$/, false),
  target("quarantine", /\/quarantine\/.+/, false),
  target("chain key", /chain\.2\.key$/, false),
  target("log key", /log\.2\.key$/, false),
  target("pepper", /pepper\.1\.key$/, false),
];

const changes = {
  edit: (bytes: Buffer) => {
    const at = Math.floor(bytes.length / 2);
    const text = bytes.toString("latin1");
    return Buffer.from(
      text.slice(0, at) + (text[at] === "1" ? "2" : "1") + text.slice(at + 1),
      "latin1",
    );
  },
  insert: (bytes: Buffer) => Buffer.concat([bytes, Buffer.from("inserted\n")]),
  duplicate: (bytes: Buffer) => Buffer.concat([bytes, bytes]),
  "truncate head": (bytes: Buffer) => bytes.subarray(Math.ceil(bytes.length / 2)),
  "truncate tail": (bytes: Buffer) => bytes.subarray(0, Math.floor(bytes.length / 2)),
  empty: () => Buffer.alloc(0),
} as const satisfies Record<string, (bytes: Buffer) => Buffer>;
const operations = [...Object.keys(changes), "delete", "roll back"] as const;

export interface StartRow {
  readonly name: string;
  readonly told: readonly string[];
}

/** Runs the rows of all targets or of some, by their place. @throws Error naming what went wrong. */
export async function runStarts(
  sink: PathSink,
  isWanted: (place: number) => boolean = () => true,
): Promise<StartRow[]> {
  const life = new Life(sink);
  const older = new Map<string, Buffer>();
  // After the first session: what a file is taken back to.
  life.onSession = async (session) => {
    if (session !== 0) return;
    for (const path of filesOf(life)) older.set(path, Buffer.from(await life.disk.readFile(path)));
  };
  await life.live();
  const rows: StartRow[] = [];
  const wrong: string[] = [];
  for (const one of targets.filter((_, place) => isWanted(place))) {
    const told: string[] = [];
    for (const operation of operations) {
      const outcome = await startAfter(life, one, operation, older);
      told.push(outcome.text);
      if (outcome.problem)
        wrong.push(`${one.name}, ${operation}: ${outcome.text} ${outcome.problem}`);
    }
    rows.push({ name: one.name, told });
  }
  if (wrong.length > 0) throw new Error(wrong.join("\n"));
  return rows;
}

function filesOf(life: Life): string[] {
  return life.disk.paths().filter((path) => !life.disk.isFolder(path));
}

interface Outcome {
  readonly text: string;
  readonly problem?: string;
}

async function startAfter(
  life: Life,
  { pattern, which, isEvidence }: Target,
  operation: (typeof operations)[number],
  older: ReadonlyMap<string, Buffer>,
): Promise<Outcome> {
  const copy = life.copyOn(life.disk.afterKill());
  const path = filesOf(copy)
    .filter((name) => pattern.test(name))
    .at(which === "first" ? 0 : -1)!;
  const before = Buffer.from(await copy.disk.readFile(path));
  if (operation === "delete") copy.disk.discard(path);
  else if (operation === "roll back") {
    const old = older.get(path);
    if (old === undefined || old.equals(before)) return { text: "" };
    copy.disk.alter(path, () => old);
  } else {
    const changed = changes[operation as keyof typeof changes](before);
    if (changed.equals(before)) return { text: "" };
    copy.disk.alter(path, () => changed);
  }
  const judged = await copy.judgeStart();
  if (judged.refusal !== undefined) return { text: `refused: ${judged.refusal}` };
  const { report, lost } = judged;
  const named = classesOf(report);
  const text = named === "" ? "goes on" : `goes on; verify: ${named}`;
  if (lost.length > 0 && named === "") return { text, problem: `lost ${lost.join()}` };
  if (named !== "" && !isEvidence) return { text, problem: "though it is no evidence" };
  return { text };
}

function classesOf({ failures }: VerifyReport): string {
  return [...new Set(failures.map((failure) => failure.class))].join(", ");
}

export function renderRow({ name, told }: StartRow): string {
  return `| ${name} | ${told.join(" | ")} |`;
}

export function renderStarts(rows: readonly StartRow[]): string {
  return [
    "",
    "## What a start says",
    "",
    "A ledger with segments, snapshots, spool and keys, as an orderly end left it, is changed in one file and",
    "started again. Refused are starts with exit code 3 and a remedy; those that go on lost no acknowledged",
    "record, unless the verifier names what is missing. Empty: nothing to do there.",
    "",
    `| file | ${operations.join(" | ")} |`,
    `|---|${operations.map(() => "---|").join("")}`,
    ...rows.map(renderRow),
    "",
  ].join("\n");
}
