/** Mapping and redaction of requests: on this thread, or on threads of their own. */
import type { AuditPolicy } from "../../audit/policy.ts";
import { prepare } from "../../audit/prepare.ts";
import type { PreparedBatch } from "../../audit/prepared-batch.ts";
import type { TelemetryRequest } from "../../audit/request.ts";
import { TraceMemory } from "../../audit/trace-memory.ts";
import { pool } from "../../bytes/pool.ts";

/** The same batches, wherever the work is done. */
export interface Preparer {
  /**
   * @param request whose bytes are given away
   * @param connection what the request came over: requests of one connection are prepared in order,
   *   and with one memory of their traces
   * @throws RequestError or WireError as `prepare` does; Refusal `unavailable` where the thread that
   *   had the request ended, `draining` after `close`
   */
  prepare(request: TelemetryRequest, connection: object): PreparedBatch | Promise<PreparedBatch>;
  /** Refuses what is not done. */
  close(): Promise<void>;
}

/** On this thread, at once. */
interface InlinePreparer extends Preparer {
  prepare(request: TelemetryRequest): PreparedBatch;
}

/** One memory of traces for all connections. */
export function inlinePreparer(policy: AuditPolicy): InlinePreparer {
  const memory = new TraceMemory();
  return {
    prepare(request) {
      const batch = prepare(request, policy, memory);
      // What is forwarded may be the request itself.
      if (batch.forward.buffer !== request.bytes.buffer) pool.release(request.bytes);
      return batch;
    },
    close: () => Promise.resolve(),
  };
}
