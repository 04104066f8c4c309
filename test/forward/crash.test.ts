import { cp } from "node:fs/promises";
import { expect, test } from "vitest";
import type { Signal } from "../../src/audit/otlp/schema.ts";
import type { ForwardControl } from "../../src/forward/control.ts";
import type { Forwarder } from "../../src/forward/forwarder.ts";
import { faultyFiles } from "../ledger/log/support.ts";
import { FakeLog, startHarness, temporaryDirectory, until } from "./harness.ts";
import type { Harness } from "./harness.ts";
import { startHttpSink } from "./http-sink-server.ts";
import type { HttpSinkServer } from "./http-sink-server.ts";
import { traceRequest } from "./otlp-requests.ts";
import { simulatedFiles } from "./simulated-files.ts";
import type { SimulatedFiles } from "./simulated-files.ts";

/** What the senders and the sink have seen, over crashes. */
interface World {
  readonly sink: HttpSinkServer;
  readonly log: FakeLog;
  /** Names whose request was acknowledged. */
  readonly acknowledged: Record<Signal, string[]>;
  readonly controls: ForwardControl[];
}

function newWorld(sink: HttpSinkServer): World {
  sink.taken.length = 0;
  sink.script = [];
  return {
    sink,
    log: new FakeLog(),
    acknowledged: { traces: [], logs: [], metrics: [] },
    controls: [],
  };
}

function open(world: World, files: SimulatedFiles): Promise<Harness> {
  return startHarness({
    directory: "/spool",
    files,
    fakeLog: world.log,
    segmentBytesMax: 150,
    cacheBytesMax: 200,
    cursorIntervalMs: 5,
    sink: { kind: "http", endpoint: world.sink.url, compression: "none" },
    onControl: (control) => {
      world.controls.push(control);
      return Promise.resolve();
    },
  });
}

async function append(world: World, signal: Signal, name: string): Promise<void> {
  await world.log.append(signal, traceRequest([name]));
  world.acknowledged[signal].push(name);
}

/** Requests of two signals, a group of both, one that the sink rejects, one that is taken back. */
async function scenario(world: World, files: SimulatedFiles): Promise<void> {
  const { forwarder, log } = await open(world, files);
  const rounds = ["1", "2", "3"];
  for (const round of rounds) {
    if (files.isCut) break;
    // A request that fails is refused; the agent goes on with the next one.
    await attempt(() => append(world, "traces", `trace ${round}`));
    await attempt(async () => {
      const both = [`trace ${round}+`, `log ${round}+`] as const;
      await log.appendGroup([
        ["traces", traceRequest([both[0]]), 1],
        ["logs", traceRequest([both[1]]), 1],
      ]);
      world.acknowledged.traces.push(both[0]);
      world.acknowledged.logs.push(both[1]);
    });
    await attempt(() => takeBack(world, `never ${round}`));
    // Sometimes the sink keeps up, so that files are done with and removed.
    if (round !== "2") await until(() => files.isCut || isEmpty(forwarder));
  }
  await attempt(() => forwarder.close(20));
}

/** The entry is not staged, or the log fails afterwards. */
async function takeBack({ log }: World, name: string): Promise<void> {
  const { size, forwarder } = log;
  const entry = { signal: "traces", first: size, end: size + 1 } as const;
  const staged = forwarder!.stage(size, [{ ...entry, bytes: traceRequest([name]) }]);
  await staged.catch(() => undefined);
  await log.rollBack();
}

async function attempt(action: () => Promise<void>): Promise<void> {
  try {
    await action();
  } catch {
    // What was not acknowledged may be lost.
  }
}

/** Starts again and sends what is left; checks what the sink has then. */
async function settle(world: World, files: SimulatedFiles): Promise<void> {
  const from = world.sink.taken.length;
  const { forwarder } = await open(world, files);
  await until(() => isEmpty(forwarder));
  await forwarder.close(1000);
  for (const signal of ["traces", "logs"] as const) {
    const all = namesOf(world, signal, 0);
    const acknowledged = world.acknowledged[signal];
    expect(acknowledged.filter((name) => !all.includes(name))).toEqual([]);
    expect(all.filter((name) => name.startsWith("never"))).toEqual([]);
    // In order, and after the restart from some place on without a gap. The request that was under
    // way at the crash may arrive late.
    expect([...new Set(all)]).toEqual(acknowledged);
    const resent = [...new Set(namesOf(world, signal, from))];
    expect(resent).toEqual(acknowledged.slice(acknowledged.length - resent.length));
  }
}

