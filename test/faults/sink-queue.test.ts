/** A sink that is away for longer than memory, or the queue, has room for. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test, vi } from "vitest";
import { ledgerOf, metricsOf, readinessOf, eventually } from "../system/observation.ts";
import { signals } from "../system/telemetry.ts";
import { Gate } from "./gate.ts";
import { isFull } from "./outcome.ts";
import { sinkKinds } from "./sinks.ts";
import type { Sink, SinkKind } from "./sinks.ts";
import { conclude, kept, quick, Trial } from "./trial.ts";
import type { ControlSeen } from "./trial.ts";

const mib = 1024 * 1024;
const bulkyBytes = 60_000;

/** A sidecar with a small queue, and a gate before its sink. */
async function begin(kind: SinkKind, queue: Readonly<Record<string, string>>) {
  const sink = await kind.open();
  const gate = await Gate.open({ port: sink.port, taken: () => sink.taken() });
  const more = { timeout: "2s", retry_on_failure: quick, sending_queue: queue };
  const exporters = kind.exporters(`127.0.0.1:${gate.port}`, more);
  const trial = await Trial.start({ exporters }, sink);
  await trial.sendAll(1);
  await trial.settle();
  return { sink, gate, trial };
}

/** Bytes of one signal's spool on disk. */
function spoolBytes({ sidecar }: Trial): number {
  const folder = join(ledgerOf(sidecar), "spool/traces");
  return readdirSync(folder).reduce((sum, name) => sum + statSync(join(folder, name)).size, 0);
}

async function sendUntilRefused(trial: Trial): Promise<void> {
  for (let sent = 0; sent < 100; sent++) {
    const status = await trial.trySend("traces", bulkyBytes);
    if (status === 503) return;
    expect(status).toBe(200);
  }
  throw new Error("the queue never filled");
}

describe.each(sinkKinds)("$name sink, full queue", (kind) => {
  test("on_full: refuse", async (context) => {
    const { gate, trial } = await begin(kind, { queue_size: "1MiB" });
    await gate.break("closed");
    await sendUntilRefused(trial);
    const full = /the queue of traces for the sink is full: .*ECONNREFUSED/;
    const refused = await readinessOf(trial.sidecar);
    expect(refused).toMatchObject({ code: 503, reasons: expect.stringMatching(full) as string });
    expect((await metricsOf(trial.sidecar)).get("spanseal_ready")).toBe(0);
    await trial.send(2, "logs");
    await trial.kill();
    await sendUntilRefused(trial);
    expect(spoolBytes(trial)).toBeLessThanOrEqual(mib + 4096);
    await gate.mend();
    await eventually(async () => expect(await trial.trySend("traces", bulkyBytes)).toBe(200));
    const verdict = await conclude(trial, context, { recordedAs: "senders got 503" });
    expect(verdict).toMatchObject(kept);
  });

  test("on_full: suspend", async (context) => {
    const { gate, trial } = await begin(kind, { queue_size: "1MiB", on_full: "suspend" });
    await gate.break("closed");
    await trial.send(25, "traces", bulkyBytes);
    await eventually(async () =>
      expect((await readinessOf(trial.sidecar)).warnings).toMatch(
        /forwarding of traces is suspended: the queue is full; the sink: .*ECONNREFUSED/,
      ),
    );
    await trial.send(2, "logs");
    await trial.kill();
    await trial.send(5, "traces", bulkyBytes);
    expect(spoolBytes(trial)).toBeLessThanOrEqual(mib + 4096);
    await gate.mend();
    await eventually(async () => {
      const seen = await readinessOf(trial.sidecar);
      expect(seen).toEqual({ code: 200, reasons: "", warnings: "" });
    });
    await trial.send(2, "traces", bulkyBytes);
    const ends = await suspensions(trial);
    const named = namedIn(ends, await trial.query("action"));
    const delivered = new Set(trial.delivered());
    const leftOut = named.filter((label) => !delivered.has(label));
    const recordedAs = `${leftOut.length} left out in ${ends.length} × forwarding_suspended`;
    const verdict = await conclude(trial, context, { refused: leftOut, recordedAs });
    expect(verdict).toMatchObject(kept);
    expect(verdict.delivered).toBe(verdict.acknowledged - leftOut.length);
  });
});

/** The ends of all suspensions, once each of them is over. */
function suspensions(trial: Trial): Promise<ControlSeen[]> {
  return eventually(async () => {
    const controls = await trial.query("forwarding_suspended");
    const ends = controls.filter(({ body }) => body["phase"] === "end");
    expect(ends.length).toBeGreaterThan(0);
    expect(controls).toHaveLength(2 * ends.length);
    return ends;
  });
}

/** Labels of the traces whose records lie in one of the ranges. */
function namedIn(ends: readonly ControlSeen[], actions: readonly ControlSeen[]): string[] {
  const ranges = ends.map(({ body }) => [Number(body["first"]), Number(body["end"])] as const);
  return actions
    .filter(({ index }) => ranges.some(([first, end]) => index >= first && index < end))
    .map(({ body }) => (body["trace"] as { name: string }).name.slice(0, -1));
}

const requestBytes = 30_000;
const roundsOfOutage = isFull ? 20 : 6;
const perRound = 75;

describe.each(sinkKinds)("$name sink, down for long", (kind) => {
  test("thousands of requests, killed in the middle", { timeout: 900_000 }, async (context) => {
    const { sink, gate, trial } = await begin(kind, { queue_size: "1GiB" });
    await gate.break("closed");
    const residentMib: number[] = [];
    for (let round = 0; round < roundsOfOutage; round++) {
      await Promise.all(signals.map((signal) => trial.send(perRound, signal, requestBytes)));
      if (round === roundsOfOutage / 2) await trial.kill();
      residentMib.push(residentBytes(trial.sidecar.child.pid!) / mib);
    }
    const spooled = (await metricsOf(trial.sidecar)).get(queueMetric)!;
    expect(spooled).toBeGreaterThan(roundsOfOutage * perRound * requestBytes * 0.9);
    // From the restart on half of it is added; the files hold it, not the process. A short outage
    // is less than what a heap may grow by.
    const afterRestart = residentMib.slice(roundsOfOutage / 2);
    const added = isFull ? (3 * spooled) / 2 / mib : Infinity;
    expect(Math.max(...afterRestart) - afterRestart[1]!).toBeLessThan(added);
    await gate.mend();
    await allArrive(trial, sink);
    const most = Math.round(Math.max(...residentMib));
    const recordedAs = `${Math.round((3 * spooled) / mib)} MiB in files, RSS at most ${most} MiB`;
    const verdict = await conclude(trial, context, { recordedAs });
    expect(verdict).toMatchObject(kept);
  });
});

const queueMetric = 'spanseal_forward_queue_bytes{signal="traces"}';

/** As long as something still arrives it is waited for. */
async function allArrive(trial: Trial, sink: Sink): Promise<void> {
  let before = -1;
  while (sink.taken() > before && new Set(trial.delivered()).size < trial.acknowledged.length) {
    before = sink.taken();
    await vi.waitFor(() => expect(sink.taken()).toBeGreaterThan(before), { timeout: 20_000 });
  }
}

function residentBytes(pid: number): number {
  const status = readFileSync(`/proc/${pid}/status`, "utf8");
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)![1]) * 1024;
}
