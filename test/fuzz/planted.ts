/** Personal data that seeds are full of, and where it is found again. */
import assert from "node:assert/strict";
import type { PreparedBatch } from "../../src/audit/prepared-batch.ts";
import type { Signal } from "../../src/audit/otlp/schema.ts";
import { otlp, TOP } from "../ingest-json/otlp-proto.ts";
import { fullMessage } from "../redact/support.ts";
import type { Plain } from "../support/otlp-writer.ts";

/** In every place for text of some seeds: where a change leaves one whole, it must be gone after us. */
export const planted: readonly string[] = ["jane.roe@example.com", "536-90-4399"];

export function plantedIn(signal: Signal): Plain {
  let at = 0;
  return fullMessage(TOP[signal], () => `for ${planted[at++ % planted.length]} now`).value;
}

/** @throws where a planted value of `bytes` is in what was made of them. */
export function assertRedacted(signal: Signal, bytes: Uint8Array, batch: PreparedBatch): void {
  const ids = idsOf(signal, bytes);
  for (const value of planted) {
    // Ids are bytes and never touched, so a mutated length can put text into one.
    if (ids.includes(value)) continue;
    for (const output of [batch.forward, batch.bodies]) assert.equal(around(output, value), "");
  }
}

/** Where a planted value stands alone, with what is around it; nothing where it does not. */
export function around(output: Uint8Array, value: string): string {
  const text = Buffer.from(output).toString("latin1");
  // Beside more digits or letters it is part of something else.
  const found = new RegExp(
    `.{0,20}(?<![\\w.-])${RegExp.escape(value)}(?![\\w.-]).{0,20}`,
    "s",
  ).exec(text);
  return found?.[0] ?? "";
}

/** All ids of a request, one after another. */
function idsOf(signal: Signal, bytes: Uint8Array): string {
  const found: string[] = [];
  const walk = (value: unknown): void => {
    if (typeof value !== "object" || value === null || value instanceof Uint8Array) return;
    for (const [name, inner] of Object.entries(value)) {
      if (inner instanceof Uint8Array && name.endsWith("Id"))
        found.push(Buffer.from(inner).toString());
      else walk(inner);
    }
  };
  try {
    walk(otlp.lookupType(TOP[signal]).decode(bytes));
  } catch {
    // What it cannot decode may hide text in ids, so nothing can be said of it.
    return planted.join(" ");
  }
  return found.join(" ");
}
