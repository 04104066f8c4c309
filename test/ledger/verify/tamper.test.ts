/** Damage of every class, with and without chain keys: found, named, and placed. */
import { expect, test } from "vitest";

import { canonicalize } from "../../../src/bytes/canonical-json.ts";
import { toHex } from "../../../src/bytes/hex.ts";
import { keyName, systemChain } from "../../../src/ledger/chain.ts";
import { ed25519Signer, encodeVkey, parseVkey } from "../../../src/ledger/note.ts";
import { chainRotationProof, rotationMessage } from "../../../src/ledger/rotation.ts";
import type { Failure, VerifyReport } from "../../../src/ledger/verify/report.ts";
import { verifyLedger } from "../../../src/ledger/verify/verify.ts";
import { billing, exampleLedger, LedgerBuilder, patients } from "../builder.ts";

interface Knowledge {
  keys?: boolean;
  bucket?: boolean;
}

async function verify(ledger: LedgerBuilder, known: Knowledge = {}): Promise<VerifyReport> {
  return verifyLedger(ledger.source({ bucket: known.bucket ?? true }), {
    ...(known.keys === false ? {} : { chainKey: ledger.chainKey }),
    trusted: [parseVkey(ledger.vkey)],
  });
}

function brief(failures: readonly Failure[]): string[] {
  return failures.map(({ class: name, place }) => {
    const where = place.file ?? place.segment ?? "";
    return `${name} ${where}${place.line === undefined ? "" : `:${place.line}`} ${place.index ?? "-"}`;
  });
}

function changeLine(ledger: LedgerBuilder, index: number, change: (line: string) => string): void {
  const segment = ledger.segments.findLast(({ first: begin }) => begin <= index)!;
  const line = segment.lines[index - segment.first]!;
  const changed = change(line);
  expect(changed).not.toBe(line);
  segment.lines[index - segment.first] = changed;
}

const first = "0000000000000000.jsonl";
const second = "0000000000000012.jsonl";

test("a changed body", async () => {
  const ledger = exampleLedger();
  changeLine(ledger, 3, (line) => line.replace("look up", "look at"));
  for (const keys of [true, false]) {
    const report = await verify(ledger, { keys });
    expect(brief(report.failures)).toEqual([`altered ${first}:4 3`]);
    expect(report).toMatchObject({ verdict: "broken", exitCode: 1 });
    expect(report.failures[0]!.place).toMatchObject({ ...patients, sequence: 2 });
  }
});

test("a removed body, which the MAC does not need", async () => {
  const ledger = exampleLedger();
  changeLine(ledger, 3, (line) => line.replace(/,"body":.*/, "}"));
  for (const keys of [true, false]) {
    expect(brief((await verify(ledger, { keys })).failures)).toEqual([`altered ${first}:4 3`]);
  }
});

test("the ledger's own checkpoint taken back, or removed, where the bucket has a newer one", async () => {
  const ledger = exampleLedger();
  ledger.local.checkpoint = ledger.local.kept.get(7);
  expect(brief((await verify(ledger)).failures)).toEqual(["rolled_back checkpoint -"]);
  ledger.local.checkpoint = undefined;
  expect(brief((await verify(ledger)).failures)).toEqual(["gap checkpoint -"]);
});

test("a root of nothing in the bucket hides no other", async () => {
  const ledger = exampleLedger();
  ledger.bucket.kept.set(0, Buffer.from("anything"));
  expect(brief((await verify(ledger)).failures)).toEqual(["malformed bucket/checkpoints/0 -"]);
  expect((await verify(ledger)).counts.checkpoints).toBe(5);
});

test("a changed tile of an older root", async () => {
  const ledger = exampleLedger();
  const bytes = Uint8Array.from(ledger.bucket.tiles.get("tile/0/000.p/7")!);
  bytes[40]! ^= 1;
  ledger.bucket.tiles.set("tile/0/000.p/7", bytes);
  const expected = ["altered bucket/tile/0/000.p/7 1"];
  expect(brief((await verify(ledger)).failures)).toEqual(expected);
  // Older partial tiles may go: the newest has all that they held.
  ledger.bucket.tiles.delete("tile/0/000.p/7");
  expect((await verify(ledger)).verdict).toBe("ok");
});

