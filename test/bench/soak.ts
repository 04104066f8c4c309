/** One sidecar at a steady rate for long: whether its memory stays where it is. */
import { setTimeout as sleep } from "node:timers/promises";
import { Processes, residentMiB, runLoad, startSink } from "./processes.ts";
import { base } from "./rows.ts";
import type { Target } from "./scenario.ts";

interface SoakOptions {
  readonly target: Target;
  readonly folder: string;
  readonly minutes: number;
  /** Spans a second. */
  readonly rate: number | undefined;
  readonly say: (text: string) => void;
}

const usualRate = 10_000;

export async function soak(options: SoakOptions): Promise<void> {
  const { target, folder, minutes, say, rate = usualRate } = options;
  const processes = new Processes();
  try {
    const sink = await startSink(processes);
    const { pid, ports } = await target.start({ scenario: base, folder, sink, processes });
    say(`minute  0  RSS ${Math.round(residentMiB(pid).now)} MiB (idle)`);
    const load = runLoad(processes, { port: ports.grpc, spans: rate * 60 * minutes, rate });
    for (let minute = 1; minute <= minutes; minute++) {
      await sleep(60_000);
      const { now, peak } = residentMiB(pid);
      say(
        `minute ${String(minute).padStart(2)}  RSS ${Math.round(now)} MiB, peak ${Math.round(peak)}`,
      );
    }
    const { accepted, refused, p50Ms, p99Ms, maxMs } = await load;
    say(
      `${accepted} spans acknowledged, ${refused} refused, ${p50Ms}/${p99Ms}/${maxMs} ms p50/p99/max`,
    );
  } finally {
    processes.kill();
  }
}