function isEmpty(forwarder: Forwarder): boolean {
  return Object.values(forwarder.status()).every(({ queueEntries }) => queueEntries === 0);
}

function namesOf(world: World, signal: Signal, from: number): string[] {
  const taken = world.sink.taken.slice(from).filter((request) => request.signal === signal);
  return taken.flatMap(({ names }) => names);
}

async function operationsOf(sink: HttpSinkServer): Promise<number> {
  const files = simulatedFiles();
  const world = newWorld(sink);
  await scenario(world, files);
  await settle(world, files.after("synced"));
  expect(world.acknowledged.traces).toHaveLength(6);
  return files.operations;
}

// Every call of a whole ledger's life has its turn in test/faults/storage; here a part of them does.
const step = 4;

test("a power cut at any operation loses nothing acknowledged, and sends nothing else", async () => {
  const sink = await startHttpSink();
  const count = await operationsOf(sink);
  for (let at = 1; at <= count; at += step) {
    const files = simulatedFiles({ at, kind: "power-cut" });
    const world = newWorld(sink);
    await attempt(() => scenario(world, files));
    const taken = [...sink.taken];
    for (const remains of ["synced", "seen", "zeros"] as const) {
      sink.taken.splice(0, sink.taken.length, ...taken);
      await settle(world, files.after(remains));
    }
  }
  expect(count).toBeGreaterThan(60);
  await sink.close();
});

test("any one failed operation loses nothing acknowledged, and sends nothing else", async () => {
  const sink = await startHttpSink();
  const count = await operationsOf(sink);
  for (let at = 1; at <= count; at += step) {
    const files = simulatedFiles({ at, kind: "error" });
    const world = newWorld(sink);
    await attempt(() => scenario(world, files));
    await settle(world, files.after(at % 2 === 0 ? "synced" : "seen"));
  }
  expect(count).toBeGreaterThan(60);
  await sink.close();
});

test("a stage that failed is rolled back before the log goes on, and never sent", async () => {
  const sink = await startHttpSink();
  const { files, system } = faultyFiles();
  const directory = await temporaryDirectory();
  const shared = { directory, sink: { kind: "http", endpoint: sink.url } } as const;
  const { forwarder, log } = await startHarness({ ...shared, files });
  await log.append("traces", traceRequest(["first"]));
  // Written whole, but neither that nor its removal can be confirmed.
  system.exempt = /^(?!fdatasync|fsync|ftruncate|unlink)/;
  system.fault = { operation: 0, mode: "failed", code: "EIO", count: Number.POSITIVE_INFINITY };
  const entry = { signal: "traces", first: 1, end: 2, bytes: traceRequest(["never"]) } as const;
  await expect(forwarder.stage(1, [entry])).rejects.toMatchObject({ code: "spool_failed" });
  await expect(forwarder.rollBack(1)).rejects.toMatchObject({ code: "spool_failed" });
  system.fault = undefined;
  await forwarder.rollBack(1);
  // Control records take the indexes that the entry named; then the process is killed.
  const killed = await startHarness({ ...shared, logSize: 4, directory: await copied(directory) });
  await until(() => sink.names.includes("first") && isEmpty(killed.forwarder));
  expect(sink.names).not.toContain("never");
  await killed.forwarder.close(1000);
  await forwarder.close(1000);
  await sink.close();
});

async function copied(directory: string): Promise<string> {
  const copy = await temporaryDirectory();
  await cp(directory, copy, { recursive: true });
  return copy;
}

test("a power cut while recovering, at any operation", async () => {
  const sink = await startHttpSink();
  const files = simulatedFiles();
  const base = newWorld(sink);
  const { log, forwarder } = await open(base, files);
  await append(base, "traces", "trace 1");
  // Staged and never in the log.
  const bytes = traceRequest(["never"]);
  await forwarder.stage(log.size, [{ signal: "traces", bytes, first: 1, end: 2 }]);
  const left = files.after("seen");
  await attempt(() => forwarder.close(20));
  for (let at = 1; at <= 40; at++) {
    const world = newWorld(sink);
    world.log.size = 1;
    world.acknowledged.traces.push("trace 1");
    const second = left.after("seen", { at, kind: "power-cut" });
    let opened: Harness | undefined;
    await attempt(async () => {
      opened = await open(world, second);
      await until(() => second.isCut || opened!.forwarder.status().traces!.queueEntries === 0);
    });
    await attempt(async () => opened?.forwarder.close(0));
    await settle(world, second.after(at % 2 === 0 ? "synced" : "zeros"));
    expect(world.controls).toEqual([]);
  }
  await sink.close();
});