test("a changed head: by MAC with keys, by the published tiles without", async () => {
  const ledger = exampleLedger();
  changeLine(ledger, 3, (line) => line.replace('"time":"1767225600003', '"time":"1767225600002'));
  const withKeys = await verify(ledger);
  expect(brief(withKeys.failures)).toEqual([
    `altered ${first}:4 3`,
    "root_mismatch bucket/checkpoints/7 6",
  ]);
  const without = await verify(ledger, { keys: false });
  expect(brief(without.failures)).toEqual([
    "root_mismatch bucket/checkpoints/7 6",
    "altered tile/entries/000.p/17 3",
  ]);
});

test("a changed MAC", async () => {
  const ledger = exampleLedger();
  changeLine(ledger, 3, (line) =>
    line.replace(/"mac":"(.)/, (_, digit) => `"mac":"${digit === "0" ? 1 : 0}`),
  );
  expect(brief((await verify(ledger)).failures)[0]).toBe(`altered ${first}:4 3`);
  const without = await verify(ledger, { keys: false });
  expect(without.failures[0]).toMatchObject({
    class: "altered",
    place: { ...patients, sequence: 3 },
  });
});

test.each([
  ["index", /"index":3/, '"index":4'],
  ["sequence", /"sequence":2/, '"sequence":9'],
  ["group", /"group":1/, '"group":0'],
  ["tenant", /"tenant":"north"/, '"tenant":"nerth"'],
  ["time", /"time":"1767/, '"time":"9767'],
])("a changed %s is an altered record", async (_, from, to) => {
  const ledger = exampleLedger();
  changeLine(ledger, 3, (line) => line.replace(from, to));
  const report = await verify(ledger, { bucket: false });
  expect(report.failures[0]).toMatchObject({ class: "altered", place: { line: 4 } });
  expect(report.failures.filter(({ place }) => place.file === undefined)).toHaveLength(1);
});

test("a removed line", async () => {
  const ledger = exampleLedger();
  ledger.segments[0]!.lines.splice(3, 1);
  for (const keys of [true, false]) {
    const { failures } = await verify(ledger, { keys });
    expect(brief(failures)).toEqual([`gap ${first}:4 3`, "root_mismatch bucket/checkpoints/7 6"]);
  }
});

test("a removed segment", async () => {
  const ledger = exampleLedger();
  ledger.segments.shift();
  const { failures } = await verify(ledger);
  expect(failures[0]).toMatchObject({
    class: "gap",
    count: 12,
    place: { index: 0, segment: second },
  });
});

test("a copied line, beside itself and elsewhere", async () => {
  for (const target of [4, 6, 9]) {
    const ledger = exampleLedger();
    const { lines } = ledger.segments[0]!;
    lines.splice(target, 0, lines[3]!);
    for (const keys of [true, false]) {
      const { failures } = await verify(ledger, { keys });
      expect(brief(failures)).toEqual([`duplicate ${first}:${target + 1} 3`]);
    }
  }
});

test("a line copied over another", async () => {
  const ledger = exampleLedger();
  const { lines } = ledger.segments[0]!;
  lines[5] = lines[3]!;
  for (const keys of [true, false]) {
    const { failures } = await verify(ledger, { keys, bucket: false });
    expect(brief(failures)).toEqual([
      `duplicate ${first}:6 3`,
      `gap ${first}:6 5`,
      "root_mismatch checkpoint 16",
    ]);
  }
});

test.each([
  [3, 4],
  [3, 5],
  [2, 8],
])("lines %i and %i swapped", async (left, right) => {
  const ledger = exampleLedger();
  const { lines } = ledger.segments[0]!;
  [lines[left], lines[right]] = [lines[right]!, lines[left]!];
  for (const keys of [true, false]) {
    const { failures } = await verify(ledger, { keys, bucket: false });
    const names = new Set(failures.map((failure) => failure.class));
    expect(names).toEqual(new Set(["reordered", "root_mismatch"]));
    const indexes = failures.filter(({ class: name }) => name === "reordered");
    expect(indexes.every(({ place }) => place.index === left || place.index === right)).toBe(true);
  }
});

test("a block moved to another place", async () => {
  const ledger = exampleLedger();
  const { lines } = ledger.segments[0]!;
  lines.splice(8, 0, ...lines.splice(2, 2));
  const { failures } = await verify(ledger, { bucket: false });
  expect(brief(failures)).toEqual([
    `reordered ${first}:9 2`,
    `reordered ${first}:10 3`,
    "root_mismatch checkpoint 16",
  ]);
});

test("a line that is no line, added and in the place of a record", async () => {
  const added = exampleLedger();
  added.segments[0]!.lines.splice(3, 0, "{}");
  expect(brief((await verify(added)).failures)).toEqual([`malformed ${first}:4 3`]);
  const replaced = exampleLedger();
  replaced.segments[0]!.lines[3] = "{}";
  expect(brief((await verify(replaced, { bucket: false })).failures)).toEqual([
    `malformed ${first}:4 3`,
    "root_mismatch checkpoint 16",
  ]);
});

test("a line of another ledger", async () => {
  const ledger = exampleLedger();
  ledger.segments[0]!.lines[3] = exampleLedger({ seed: 2 }).segments[0]!.lines[3]!;
  for (const keys of [true, false]) {
    const { failures } = await verify(ledger, { keys, bucket: false });
    expect(brief(failures)[0]).toBe(`spliced ${first}:4 3`);
  }
  const added = exampleLedger();
  added.segments[0]!.lines.splice(6, 0, exampleLedger({ seed: 2 }).segments[0]!.lines[3]!);
  expect(brief((await verify(added)).failures)).toEqual([`spliced ${first}:7 3`]);
});

test("a chain moved to another tenant, without the key", async () => {
  const ledger = exampleLedger();
  for (const { lines } of ledger.segments) {
    for (const [at, line] of lines.entries())
      lines[at] = line.replace('"tenant":"north"', '"tenant":"west"');
  }
  for (const keys of [true, false]) {
    const { failures } = await verify(ledger, { keys });
    expect(failures[0]).toMatchObject({ class: "spliced", place: { tenant: "west", sequence: 1 } });
  }
});

test("a tail cut behind the local checkpoint", async () => {
  const ledger = exampleLedger();
  ledger.segments[1]!.lines.length = 3;
  const { failures } = await verify(ledger, { bucket: false });
  expect(brief(failures)).toEqual(["truncated checkpoint 15"]);
  expect(failures[0]!.count).toBe(2);
});

test("a line cut in the middle of the log's end is what a running sidecar leaves", async () => {
  const ledger = exampleLedger();
  ledger.tail = ledger.segments[1]!.lines.pop()!.slice(0, 40);
  const report = await verify(ledger);
  expect(report).toMatchObject({ verdict: "ok", failures: [] });
  expect(report.unchecked.map(({ what }) => what)).toContain("incomplete_line");
});

test("the whole directory taken back to an older state, with the bucket ahead", async () => {
  const ledger = exampleLedger();
  const older = ledger.bucket.kept.get(12)!;
  ledger.segments.pop();
  ledger.local.checkpoint = older;
  ledger.local.tiles.clear();
  const again = exampleLedger();
  again.segments.pop();
  const intact = await verifyLedger(
    {
      ...again.source(),
      checkpoint: async () => older,
      tile: async (path) => tilesAt12().get(path),
    },
    { chainKey: again.chainKey, trusted: [parseVkey(again.vkey)] },
  );
  expect(intact.verdict).toBe("ok");
  const report = await verifyLedger(
    { ...ledger.source({ bucket: true }), tile: async (path) => tilesAt12().get(path) },
    { chainKey: ledger.chainKey, trusted: [parseVkey(ledger.vkey)] },
  );
  expect(report.failures[0]).toMatchObject({ class: "rolled_back", count: 5 });
});

/** The local tiles as they were at size 12. */
function tilesAt12(): ReadonlyMap<string, Uint8Array> {
  const older = exampleLedger();
  const tiles = new Map<string, Uint8Array>();
  for (const [path, bytes] of older.bucket.tiles) if (path.endsWith("/12")) tiles.set(path, bytes);
  return tiles;
}

test("taken back and gone on: another history than the bucket's, with good MACs", async () => {
  const ledger = exampleLedger();
  const other = exampleLedgerGoneOn();
  for (const [size, note] of ledger.bucket.kept) other.bucket.kept.set(size, note);
  for (const [path, bytes] of ledger.bucket.tiles) other.bucket.tiles.set(path, bytes);
  other.bucket.checkpoint = ledger.bucket.checkpoint;
  const { failures } = await verify(other);
  expect(failures[0]).toMatchObject({
    class: "rolled_back",
    place: { file: "bucket/checkpoints/17" },
  });
});

function exampleLedgerGoneOn(): LedgerBuilder {
  const ledger = exampleLedger();
  const again = new (ledger.constructor as new () => LedgerBuilder)().opened();
  again.group().action(patients).action(billing).action(patients);
  again.group().action(patients).action(billing);
  again.checkpoint();
  again.group().action(billing).action(patients).action(patients);
  again.closed().store();
  again.rotateSegment().opened();
  again.group().action(patients, "another").action(patients).action(billing);
  return again.checkpoint({ bucket: false }).group().action(billing);
}

test("a changed byte of a checkpoint", async () => {
  const change = (bytes: Uint8Array, from: string, to: string): Uint8Array =>
    Buffer.from(Buffer.from(bytes).toString().replace(from, to));
  const size = exampleLedger();
  size.local.checkpoint = change(size.local.checkpoint!, "\n17\n", "\n16\n");
  expect(brief((await verify(size)).failures)[0]).toBe("altered checkpoint -");
  const origin = exampleLedger();
  origin.local.checkpoint = change(origin.local.checkpoint!, "spanseal.local", "spanseal.lokal");
  expect(brief((await verify(origin)).failures)[0]).toBe("spliced checkpoint -");
  const shape = exampleLedger();
  shape.local.checkpoint = change(shape.local.checkpoint!, "\n\n", "\n");
  expect(brief((await verify(shape)).failures)[0]).toBe("malformed checkpoint -");
});

test("a changed byte of a tile, and a missing one", async () => {
  for (const [name, path, index] of [
    ["local", "tile/0/000.p/17", 4],
    ["bucket", "tile/entries/000.p/17", 0],
  ] as const) {
    const ledger = exampleLedger();
    const bytes = Uint8Array.from(ledger[name].tiles.get(path)!);
    bytes[index * 32 + 5]! ^= 1;
    ledger[name].tiles.set(path, bytes);
    const { failures } = await verify(ledger);
    expect(brief(failures)).toEqual([
      `altered ${name === "bucket" ? "bucket/" : ""}${path} ${index}`,
    ]);
    ledger[name].tiles.delete(path);
    expect((await verify(ledger)).failures[0]).toMatchObject({ class: "gap" });
  }
});

test("seals, boots and ends that do not agree with the log", async () => {
  const cases: [string, (ledger: LedgerBuilder) => LedgerBuilder, string][] = [
    ["seal number", (l) => l.seal({ number: 9 }), "gap"],
    ["record count", (l) => l.seal({ record_count: 2 }), "spliced"],
    ["chain count", (l) => l.seal({ chain_count: 4 }), "gap"],
    ["gap count", (l) => l.gap(3).seal({ gap_count: 2 }), "gap"],
    ["drop count", (l) => l.gap(3).gap(4).seal({ drop_count: 8 }), "gap"],
    ["gap that is not counted", (l) => l.gap(3, patients).seal({ gap_count: 0 }), "spliced"],
    ["drops without gap", (l) => l.gap(3).seal().seal({ drop_count: 3 }), "gap"],
    ["tips root", (l) => l.seal({ tips_root: "00".repeat(32) }), "root_mismatch"],
    ["boot", (l) => l.crashed().opened({ boot: 7 }), "gap"],
    ["boot before", (l) => l.crashed().opened({ boot: 1 }), "rolled_back"],
    ["forged clean end", (l) => l.opened({ clean: true }), "truncated"],
    ["previous size", (l) => l.crashed().opened({ previous_size: 99 }), "truncated"],
    ["previous tip", (l) => l.crashed().opened({ previous_tip: "00".repeat(32) }), "spliced"],
    ["after the end", (l) => l.closed().action(patients), "spliced"],
    ["lost durable", (l) => l.crashed().opened().recovered({ known_committed: 99 }), "truncated"],
    ["no recovery", (l) => l.crashed().opened().action(patients).seal(), "gap"],
  ];
  for (const [name, damage, expected] of cases) {
    const { failures } = await verify(damage(exampleLedger()), { bucket: false });
    expect([name, ...failures.map((failure) => failure.class)]).toEqual([name, expected]);
  }
});

test("a record in front of the first, and a control record that is none", async () => {
  const begun = new LedgerBuilder().opened({ previous_tip: "00".repeat(32) }).checkpoint();
  expect((await verify(begun)).failures).toMatchObject([{ class: "spliced" }]);
  const clock = { ledger_time: "1", wall_time: "2" };
  for (const chain of [systemChain, patients]) {
    const good = exampleLedger().group().control("clock_stepped", clock, chain).checkpoint();
    expect((await verify(good)).failures).toEqual([]);
    for (const body of ["{}", toText("clock_stepped", { ...clock, more: 1 })]) {
      const ledger = exampleLedger().group().append(chain, "clock_stepped", Buffer.from(body));
      expect((await verify(ledger.checkpoint())).failures).toMatchObject([{ class: "malformed" }]);
    }
  }
});

function toText(kind: string, members: object): string {
  const schema = "spanseal.control/v1";
  return canonicalize({ ...members, kind, nonce: "0".repeat(32), schema });
}

test("what the sidecar says was lost is counted by its seals, in whatever chain", async () => {
  const ledger = exampleLedger().gap(3).gap(0).action(patients).gap(5, patients).checkpoint();
  expect((await verify(ledger)).failures).toEqual([]);
});

test("rotations that replace another key than the one in force", async () => {
  const chain = exampleLedger();
  const nextKey = new Uint8Array(32).fill(0x51);
  const [from, to] = ["1:00000000", keyName(2, nextKey)];
  const proof = chainRotationProof(nextKey, { descriptorDigest: chain.digest, from, to });
  chain.group().control("key_rotated", { from, proof, purpose: "chain", to });
  expect((await verify(chain)).failures[0]).toMatchObject({ class: "wrong_key" });

  const log = exampleLedger();
  const next = ed25519Signer(log.origin, new Uint8Array(32).fill(9));
  const foreign = encodeVkey(log.origin, ed25519Signer("x", new Uint8Array(32).fill(8)).publicKey);
  for (const [from, to] of [
    [foreign, encodeVkey(log.origin, next.publicKey)],
    [log.vkey, encodeVkey("elsewhere", next.publicKey)],
  ] as const) {
    const ledger = exampleLedger();
    const message = rotationMessage({ descriptorDigest: ledger.digest, from, to });
    const proof = toHex(next.sign(message));
    ledger.group().control("key_rotated", { from, proof, purpose: "log", to });
    expect((await verify(ledger)).failures).toMatchObject([{ class: "wrong_key" }]);
  }
});

test("an unclean start with its recovery is no damage and is reported", async () => {
  const ledger = exampleLedger().crashed().opened().recovered().action(patients).checkpoint();
  const report = await verify(ledger);
  expect(report.failures).toEqual([]);
  expect(report.recoveries).toMatchObject([{ index: ledger.size - 3, reason: "unclean end" }]);
});
