/** The audit policy that a configuration and its keys make, and what of it has changed. */
import { join } from "node:path";
import { isCode } from "../bytes/thrown.ts";
import type { AuditPolicy } from "../audit/policy.ts";
import { compileRedaction } from "../audit/redact/policy.ts";
import { canonicalize } from "../bytes/canonical-json.ts";
import type { JsonValue } from "../bytes/canonical-json.ts";
import { sha256Hex } from "../bytes/sha256.ts";
import type { Files } from "../ledger/files.ts";
import type { KeyRing } from "../ledger/keys.ts";
import type { Config } from "./config/model.ts";
import type { Core } from "./core.ts";

/** Plain data, so that another thread can make the same policy. The keys belong in no message. */
export interface PolicyParts {
  readonly config: Pick<Config, "audit" | "redaction" | "phi"> & {
    readonly exporters: Pick<Config["exporters"], "stamp">;
  };
  readonly keys: Pick<KeyRing, "pepper">;
}

export interface PolicyOptions extends PolicyParts {
  readonly randomBytes: (count: number) => Uint8Array;
}

/** Of a configuration and its keys, what the policy is made of and nothing else. */
export function policyParts(
  { audit, redaction, phi, exporters }: Config,
  { pepper }: KeyRing,
): PolicyParts {
  return {
    config: { audit, redaction, phi, exporters: { stamp: exporters.stamp } },
    keys: { pepper: { id: pepper.id, key: new Uint8Array(pepper.key) } },
  };
}

/** @throws RuleError; the configuration check has found it before. */
export function auditPolicy({ config, keys, randomBytes }: PolicyOptions): AuditPolicy {
  const { audit, redaction, phi, exporters } = config;
  return {
    namespace: audit.namespace,
    tenant: audit.tenant,
    dataAccess: audit.data_access,
    redaction: compileRedaction({
      packs: redaction.packs,
      rules: redaction.rules,
      phi: phi.tables,
      pepper: keys.pepper,
      tenant: audit.tenant,
      identityKeys: audit.namespace.from,
    }),
    stamp: exporters.stamp,
    randomBytes,
  };
}

/** What an auditor must know of the rules from here on, as the first records of a start. */
export async function recordPolicy(
  config: Config,
  { ledger, keys, files }: Pick<Core, "ledger" | "keys" | "files">,
  { redaction }: Pick<AuditPolicy, "redaction">,
): Promise<void> {
  const current = digestPolicy(config, keys.pepper.id);
  const last = await readPolicy(join(ledger.directory, policyFileName), files);
  const change = policyChange(ledger.status().policyDigest, last, current);
  if (change !== undefined) {
    await ledger.appendControl({ kind: "policy_changed", members: change });
    await rememberPolicy(ledger.directory, current, files);
  }
  if (!redaction.off) return;
  const reason = "configured: redaction has no packs and no rules, phi no tables";
  await ledger.appendControl({ kind: "redaction_off", members: { reason } });
}

/** A policy as digests: which part changed can be told, what it says cannot. */
interface PolicyDigest {
  readonly digest: string;
  /** Part of the configuration → digest. */
  readonly parts: Readonly<Record<string, string>>;
}

interface PolicyChange {
  readonly before: string | null;
  readonly after: string;
  /** Parts that differ; all of them at the first start. */
  readonly changes: readonly string[];
}

const policyFileName = "policy.json";
const policyFileMode = 0o600;

/** The digest of what decides about records: names, redaction, declared columns, stamps. */
function digestPolicy(config: Config, pepperId: string): PolicyDigest {
  const { audit, redaction, phi, exporters, compliance } = config;
  const parts: Record<string, string> = {
    "audit.data_access": digestOf(audit.data_access),
    "audit.namespace": digestOf(audit.namespace),
    "audit.tenant": digestOf(audit.tenant),
    "compliance.mode": digestOf(compliance.mode),
    "exporters.stamp": digestOf(exporters.stamp),
    "keys.pepper": digestOf(pepperId),
    "phi.tables": digestOf(phi.tables),
    "redaction.packs": digestOf(redaction.packs),
    "redaction.rules": digestOf(redaction.rules),
  };
  return { digest: digestOf(parts), parts };
}

/**
 * What differs from the policy that the log says is in force; undefined where nothing does. `last`
 * only names the parts: it is a file that anybody may have written.
 */
function policyChange(
  before: string | null,
  last: PolicyDigest | undefined,
  current: PolicyDigest,
): PolicyChange | undefined {
  if (before === current.digest) return undefined;
  const known = last?.digest === before && digestOf(last.parts) === before ? last.parts : {};
  const names = new Set([...Object.keys(current.parts), ...Object.keys(known)]);
  const changes = [...names].filter((name) => known[name] !== current.parts[name]);
  return { before, after: current.digest, changes: changes.toSorted() };
}

/** Remembers `current`; to be called when its control record is durable. */
function rememberPolicy(directory: string, current: PolicyDigest, files: Files): Promise<void> {
  const text = canonicalize({ digest: current.digest, parts: current.parts });
  return files.replace(join(directory, policyFileName), Buffer.from(text), policyFileMode);
}

/** Where the file is missing or unreadable every part counts as changed. */
async function readPolicy(path: string, files: Files): Promise<PolicyDigest | undefined> {
  try {
    const bytes = await files.read(path);
    const value = JSON.parse(Buffer.from(bytes).toString()) as Partial<PolicyDigest> | null;
    const { digest, parts } = value ?? {};
    if (digest === undefined || !/^[0-9a-f]{64}$/.test(digest)) return undefined;
    return { digest, parts: parts ?? {} };
  } catch (error) {
    if (isCode(error, "ENOENT") || error instanceof SyntaxError) return undefined;
    throw error;
  }
}

function digestOf(value: unknown): string {
  // Through JSON, because undefined members count as absent.
  const plain = JSON.parse(JSON.stringify(value)) as JsonValue;
  return sha256Hex(Buffer.from(canonicalize(plain)));
}
