/** What the operator decided about recording, as plain data and an injected source. */
import type { RedactionPolicy } from "./redact/policy.ts";

/** Where a name comes from: attribute keys in order of preference, then a default. */
export interface NameRule {
  readonly from: readonly string[];
  readonly default: string;
}

/**
 * Which data accesses (`db.*`, MCP resources, retrieval) make a record: all of them, those of
 * traces in which an agent was seen, or none. Tool calls always make one.
 */
export type DataAccessRule = "all" | "agent" | "none";

export interface AuditPolicy {
  readonly namespace: NameRule;
  readonly tenant: NameRule;
  readonly dataAccess: DataAccessRule;
  readonly redaction: RedactionPolicy;
  /** Whether spans that became records carry `spanseal.*` attributes when they are forwarded. */
  readonly stamp: boolean;
  /** Cryptographically strong: nonces make body digests hiding commitments. */
  randomBytes(count: number): Uint8Array;
}
