import { readdir, readFile } from "node:fs/promises";
import { expect, test } from "vitest";

import { parseControl, isControlKind } from "../../../src/ledger/control.ts";
import { parseNote, parseVkey, verifyNote } from "../../../src/ledger/note.ts";
import { verifyLedger } from "../../../src/ledger/verify/verify.ts";
import { vectorFiles, vectorFolder, vectorLedger } from "./vector-files.ts";

test("proto/vectors holds what the code makes, and nothing else", async () => {
  const made = await vectorFiles();
  const names = (await readdir(vectorFolder)).toSorted();
  expect(names).toEqual([...made.keys()].toSorted());
  for (const [name, text] of made) {
    expect(await readFile(new URL(name, vectorFolder), "utf8")).toBe(text);
  }
});

test("the ledger of the vectors verifies", async () => {
  const ledger = vectorLedger();
  const trusted = [parseVkey(ledger.vkey)];
  const report = await verifyLedger(ledger.source({ bucket: true }), {
    chainKey: ledger.chainKey,
    trusted,
  });
  expect(report).toMatchObject({ verdict: "ok", failures: [], macs: "all" });
  const { good } = verifyNote(parseNote(ledger.local.checkpoint!), trusted);
  expect(good).toHaveLength(1);
});

test("every control body of the vectors is parsed as its kind and as no other", async () => {
  const text = await readFile(new URL("control.json", vectorFolder), "utf8");
  const { bodies } = JSON.parse(text) as { bodies: { kind: string; body: string }[] };
  for (const { kind, body } of bodies) {
    expect(isControlKind(kind)).toBe(true);
    const bytes = Buffer.from(body);
    expect(() => parseControl(kind as "seal", bytes)).not.toThrow();
    const other = kind === "seal" ? "closed" : "seal";
    expect(() => parseControl(other, bytes)).toThrow("control record");
    const extended = Buffer.from(body.replace(/}$/, ',"zzz":1}'));
    expect(() => parseControl(kind as "seal", extended)).toThrow("zzz");
  }
});
