/** Re-verifies a whole ledger directory with the verifier, as an auditor with all keys would. */
import { expect } from "vitest";

import { parseDescriptor, fullOrigin } from "../../src/ledger/descriptor.ts";
import { directorySource } from "../../src/ledger/directory-source.ts";
import type { KeyRing } from "../../src/ledger/keys.ts";
import { ed25519Verifier } from "../../src/ledger/note.ts";
import type { VerifyReport } from "../../src/ledger/verify/report.ts";
import { verifyLedger } from "../../src/ledger/verify/verify.ts";

/** Fails the test with the findings unless everything in the directory holds. */
export async function checkLog(directory: string, keys: KeyRing): Promise<VerifyReport> {
  const source = directorySource(directory);
  const origin = fullOrigin(parseDescriptor(await source.descriptor()));
  const report = await verifyLedger(source, {
    chainKey: (epoch) => keys.chainKey(epoch),
    trusted: keys.logKeys.map((key) => ed25519Verifier(origin, key.publicKey)),
  });
  expect(report.failures).toEqual([]);
  return report;
}
