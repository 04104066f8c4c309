/** What must hold for a request that is taken, and what a refusal may be. */
import assert from "node:assert/strict";
import type { AuditPolicy } from "../../src/audit/policy.ts";
import { prepare } from "../../src/audit/prepare.ts";
import { RequestError } from "../../src/audit/request-error.ts";
import type { Signal } from "../../src/audit/otlp/schema.ts";
import { TraceMemory } from "../../src/audit/trace-memory.ts";
import { WireError } from "../../src/bytes/wire.ts";
import { checkWire } from "../../src/ingest/check-wire.ts";
import { JsonError } from "../../src/ingest/json.ts";
import { Refusal } from "../../src/ingest/refusal.ts";
import { policy } from "../audit/setup.ts";
import { otlp, TOP } from "../ingest-json/otlp-proto.ts";
import { policyOf } from "../redact/support.ts";
import { assertRedacted } from "./planted.ts";

export const redacting: AuditPolicy = policy({ redaction: policyOf({}) });

export function isFault(error: unknown): boolean {
  return [WireError, JsonError, RequestError, Refusal].some((kind) => error instanceof kind);
}

/** @returns undefined where it was refused; any other error is a finding. */
export function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (error) {
    if (isFault(error)) return undefined;
    throw error;
  }
}

export function checkAccepted(
  signal: Signal,
  bytes: Uint8Array,
  audit: AuditPolicy = redacting,
): void {
  const items = checkWire(signal, bytes);
  const isDecodable = decodes(signal, bytes);
  const request = {
    signal,
    bytes,
    peer: { address: "", authenticated: false },
    receivedUnixNano: 1_795_241_720_486_777_046n,
  };
  const batch = attempt(() => prepare(request, audit, new TraceMemory()));
  if (batch === undefined) return;
  assert.equal(checkWire(signal, batch.forward), items, "the forward copy has other items");
  assert.equal(decodes(signal, batch.forward) || !isDecodable, true, "the forward copy is broken");
  assertRedacted(signal, bytes, batch);
}

/** Our decoder takes text that is no UTF-8, the other one does not: it is asked about the rest. */
export function decodes(signal: Signal, bytes: Uint8Array): boolean {
  try {
    otlp.lookupType(TOP[signal]).decode(bytes);
    return true;
  } catch {
    return false;
  }
}
