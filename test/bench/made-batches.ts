/**
 * Prepared batches without the way there: records that differ in id, nonce and tenant, as many as are
 * wanted. Their digests are true, so that what the ledger makes of them verifies.
 */
import { hash, randomBytes } from "node:crypto";
import type { ChainName, PreparedBatch } from "../../src/audit/prepared-batch.ts";
import { chainsMax } from "../../src/limits.ts";
import { writeHex } from "../../src/bytes/hex.ts";

const prefix = "spanseal body v1\n";
const nonceBytes = 16;
const recordsPerBatch = 512;

/** Gives a batch at each call. */
export function madeBatches(bodyBytes: number, tenantsWanted: number): () => PreparedBatch {
  // One chain is the ledger's own.
  const tenants = Math.min(tenantsWanted, chainsMax - 1);
  const start = '{"action":{"name":"look up","type":"tool_call"},"content":{"input":"';
  const middle = '"},"nonce":"';
  const end = '","schema":"spanseal.record/v1"}';
  const rest = bodyBytes - start.length - middle.length - end.length - 2 * nonceBytes;
  const text = "lorem ipsum dolor ".repeat(bodyBytes / 18 + 1).slice(0, Math.max(0, rest));
  const body = Buffer.from(`${start}${text}${middle}${"0".repeat(2 * nonceBytes)}${end}`);
  const nonceAt = start.length + text.length + middle.length;
  const hashed = Buffer.concat([Buffer.from(prefix), body]);
  let next = 0;
  return () => {
    const bodies = Buffer.alloc(recordsPerBatch * body.length);
    const digests = Buffer.alloc(recordsPerBatch * 32);
    const nonces = randomBytes(recordsPerBatch * nonceBytes);
    const chains: ChainName[] = [];
    const places = new Map<number, number>();
    const chainOf = new Uint32Array(recordsPerBatch);
    const bodyEnds = new Uint32Array(recordsPerBatch);
    for (let at = 0; at < recordsPerBatch; at++) {
      writeHex(hashed, prefix.length + nonceAt, nonces, at * nonceBytes, nonceBytes);
      hashed.copy(bodies, at * body.length, prefix.length);
      bodyEnds[at] = (at + 1) * body.length;
      digests.write(hash("sha256", hashed, "binary"), at * 32, "latin1");
      const tenant = next++ % tenants;
      const place = places.get(tenant) ?? chains.push(nameOf(tenant)) - 1;
      places.set(tenant, place);
      chainOf[at] = place;
    }
    return {
      signal: "traces",
      count: recordsPerBatch,
      ids: randomBytes(recordsPerBatch * 16),
      digests,
      bodies,
      bodyEnds,
      chains,
      chainOf,
      forward: new Uint8Array(0),
      unrecorded: 0,
      statistics: { items: recordsPerBatch, redactionsByClass: {} },
    };
  };
}

function nameOf(tenant: number): ChainName {
  return { namespace: "bench", tenant: `tenant-${tenant}` };
}
