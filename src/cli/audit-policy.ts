/** The audit policy for commands that show what it would do, with or without the operator's keys. */
import { randomBytes } from "node:crypto";
import type { AuditPolicy } from "../audit/policy.ts";
import type { KeyRing } from "../ledger/keys.ts";
import { auditPolicy } from "../service/policy.ts";
import { locate, readKeysIfThere } from "./locate.ts";
import type { LocationOptions } from "./locate.ts";
import { say } from "./output.ts";

/**
 * The policy of the configuration. Where there is no key folder yet, tokens and hashes are made
 * with a key of this run, and stderr says so.
 */
export async function locateAuditPolicy(options: LocationOptions): Promise<AuditPolicy> {
  const { config } = locate(options);
  const keys = await openPepper(config.keys.directory);
  return auditPolicy({ config, keys, randomBytes });
}

async function openPepper(directory: string): Promise<Pick<KeyRing, "pepper" | "fingerprintKey">> {
  const ring = await readKeysIfThere(directory);
  if (ring !== undefined) return ring;
  say(`note: no keys in ${directory}: tokens and hashes are made with a key of this run only\n`);
  return { pepper: { id: "dry-run", key: randomBytes(32) }, fingerprintKey: randomBytes(32) };
}
