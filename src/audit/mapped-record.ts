/** Prepared records as people read them, before any ledger: what `spanseal map` prints. */
import { toHex } from "../bytes/hex.ts";
import { decodeUtf8 } from "../bytes/utf8.ts";
import { type PreparedBatch, recordIdBytes } from "./prepared-batch.ts";

export interface MappedRecord {
  readonly id: string;
  readonly kind: "action";
  readonly namespace: string;
  readonly tenant: string;
  /** The record body without its nonce. */
  readonly body: Readonly<Record<string, unknown>>;
}

export function mappedRecords(batch: PreparedBatch): MappedRecord[] {
  const records: MappedRecord[] = [];
  let start = 0;
  for (let index = 0; index < batch.count; index++) {
    const end = batch.bodyEnds[index]!;
    const text = decodeUtf8(batch.bodies.subarray(start, end));
    const { nonce: _, ...body } = JSON.parse(text) as Record<string, unknown>;
    const { namespace, tenant } = batch.chains[batch.chainOf[index]!]!;
    const id = toHex(batch.ids.subarray(index * recordIdBytes, (index + 1) * recordIdBytes));
    records.push({ id, kind: "action", namespace, tenant, body });
    start = end;
  }
  return records;
}
