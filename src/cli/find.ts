/** One record by what a person has of it: its id or its index. */
import { fromHex } from "../bytes/hex.ts";
import { findRecords, readRecord } from "../ledger/read.ts";
import type { StoredRecord } from "../ledger/read.ts";
import { CommandError, exitCodes } from "./errors.ts";

/** Several where a sender used one id for different contents. @throws CommandError for none */
export async function findByIdOrIndex(directory: string, wanted: string): Promise<StoredRecord[]> {
  const found = await search(directory, wanted);
  if (found.length > 0) return found;
  throw new CommandError(`there is no record ${wanted}`, {
    hint: "spanseal query lists ids and indexes",
    exitCode: exitCodes.no,
  });
}

async function search(directory: string, wanted: string): Promise<StoredRecord[]> {
  if (/^[0-9a-f]{32}$/.test(wanted)) {
    return Array.fromAsync(findRecords(directory, fromHex(wanted)));
  }
  if (/^(?:0|[1-9]\d{0,15})$/.test(wanted)) {
    const record = await readRecord(directory, Number(wanted));
    return record === undefined ? [] : [record];
  }
  throw new CommandError(`${wanted} is neither a record id nor an index`, {
    hint: "an id is 32 lower-case hex digits, an index a number from 0",
    exitCode: exitCodes.cannotTell,
  });
}
