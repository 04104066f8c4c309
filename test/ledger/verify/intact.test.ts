import { expect, test } from "vitest";

import { parseVkey } from "../../../src/ledger/note.ts";
import { verifyLedger } from "../../../src/ledger/verify/verify.ts";
import { exampleLedger } from "../builder.ts";

test("a whole ledger is ok with keys and bucket", async () => {
  const ledger = exampleLedger();
  const report = await verifyLedger(ledger.source({ bucket: true }), {
    chainKey: ledger.chainKey,
    trusted: [parseVkey(ledger.vkey)],
  });
  expect(report.failures).toEqual([]);
  expect(report).toMatchObject({ verdict: "ok", exitCode: 0, identity: "proven", macs: "all" });
  expect(report.counts).toMatchObject({ records: ledger.size, seals: 3, boots: 2, chains: 3 });
});
