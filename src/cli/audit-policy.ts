/** The audit policy for commands that show what it would do, with or without the operator's keys. */
import { randomBytes } from "node:crypto";
import type { AuditPolicy } from "../audit/policy.ts";
import { auditPolicy } from "../service/policy.ts";
import { locate, readKeysIfThere } from "./locate.ts";
import type { LocationOptions } from "./locate.ts";
import { say } from "./output.ts";

/**
 * The policy of the configuration. Where there is no key folder yet, tokens and hashes are made
 * with a key of this run, and stderr says so.
 */
export async function locateAuditPolicy(options: LocationOptions): Promise<AuditPolicy> {
  const { policy, note } = await openAuditPolicy(options);
  if (note !== undefined) say(note);
  return policy;
}

/** The same for a command to which keys may not matter: `note` is what to say where they do. */
export async function openAuditPolicy(
  options: LocationOptions,
): Promise<{ policy: AuditPolicy; note: string | undefined }> {
  const { config } = locate(options);
  const { directory } = config.keys;
  const ring = await readKeysIfThere(directory);
  const keys = ring ?? { pepper: { id: "dry-run", key: randomBytes(32) } };
  const note = `note: no keys in ${directory}: tokens and hashes are made with a key of this run only\n`;
  return {
    policy: auditPolicy({ config, keys, randomBytes }),
    note: ring === undefined ? note : undefined,
  };
}
