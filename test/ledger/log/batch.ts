/** Requests to append, as `prepare` would make them. */
import { createHash, randomBytes } from "node:crypto";

import type { ChainName, PreparedBatch } from "../../../src/audit/prepared-batch.ts";
import { bodyDigest } from "../../../src/ledger/chain.ts";

export const random = (count: number): Uint8Array => new Uint8Array(randomBytes(count));

export interface TestRecord {
  readonly name: string;
  readonly text?: string;
  readonly tenant?: string;
}

/** A batch as `prepare` makes it; records of one name have one id. */
export function batch(records: readonly TestRecord[]): PreparedBatch {
  const chains: ChainName[] = [];
  const bodies: Uint8Array[] = [];
  const chainOf = records.map(({ tenant = "north" }) => {
    const known = chains.findIndex((chain) => chain.tenant === tenant);
    return known >= 0 ? known : chains.push({ namespace: "clinic", tenant }) - 1;
  });
  for (const { text = "" } of records) {
    const nonce = Buffer.from(random(16)).toString("hex");
    const observed = String(BigInt(Date.now()) * 1_000_000n);
    bodies.push(
      Buffer.from(
        `{"nonce":"${nonce}","schema":"spanseal.record/v1","text":${JSON.stringify(text)},` +
          `"time":{"observed":"${observed}"}}`,
      ),
    );
  }
  let end = 0;
  return {
    signal: "traces",
    count: records.length,
    ids: Buffer.concat(records.map(({ name }) => idOf(name))),
    digests: Buffer.concat(bodies.map((body) => bodyDigest(body))),
    bodies: Buffer.concat(bodies),
    bodyEnds: Uint32Array.from(bodies.map((body) => (end += body.length))),
    chains,
    chainOf: Uint32Array.from(chainOf),
    forward: Buffer.from(records.map(({ name }) => name).join(",")),
    unrecorded: 0,
    statistics: { items: records.length, redactionsByClass: {} },
  };
}

export function idOf(name: string): Buffer {
  return createHash("sha256").update(name).digest().subarray(0, 16);
}
