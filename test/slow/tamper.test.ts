/**
 * Damage of every kind to what a real sidecar left behind, as `spanseal verify` tells it: with the
 * chain key, and as one from outside who has nothing but the public key.
 */
import { cpSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { openKeys } from "../../src/ledger/keys.ts";
import { parseVkey } from "../../src/ledger/note.ts";
import { spanseal } from "../cli/command.ts";
import { recordLedger } from "../cli/recorded.ts";
import type { Recorded } from "../cli/recorded.ts";
import { startPathSink } from "../faults/storage/path-sink.ts";
import { cells, renderLarge, runMatrix } from "../faults/tamper/matrix.ts";
import { renderStarts, runStarts } from "../faults/tamper/starts.ts";
import { builtSubject, largeSubject } from "../faults/tamper/subject.ts";
import type { Subject } from "../faults/tamper/subject.ts";
import { largeTileCells } from "../faults/tamper/tiles.ts";
import { keyFolder } from "../ledger/log/support.ts";
import { differences, hasPython } from "../ledger/second-reading.ts";
import { startSidecar } from "../service/sidecar-process.ts";
import { brief, Copy, readEvidence, recordEvidence } from "./evidence.ts";
import type { Evidence, Verdicts } from "./evidence.ts";

const tamperTable = new URL("../faults/TAMPER.md", import.meta.url);
let evidence: Evidence;
let other: Recorded;
/** Names and first indexes of the three segments; sizes of the four roots in the bucket. */
let names: string[];
let firsts: number[];
let sizes: number[];
let size: number;

beforeAll(async () => {
  [evidence, other] = await Promise.all([recordEvidence(), recordLedger()]);
  const whole = readSizes(evidence);
  ({ names, sizes } = whole);
  firsts = names.map((name) => Number.parseInt(name, 10));
  size = sizes.at(-1)!;
});

afterAll(() => rmSync(evidence.cwd, { recursive: true, force: true }));

function readSizes({ whole, origin }: Evidence): { names: string[]; sizes: number[] } {
  const copy = Object.create(Copy.prototype, {
    path: { value: whole },
    bucket: { value: join(whole, "bucket", origin) },
  }) as Copy;
  return { names: copy.segments, sizes: copy.bucketSizes };
}

interface Judgement {
  readonly verdict: string;
  readonly exitCode: number;
  /** Of many failures, the first ones. */
  readonly failures: readonly string[];
}

const failuresShown = 20;

/** Verdict, exit code (which `verify` holds against that of the process), classes and places. */
async function judge(copy: Copy): Promise<{ full: Judgement; publicOnly: Judgement }> {
  const { full, publicOnly } = await copy.verify();
  const judgement = (report: Verdicts["full"]): Judgement => ({
    verdict: report.verdict,
    exitCode: report.exitCode,
    failures: brief(report).slice(0, failuresShown),
  });
  return { full: judgement(full), publicOnly: judgement(publicOnly) };
}

/** Both readings find it: with the chain key, and without where that differs. */
function broken(
  full: readonly string[],
  publicOnly: readonly string[] = full,
): Awaited<ReturnType<typeof judge>> {
  const judgement = { verdict: "broken", exitCode: 1 };
  return {
    full: { ...judgement, failures: full },
    publicOnly: { ...judgement, failures: publicOnly },
  };
}

const ok = { verdict: "ok", exitCode: 0, failureCount: 0 };

/** A record in the middle of the middle segment, and how the verifier names its place. */
const at = 200;

interface Victim {
  readonly lines: string[];
  readonly index: number;
  /** `file:line index chain`, this many lines further on. */
  place(further?: number): string;
  /** The first root that covers it, as it is named when it does not hold. */
  readonly root: string;
  /** The tile that holds its entry. */
  readonly tile: string;
  store(): void;
}

function victimOf(copy: Copy): Victim {
  const [, segment] = names;
  const lines = copy.read(segment!);
  const heads = lines.map((line) => JSON.parse(line).head);
  const index = firsts[1]! + at;
  return {
    lines,
    index,
    place(further = 0) {
      const { tenant, sequence } = heads[at + further];
      return `${segment}:${at + 1 + further} ${index + further} ${tenant}#${sequence}`;
    },
    root: rootOver(index),
    tile: `tile/entries/${String(Math.floor(index / 256)).padStart(3, "0")} ${index}`,
    store: () => copy.write(segment!, lines),
  };
}

function rootOver(index: number): string {
  const covering = sizes.find((one) => one > index)!;
  return `root_mismatch bucket/checkpoints/${covering} ${covering - 1}`;
}

function changed(line: string, from: RegExp, to: string | ((digit: string) => string)): string {
  const text = line.replace(from, (_, before: string, digit: string) =>
    typeof to === "string" ? `${before}${to}` : `${before}${to(digit)}`,
  );
  expect(text).not.toBe(line);
  return text;
}

const otherDigit = (digit: string): string => (digit === "0" ? "1" : "0");

test("the matrix of test/faults, on what a sidecar wrote", async () => {
  const ring = await openKeys(join(evidence.cwd, "spanseal-keys"), keyFolder, { create: false });
  const subject: Subject = {
    files: readEvidence(evidence.running, evidence.origin),
    older: readEvidence(evidence.older, evidence.origin),
    other: readEvidence(join(other.ledger, ".."), other.publicKey.split("+")[0]!),
    trusted: [parseVkey(evidence.publicKey)],
    chainKey: (epoch) => ring.chainKey(epoch),
  };
  // Every third change from any of the first three: the built log is changed in all of them.
  const first = Date.now() % 3;
  const some = cells.filter((_, place) => place % 3 === first);
  expect((await runMatrix(subject, some)).length).toBeGreaterThan(100);
}, 600_000);

test.skipIf(!hasPython)(
  "a verifier written from FORMAT.md alone says the same of every damaged log",
  async () => {
    expect(await differences(builtSubject(), cells)).toEqual([]);
  },
  600_000,
);

test("the tiles of a large log, and TAMPER.md says the same", async () => {
  const rows = await runMatrix(largeSubject(), largeTileCells);
  expect(readFileSync(tamperTable, "utf8")).toContain(renderLarge(rows));
}, 600_000);

test("the starts of test/faults, and TAMPER.md says the same", async () => {
  const sink = await startPathSink();
  onTestFinished(() => sink.close());
  const table = readFileSync(tamperTable, "utf8");
  expect(table.endsWith(renderStarts(await runStarts(sink)))).toBe(true);
});

test("untouched, the copies verify; the chain key adds the MACs, the public key is enough", async () => {
  const { full, publicOnly } = await new Copy(evidence).verify();
  expect(names).toHaveLength(3);
  expect(sizes).toHaveLength(4);
  expect([full, publicOnly]).toMatchObject([ok, ok]);
  expect(full).toMatchObject({ macs: "all", identity: "proven", provenSize: size, unchecked: [] });
  expect(full.counts).toMatchObject({ chains: 4, boots: 2, seals: 4, segments: 3, records: size });
  expect(publicOnly).toMatchObject({ macs: "none", identity: "proven", provenSize: size });
  expect(publicOnly.unchecked.map(({ what }) => what)).toEqual(["macs", "tips"]);
});

test("without any trusted key the answer is: consistent, but whose it is is unproven", async () => {
  const { path } = new Copy(evidence);
  const ended = await spanseal(["verify", path, "--json", "--keys", "elsewhere"]);
  expect(ended).toMatchObject({ code: 2, stderr: "" });
  expect(JSON.parse(ended.stdout)).toMatchObject({ verdict: "undetermined", failureCount: 0 });
  expect(JSON.parse(ended.stdout).summary).toMatch(/^self-consistent, identity unproven/);
  const keys = ["--keys", join(evidence.cwd, "spanseal-keys")];
  const withKeys = await spanseal(["verify", path, ...keys, "--no-chain-key", "--level", "full"]);
  expect(withKeys.code).toBe(2);
  expect(withKeys.stdout).toMatch(/^cannot tell in full: chain keys are missing\n/);
});

test("one changed byte of a body", async () => {
  const copy = new Copy(evidence);
  const victim = victimOf(copy);
  victim.lines[at] = changed(victim.lines[at]!, /("observed":")(\d)/, otherDigit);
  victim.store();
  expect(await judge(copy)).toEqual(broken([`altered ${victim.place()}`]));
  const keys = ["--keys", join(evidence.cwd, "spanseal-keys")];
  const text = await spanseal(["verify", copy.path, ...keys]);
  expect(text.code).toBe(1);
  const [file, index, chain] = victim.place().split(" ") as [string, string, string];
  expect(text.stdout).toContain(
    `FAILED altered at ${file.replace(":", " line ")}, record ${index}, chain default/${chain.replace("#", " #")}: `,
  );
});

interface Fabricated {
  readonly head: Record<string, unknown>;
  readonly mac: string;
  readonly body: unknown;
}

/** A line that goes on with the chain of `line` as well as one without the key can make it. */
function fabricated(line: string, index: number): string {
  const { head, mac, body } = JSON.parse(line) as Fabricated;
  const sequence = (head["sequence"] as number) + 1;
  const next = { ...head, index, sequence, previous_mac: mac, id: "f".repeat(32) };
  return JSON.stringify({ head: next, mac: "ab".repeat(32), body });
}

test("an inserted line that was made up, in the middle and after the end", async () => {
  const copy = new Copy(evidence);
  const victim = victimOf(copy);
  const genuine = victim.place();
  victim.lines.splice(at, 0, fabricated(victim.lines[at - 1]!, victim.index));
  victim.store();
  const moved = (further: number): string =>
    victim.place(further).replace(/:(\d+)/, (_, line) => `:${Number(line) + 1}`);
  expect(await judge(copy)).toEqual(
    broken(
      [`altered ${genuine}`, `duplicate ${moved(0)}`, `spliced ${moved(1)}`, victim.root],
      [`duplicate ${moved(0)}`, `altered ${moved(1)}`, victim.root],
    ),
  );

  const end = new Copy(evidence);
  const lines = end.read(names[2]!);
  lines.push(fabricated(lines.at(-1)!, size).replace(/"group":\d+/, `"group":${size}`));
  end.write(names[2]!, lines);
  const place = `${names[2]}:${lines.length} ${size} system#${sequenceOf(lines.at(-1)!)}`;
  expect(await judge(end)).toEqual(broken([`altered ${place}`], [`spliced ${place}`]));
});

const sequenceOf = (line: string): number => JSON.parse(line).head.sequence;

/** What every root says that reaches beyond the end of the log. */
function truncatedAt(end: number, name = "truncated"): string[] {
  const kept = sizes.filter((one) => one > end).map((one) => `bucket/checkpoints/${one}`);
  return [...kept, "checkpoint", "bucket/checkpoint"].map((file) => `${name} ${file} ${end}`);
}

test("a tail cut within a line, at a line's end, beyond an older root, and by a segment", async () => {
  const within = new Copy(evidence);
  const lines = within.read(names[2]!);
  within.write(names[2]!, lines.slice(0, -1), lines.at(-1)!.slice(0, 100));
  expect(await judge(within)).toEqual(broken(truncatedAt(size - 1)));

  const whole = new Copy(evidence);
  whole.write(names[2]!, lines.slice(0, -1));
  expect(await judge(whole)).toEqual(broken(truncatedAt(size - 1)));

  const beyond = new Copy(evidence);
  const end = sizes[2]! - 50;
  beyond.write(names[2]!, lines.slice(0, end - firsts[2]!));
  expect(await judge(beyond)).toEqual(broken(truncatedAt(end)));

  const segment = new Copy(evidence);
  rmSync(join(segment.ledger, "segments", names[2]!));
  expect(await judge(segment)).toEqual(broken(truncatedAt(firsts[2]!)));
});

test("the ledger taken back to an older copy, with the bucket ahead; and its segments alone", async () => {
  const end = sizes[1]!;
  const copy = new Copy(evidence);
  rmSync(copy.ledger, { recursive: true });
  cpSync(join(evidence.older, "ledger"), copy.ledger, { recursive: true });
  const beyond = truncatedAt(end, "rolled_back").filter((one) => !one.includes(" checkpoint "));
  expect(await judge(copy)).toEqual(broken(beyond));

  const segments = new Copy(evidence);
  const folder = join(segments.ledger, "segments");
  rmSync(folder, { recursive: true });
  cpSync(join(evidence.older, "ledger/segments"), folder, { recursive: true });
  expect(await judge(segments)).toEqual(broken(truncatedAt(end)));
});

test("what no reading can notice is said: an unsigned tail that was cut, a bucket behind", async () => {
  const running = new Copy(evidence, evidence.running);
  const lines = running.read(names[2]!);
  running.write(names[2]!, lines.slice(0, -20), lines.at(-20)!.slice(0, 100));
  const { full, publicOnly } = await running.verify();
  expect([full, publicOnly]).toMatchObject([ok, ok]);
  const tail = { what: "tail", first: sizes[2]!, end: firsts[2]! + lines.length - 20 };
  expect(full.unchecked).toMatchObject([tail, { what: "incomplete_line" }]);
  expect(publicOnly.unchecked).toContainEqual(expect.objectContaining(tail));

  const behind = new Copy(evidence);
  rmSync(join(behind.path, "bucket"), { recursive: true });
  cpSync(join(evidence.older, "bucket"), join(behind.path, "bucket"), { recursive: true });
  const report = await behind.verify();
  expect(report).toMatchObject({ full: ok, publicOnly: ok });
  const bucket = { what: "bucket", first: sizes[1]!, end: size };
  expect(report.full.unchecked).toMatchObject([bucket]);
});

test("serve refuses a ledger that is shorter than its bucket knows, and harms nothing", async () => {
  const copy = new Copy(evidence);
  rmSync(copy.ledger, { recursive: true });
  cpSync(join(evidence.older, "ledger"), copy.ledger, { recursive: true });
  const before = copy.segments.map((name) => copy.read(name).length);
  const keys = join(evidence.cwd, "spanseal-keys");
  const ended = await spanseal(["serve", "--data", copy.path, "--keys", keys]);
  expect(ended).toMatchObject({ code: 3, stdout: "" });
  expect(ended.stderr).toMatch(/^error: .*bucket.*\b1\d\d\d\b.*\nhint: /ms);
  expect(copy.segments.map((name) => copy.read(name).length)).toEqual(before);
});

test("serve refuses a ledger that another sidecar writes", async () => {
  const sidecar = await startSidecar();
  const second = await spanseal(["serve", "--config", "spanseal.yaml"], { cwd: sidecar.cwd });
  expect(second).toMatchObject({ code: 3, stdout: "" });
  expect(second.stderr).toMatch(
    new RegExp(`^error: .*in use by process ${sidecar.ready.pid}.*\nhint: stop it first`, "ms"),
  );
  expect(await sidecar.stop()).toBe(0);
});
