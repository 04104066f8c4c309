/**
 * A sink whose certificates may be replaced while we run: where an attempt got no answer, the files
 * are read again before the next one. A sink is no help here: one that does not know our
 * certificate may say so, or just close the connection.
 */
import { reasonOf } from "../bytes/thrown.ts";
import { openGrpcSink } from "./grpc-sink.ts";
import { openHttpSink } from "./http-sink.ts";
import { forwardClock } from "./options.ts";
import type { ForwarderOptions } from "./options.ts";
import type { Sink } from "./sink.ts";
import { planSink } from "./sink-options.ts";
import type { SinkPlan } from "./sink-options.ts";

type SinkOpening = Pick<ForwarderOptions, "sink" | "files" | "clock" | "log">;

/** @throws SinkOptionError; later failures to read leave the sink as it is. */
export async function openSink(opening: SinkOpening): Promise<Sink> {
  const { sink: options, files, log } = opening;
  let plan = await planSink(options, files);
  let current = openPlanned(plan, opening);
  const renew = async (): Promise<void> => {
    try {
      const next = await planSink(options, files);
      if (isSameTls(plan, next)) return;
      plan = next;
      const old = current;
      current = openPlanned(next, opening);
      log("info", "the files of the exporter's tls have changed and are in use", {});
      await old.close();
    } catch (error) {
      const reason = reasonOf(error);
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

function openPlanned(plan: SinkPlan, { sink, clock }: SinkOpening): Sink {
  if (sink.kind === "grpc") return openGrpcSink(plan);
  return openHttpSink(plan, forwardClock(clock));
}

function isSameTls({ tls: one }: SinkPlan, { tls: other }: SinkPlan): boolean {
  const same = (left: Buffer | undefined, right: Buffer | undefined): boolean =>
    left === undefined || right === undefined ? left === right : left.equals(right);
  return same(one.ca, other.ca) && same(one.cert, other.cert) && same(one.key, other.key);
}
