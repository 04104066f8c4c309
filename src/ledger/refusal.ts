/** Why a request is not taken, before anything is done for it. */
import type { PreparedBatch } from "../audit/prepared-batch.ts";
import { batchRecordsMax, lineBytesMax, lineFrameBytesMax } from "../limits.ts";
import { GroupWriter } from "./group-writer.ts";
import { LedgerError } from "./ledger-error.ts";

export type SequencerState = "open" | "recovering" | "stopped" | "closed";

export function stateRefusal(
  state: SequencerState,
  reason: string | undefined,
): LedgerError | undefined {
  switch (state) {
    case "open":
      return undefined;
    case "recovering":
      return new LedgerError("unavailable", reason ?? "the ledger recovers");
    case "stopped":
      return new LedgerError("stopped", reason ?? "the ledger has stopped");
    case "closed":
      return new LedgerError("closed", "the ledger is closed");
    default:
      return state satisfies never;
  }
}

const lowerBatchSize = "lower the batch size of the exporter";

/** What could not be written as one group, whatever the disk does. */
export function sizeRefusal(batch: PreparedBatch): LedgerError | undefined {
  const { count, bodies, bodyEnds } = batch;
  if (count > batchRecordsMax) {
    return new LedgerError(
      "too_large",
      `the request makes ${count} audit records, at most ${batchRecordsMax} are allowed`,
      { remedy: lowerBatchSize },
    );
  }
  let start = 0;
  for (const end of bodyEnds.subarray(0, count)) {
    if (end - start + lineFrameBytesMax > lineBytesMax) {
      return new LedgerError(
        "too_large",
        `an audit record of ${end - start} bytes is above the ${lineBytesMax} of a line`,
      );
    }
    start = end;
  }
  if (GroupWriter.fits(count, bodies.length)) return undefined;
  return new LedgerError(
    "too_large",
    `audit records of ${bodies.length} bytes do not fit into one commit`,
    { remedy: lowerBatchSize },
  );
}
