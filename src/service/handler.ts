/** One received request, from its bytes to its durable records. */
import type { PreparedBatch } from "../audit/prepared-batch.ts";
import type { Handler } from "../ingest/receivers.ts";
import { pool } from "../bytes/pool.ts";
import { Refusal } from "../ingest/refusal.ts";
import type { Core } from "./core.ts";
import type { Metrics } from "./metrics.ts";
import type { Preparer } from "./preparing/preparer.ts";

export interface HandlerParts {
  readonly core: Pick<Core, "ledger" | "publisher" | "forwarder">;
  readonly preparer: Pick<Preparer, "prepare">;
  readonly metrics: Pick<Metrics, "commit">;
}

/**
 * Resolves when every record of the request is durable and its forward copy is spooled. Rejects
 * with what `ingest/status.ts` turns into an answer; then nothing of the request is forwarded.
 */
export function requestHandler({ core, preparer, metrics }: HandlerParts): Handler {
  return async (request, connection) => {
    refuseIfUnready(core);
    const batch = await preparer.prepare(request, connection);
    try {
      await record(batch, core, metrics);
    } finally {
      // They stand in log and spool, or are refused.
      const { ids, digests, bodies, forward } = batch;
      for (const bytes of [ids, digests, bodies, forward]) pool.release(bytes);
    }
  };
}

async function record(
  batch: PreparedBatch,
  { ledger, forwarder }: HandlerParts["core"],
  metrics: HandlerParts["metrics"],
): Promise<void> {
  const admission = forwarder?.admit(batch.signal, batch.forward.length);
  const started = performance.now();
  try {
    const { appended, repeated, conflicts } = await ledger.append(batch);
    metrics.commit({
      recorded: appended,
      repeated,
      conflicts,
      redactionsByClass: batch.statistics.redactionsByClass,
      seconds: (performance.now() - started) / 1000,
    });
  } finally {
    admission?.release();
  }
}

/** Before the work of preparing, which would be in vain. */
function refuseIfUnready({ ledger, publisher }: HandlerParts["core"]): void {
  const lag = publisher.refuses();
  if (lag !== undefined)
    throw new Refusal("unavailable", "the audit log cannot be anchored", new Error(lag));
  const { state, reason } = ledger.status();
  if (state === "open" && reason === undefined) return;
  throw new Refusal("unavailable", "the audit log cannot be written", new Error(reason ?? state));
}
