/**
 * A sink whose certificates may be replaced while we run: where an attempt got no answer, the files
 * are read again before the next one. A sink is no help here: one that does not know our
 * certificate may say so, or just close the connection.
 */
import type { ForwardLog } from "./options.ts";
import type { Sink } from "./sink.ts";
import type { SinkPlan } from "./sink-options.ts";

export interface SinkOpening {
  readonly readPlan: () => Promise<SinkPlan>;
  readonly open: (plan: SinkPlan) => Promise<Sink>;
  readonly log: ForwardLog;
}

/** @throws what reading and opening throw the first time; later failures leave the sink as it is. */
export async function renewedSink({ readPlan, open, log }: SinkOpening): Promise<Sink> {
  let plan = await readPlan();
  let current = await open(plan);
  const renew = async (): Promise<void> => {
    try {
      const next = await readPlan();
      if (isSameTls(plan, next)) return;
      plan = next;
      const old = current;
      current = await open(next);
      log("info", "the files of the exporter's tls have changed and are in use", {});
      await old.close();
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      log("warn", "the files of the exporter's tls could not be read again", { reason });
    }
  };
  return {
    signals: current.signals,
    prepare: (request) => current.prepare(request),
    async send(signal, body, abort) {
      const outcome = await current.send(signal, body, abort);
      if (outcome.kind !== "accepted" && outcome.isUnanswered === true) await renew();
      return outcome;
    },
    close: () => current.close(),
  };
}

function isSameTls({ tls: one }: SinkPlan, { tls: other }: SinkPlan): boolean {
  const same = (left: Buffer | undefined, right: Buffer | undefined): boolean =>
    left === undefined || right === undefined ? left === right : left.equals(right);
  return same(one.ca, other.ca) && same(one.cert, other.cert) && same(one.key, other.key);
}
