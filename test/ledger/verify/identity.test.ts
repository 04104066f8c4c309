/** Who may be believed: trusted keys, stolen and replaced ledgers, rotations, missing keys. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";
import { expect, test } from "vitest";

import { deriveChainKey, keyName } from "../../../src/ledger/chain.ts";
import { directorySource } from "../../../src/ledger/directory-source.ts";
import { ed25519Signer, parseVkey } from "../../../src/ledger/note.ts";
import { segmentName } from "../../../src/ledger/segment-name.ts";
import { verifyLedger } from "../../../src/ledger/verify/verify.ts";
import { billing, exampleLedger, LedgerBuilder, patients } from "../builder.ts";
import { filesOf, memorySource, writeFiles } from "../evidence-files.ts";

const trustedOf = (ledger: LedgerBuilder) => [parseVkey(ledger.vkey)];

test("without a trusted key a ledger is self-consistent at best", async () => {
  const ledger = exampleLedger();
  const report = await verifyLedger(ledger.source({ bucket: true }), { chainKey: ledger.chainKey });
  expect(report).toMatchObject({
    verdict: "undetermined",
    exitCode: 2,
    identity: "unproven",
    failures: [],
  });
  expect(report.summary).toContain("self-consistent, identity unproven");
  expect(report.unchecked.map(({ what }) => what)).toContain("identity");
});

test("without chain keys all is checked to the last checkpoint, and the tail is named", async () => {
  const ledger = exampleLedger();
  const report = await verifyLedger(ledger.source(), { trusted: trustedOf(ledger) });
  expect(report).toMatchObject({ verdict: "ok", exitCode: 0, macs: "none", provenSize: 17 });
  expect(report.unchecked).toContainEqual(
    expect.objectContaining({ what: "tail", first: 17, end: 22 }),
  );
  const full = await verifyLedger(ledger.source(), { trusted: trustedOf(ledger), level: "full" });
  expect(full).toMatchObject({ verdict: "undetermined", exitCode: 2 });
});

test("a tenant's auditor checks that tenant's chain with that chain's key", async () => {
  const ledger = exampleLedger();
  const chainKeys = {
    nameOf: () => keyName(1, ledger.epochKeys[0]!),
    keyOf: (chain: { tenant: string }) =>
      chain.tenant === "north"
        ? deriveChainKey(ledger.epochKeys[0]!, ledger.digest, patients)
        : undefined,
  };
  const options = { chainKeys, trusted: trustedOf(ledger) };
  expect(await verifyLedger(ledger.source(), options)).toMatchObject({
    verdict: "ok",
    macs: "some",
  });
  const { lines } = ledger.segments[1]!;
  lines[9] = lines[9]!.replace('"time":"1767225600021', '"time":"1767225600031');
  const report = await verifyLedger(ledger.source(), options);
  expect(report.failures[0]).toMatchObject({
    class: "altered",
    place: { index: 21, tenant: "north" },
  });
});

test("a ledger replaced by one with its own keys is under the wrong key", async () => {
  const [ours, theirs] = [exampleLedger(), exampleLedger({ seed: 2 })];
  const forged = { ...theirs.source(), descriptor: async () => theirs.descriptor };
  const report = await verifyLedger(forged, { chainKey: ours.chainKey, trusted: trustedOf(ours) });
  expect(report).toMatchObject({ verdict: "broken", identity: "unproven" });
  expect(report.failureCounts).toEqual({ wrong_key: 2 });
  expect(report.failures[0]!.place).toMatchObject({ index: 0, line: 1 });
  expect(report.failures[1]!.place).toMatchObject({ file: "checkpoint" });
});

test("a ledger rewritten under our descriptor by who lacks the keys", async () => {
  const ours = exampleLedger();
  const forger = exampleLedger();
  forger.epochKeys[0] = new Uint8Array(32).fill(0xee);
  forger.signers[0] = ed25519Signer(forger.origin, new Uint8Array(32).fill(0xee));
  forger.action(billing).checkpoint();
  const report = await verifyLedger(forger.source(), {
    chainKey: ours.chainKey,
    trusted: trustedOf(ours),
  });
  expect(report.failures[0]).toMatchObject({ class: "wrong_key", place: { index: 22 } });
  expect(report.failures.at(-1)).toMatchObject({
    class: "wrong_key",
    place: { file: "checkpoint" },
  });
});

test("an end forged without the chain key", async () => {
  const ledger = exampleLedger();
  const keys = [...ledger.epochKeys];
  ledger.segments[1]!.lines.length -= 3;
  const cut = exampleLedger();
  cut.epochKeys[0] = new Uint8Array(32).fill(0xee);
  cut.closed();
  const [closed, seal] = cut.lines.slice(-2);
  for (const line of [closed!, seal!]) {
    const renamed = line.replace(/"key":"[^"]*"/, `"key":"${keyName(1, keys[0]!)}"`);
    ledger.segments[1]!.lines.push(renamed);
  }
  const options = { chainKey: (epoch: number) => keys[epoch - 1], trusted: trustedOf(ledger) };
  const report = await verifyLedger(ledger.source(), options);
  expect(report.verdict).toBe("broken");
  expect(report.failures.map((failure) => failure.class)).toContain("altered");
});

test("a chain key rotation goes on under the new epoch; a record under the old one is found", async () => {
  const ledger = exampleLedger().rotateChainKey();
  ledger.action(patients).action({ namespace: "clinic", tenant: "new" }).checkpoint();
  const options = { chainKey: ledger.chainKey, trusted: trustedOf(ledger) };
  const report = await verifyLedger(ledger.source({ bucket: true }), options);
  expect(report).toMatchObject({ verdict: "ok", failures: [], macs: "all" });
  expect(report.counts).toMatchObject({ tips: 4, chains: 4 });
  const next = ledger.epochKeys.pop()!;
  ledger.action(patients);
  ledger.epochKeys.push(next);
  const stale = await verifyLedger(ledger.source(), options);
  expect(stale.failures).toMatchObject([{ class: "wrong_key", place: { index: ledger.size - 1 } }]);
  const half = await verifyLedger(ledger.source(), {
    chainKey: (epoch) => (epoch === 1 ? ledger.chainKey(1) : undefined),
    trusted: trustedOf(ledger),
  });
  expect(half.macs).toBe("some");
});

test("an epoch that was never announced is the wrong key", async () => {
  const ledger = exampleLedger();
  ledger.epochKeys.push(new Uint8Array(32).fill(0x77));
  ledger.group().action(patients);
  const report = await verifyLedger(ledger.source(), {
    chainKey: ledger.chainKey,
    trusted: trustedOf(ledger),
  });
  expect(report.failures).toMatchObject([{ class: "wrong_key", place: { index: 22 } }]);
});

test("trust passes to a new log key by a checkpoint that both signed, and only by one", async () => {
  const ledger = exampleLedger();
  const old = trustedOf(ledger);
  ledger.rotateLogKey().action(patients).checkpoint();
  const newest = ledger.signers.at(-1)!;
  ledger.action(patients).checkpoint({ signers: [newest] });
  const options = { chainKey: ledger.chainKey, trusted: old };
  const passed = await verifyLedger(ledger.source({ bucket: true }), options);
  expect(passed).toMatchObject({ verdict: "ok", failures: [], provenSize: ledger.size });
  // The local directory keeps the newest checkpoint only: the passing of trust is not in it.
  const alone = await verifyLedger(ledger.source(), options);
  expect(alone).toMatchObject({ verdict: "undetermined", failures: [] });
  expect(alone.unchecked.map(({ what }) => what)).toContain("rotation");
  const withNew = await verifyLedger(ledger.source(), { ...options, trusted: trustedOf(ledger) });
  expect(withNew.verdict).toBe("ok");
  ledger.action(patients).checkpoint({ signers: [ledger.signers[0]!] });
  const retired = await verifyLedger(ledger.source({ bucket: true }), options);
  expect(retired.failures[0]).toMatchObject({ class: "wrong_key" });
});

test("a log without any root cannot be told, sealed or not: MACs do not show a cut", async () => {
  const ledger = new LedgerBuilder().opened().action(patients);
  const trusted = trustedOf(ledger);
  const keys = { chainKey: ledger.chainKey, trusted };
  for (const options of [keys, { trusted }]) {
    const report = await verifyLedger(ledger.source(), options);
    expect(report).toMatchObject({ verdict: "undetermined", exitCode: 2, identity: "unproven" });
    expect(report.summary.endsWith("the MACs of its 2 records are good")).toBe(options === keys);
  }
  ledger.seal();
  const sealed = await verifyLedger(ledger.source(), keys);
  expect(sealed).toMatchObject({ verdict: "undetermined", exitCode: 2 });
  expect(sealed.unchecked[0]!.detail).toContain("the root that ends with seal 2 is not here");
});

test("a descriptor that is none", async () => {
  const ledger = exampleLedger();
  const source = { ...ledger.source(), descriptor: async () => Buffer.from("{}") };
  const report = await verifyLedger(source, { trusted: trustedOf(ledger) });
  expect(report).toMatchObject({ verdict: "broken", failures: [{ class: "malformed" }] });
});

test("any changed byte of any record is found, whatever the size of the chunks", async () => {
  const sizes = exampleLedger().lines.map((line) => line.length + 1);
  const total = sizes.reduce((sum, size) => sum + size, 0);
  await fc.assert(
    fc.asyncProperty(
      fc.nat(total - 2),
      fc.integer({ min: 1, max: 255 }),
      fc.integer({ min: 1, max: 5000 }),
      async (at, flip, chunkBytes) => {
        const ledger = exampleLedger();
        const bytes = Buffer.from(ledger.lines.map((line) => `${line}\n`).join(""));
        bytes[at]! ^= flip;
        const base = ledger.source({ bucket: true, chunkBytes });
        const source = {
          ...base,
          segments: async () => [
            {
              name: segmentName(0),
              firstIndex: 0,
              async *chunks() {
                for (let from = 0; from < bytes.length; from += chunkBytes) {
                  yield Uint8Array.from(bytes.subarray(from, from + chunkBytes));
                }
              },
            },
          ],
        };
        const report = await verifyLedger(source, {
          chainKey: ledger.chainKey,
          trusted: trustedOf(ledger),
        });
        expect(report.verdict).toBe("broken");
        // The first failure is on the changed line; a lost line feed shows on the line after it too.
        let end = 0;
        const line = sizes.findIndex((size) => (end += size) > at) + 1;
        expect(Math.abs((report.failures[0]!.place.line ?? 0) - line)).toBeLessThanOrEqual(1);
      },
    ),
    { numRuns: 150 },
  );
});

test("a directory on disk reads as the ledger in memory", async () => {
  const root = await mkdtemp(join(tmpdir(), "spanseal-verify-"));
  try {
    const ledger = exampleLedger();
    const files = filesOf(ledger);
    await writeFiles(root, files);
    const source = directorySource(join(root, "ledger"), join(root, "bucket"));
    const options = { chainKey: ledger.chainKey, trusted: trustedOf(ledger) };
    const report = await verifyLedger(source, options);
    expect(report).toEqual(await verifyLedger(ledger.source({ bucket: true }), options));
    expect(report).toEqual(await verifyLedger(memorySource(files, { bucket: true }), options));
    expect(report.verdict).toBe("ok");
    expect(JSON.parse(JSON.stringify(report))).toEqual(report);
  } finally {
    await rm(root, { recursive: true });
  }
});
