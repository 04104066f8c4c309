import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Signal } from "../../src/audit/otlp/schema.ts";
import type { ForwardControl } from "../../src/forward/control.ts";
import { frameBytes } from "../../src/forward/frame.ts";
import { FakeLog, startHarness, temporaryDirectory, until } from "./harness.ts";
import { startHttpSink } from "./http-sink-server.ts";
import { traceRequest } from "./otlp-requests.ts";
import { simulatedFiles } from "./simulated-files.ts";
import type { SimulatedFiles } from "./simulated-files.ts";

/** Nobody listens there: entries stay in the queue. */
const nowhere = { kind: "http", endpoint: "http://127.0.0.1:1" } as const;

function staged(signal: Signal, name: string, first: number, end = first + 1) {
  return { signal, bytes: traceRequest([name]), first, end };
}

/** Opens on `files`, sends everything that is there and closes. */
async function deliverAll(files: SimulatedFiles, logSize: number): Promise<string[]> {
  const sink = await startHttpSink();
  const { forwarder } = await startHarness({
    directory: "/spool",
    files,
    logSize,
    sink: { kind: "http", endpoint: sink.url },
  });
  await until(() =>
    Object.values(forwarder.status()).every(({ queueEntries }) => queueEntries === 0),
  );
  await forwarder.close(1000);
  await sink.close();
  return sink.names;
}

async function simulated(options: Partial<Parameters<typeof startHarness>[0]> = {}) {
  const files = simulatedFiles();
  const harness = await startHarness({
    directory: "/spool",
    files,
    sink: nowhere,
    paused: true,
    ...options,
  });
  return { files, ...harness };
}

test("nothing is sent before its group is committed", async () => {
  const sink = await startHttpSink();
  const { forwarder } = await startHarness({ sink: { kind: "http", endpoint: sink.url } });
  await forwarder.stage(0, [staged("traces", "a", 0), staged("logs", "b", 1)]);
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect(sink.arrived).toBe(0);
  sink.script = [{ status: 200, delayMs: 30 }];
  forwarder.committed(2);
  await forwarder.stage(2, [staged("traces", "c", 2)]);
  await until(() => sink.names.length === 2);
  await until(() => forwarder.status().traces!.sent === 1);
  await new Promise((resolve) => setTimeout(resolve, 60));
  expect(sink.names.toSorted()).toEqual(["a", "b"]);
  forwarder.committed(3);
  await until(() => sink.names.length === 3);
  await forwarder.close(1000);
  await sink.close();
});

test("a group that is rolled back is neither sent nor left on disk", async () => {
  const { files, forwarder } = await simulated();
  await forwarder.stage(0, [staged("traces", "kept", 0)]);
  forwarder.committed(1);
  await forwarder.stage(1, [staged("traces", "gone", 1), staged("logs", "gone too", 2)]);
  await forwarder.rollBack(1);
  await forwarder.stage(1, [staged("traces", "after", 1)]);
  forwarder.committed(2);
  expect(forwarder.status().logs!.queueBytes).toBe(0);
  expect(await deliverAll(files.after("synced"), 2)).toEqual(["kept", "after"]);
  expect(await deliverAll(files.after("seen"), 2)).toEqual(["kept", "after"]);
});

test("rolling back one group without records does not touch one that was acknowledged", async () => {
  const { files, forwarder } = await simulated();
  await forwarder.stage(0, [staged("logs", "kept", 0, 0)]);
  forwarder.committed(0);
  await forwarder.stage(0, [staged("logs", "gone", 0, 0), staged("traces", "gone", 0, 1)]);
  await forwarder.rollBack(0);
  await forwarder.close(0);
  expect(await deliverAll(files.after("synced"), 0)).toEqual(["kept"]);
});

test("entries that the log does not hold are dropped at start", async () => {
  const { files, forwarder } = await simulated();
  await forwarder.stage(0, [staged("traces", "a", 0)]);
  forwarder.committed(1);
  await forwarder.stage(1, [
    staged("traces", "without records", 1, 1),
    staged("traces", "lost", 1),
    staged("traces", "lost too", 2, 2),
  ]);
  for (const remains of ["synced", "seen"] as const) {
    expect(await deliverAll(files.after(remains), 1)).toEqual(["a", "without records"]);
    expect(await deliverAll(files.after(remains), 2)).toHaveLength(4);
  }
});

test("what a start kept of a group is there after the next starts too", async () => {
  const { files, forwarder } = await simulated();
  await forwarder.stage(0, [
    staged("traces", "kept", 0),
    staged("traces", "kept too", 1),
    staged("traces", "lost", 2),
  ]);
  // Killed while the log was written, which holds the first two. Then killed once more, before
  // and after something was appended where the third was cut off.
  const once = files.after("seen");
  const second = await startHarness({
    directory: "/spool",
    files: once,
    logSize: 2,
    sink: nowhere,
    paused: true,
  });
  expect(await deliverAll(once.after("seen"), 2)).toEqual(["kept", "kept too"]);
  await second.forwarder.stage(2, [staged("traces", "new", 2)]);
  second.forwarder.committed(3);
  for (const remains of ["synced", "seen"] as const) {
    expect(await deliverAll(once.after(remains), 3)).toEqual(["kept", "kept too", "new"]);
  }
});

test("what a killed process left unsynced is durable once the next one relies on it", async () => {
  const reference = await simulated();
  const entry = staged("logs", "a log without records", 0, 0);
  await reference.forwarder.stage(0, [entry]);
  // The sync of the entry is the last operation of the stage.
  const files = simulatedFiles({ at: reference.files.operations, kind: "power-cut" });
  const { forwarder } = await simulated({ files });
  await expect(forwarder.stage(0, [entry])).rejects.toMatchObject({ code: "spool_failed" });
  const second = files.afterKill();
  await simulated({ files: second });
  expect(await deliverAll(second.after("synced"), 0)).toEqual(["a log without records"]);
});

test("a log that is shorter than the spool knows is refused", async () => {
  const { files, forwarder, log } = await simulated();
  for (const name of ["a", "b", "c"]) await log.append("traces", traceRequest([name]));
  const byEntries = files.after("synced");
  await forwarder.close(0);
  const byCursor = files.after("synced");
  for (const [left, logSize] of [
    [byEntries, 1],
    [byCursor, 2],
  ] as const) {
    const opening = startHarness({ directory: "/spool", files: left, logSize, sink: nowhere });
    await expect(opening).rejects.toMatchObject({ code: "log_truncated" });
    await expect(opening).rejects.toThrow(/at least \d records, this one has/);
  }
  const { forwarder: again } = await startHarness({
    directory: "/spool",
    files: byCursor,
    logSize: 3,
    sink: nowhere,
  });
  expect(again.knownSize).toBe(3);
  await again.close(0);
});

test("a sent and done queue still knows the log's size", async () => {
  const { files, forwarder, log } = await simulated();
  await log.append("traces", traceRequest(["a"]));
  await forwarder.close(0);
  const left = files.after("synced");
  expect(await deliverAll(left, 1)).toEqual(["a"]);
  expect(left.disk.paths().filter((path) => path.endsWith(".spool"))).toEqual([]);
  const opening = startHarness({ directory: "/spool", files: left, logSize: 0, sink: nowhere });
  await expect(opening).rejects.toMatchObject({ code: "log_truncated" });
});

test("damage to what was durable is refused with a remedy, and nothing is changed", async () => {
  const { files, forwarder, log } = await simulated({ segmentBytesMax: 150 });
  for (const name of ["a", "b", "c", "d", "e"]) await log.append("traces", traceRequest([name]));
  await forwarder.close(0);
  const whole = files.after("synced");
  const spools = whole.disk.paths().filter((path) => path.endsWith(".spool"));
  expect(spools.length).toBeGreaterThan(1);
  const damages: ((left: SimulatedFiles) => void)[] = [
    (left) => left.disk.alter(spools[0]!, (bytes) => bytes.fill(0x20, 70, 71)),
    (left) => left.disk.alter(spools[0]!, (bytes) => bytes.subarray(0, -1)),
    (left) => left.disk.discard(spools[0]!),
    (left) => left.disk.discard(spools[1]!),
    (left) => left.disk.alter("/spool/traces/cursor", (bytes) => bytes.fill(0x31, 20, 21)),
  ];
  for (const damage of damages) {
    const left = whole.after("synced");
    damage(left);
    const opening = startHarness({ directory: "/spool", files: left, logSize: 5, sink: nowhere });
    await expect(opening).rejects.toMatchObject({ code: "spool_damaged" });
    await expect(opening).rejects.toThrow(/\/spool\/traces.*(restore|remove)/);
    expect(left.disk.paths()).toContain("/spool/logs/cursor");
  }
});

test("a torn end that the log proves to have been durable is damage", async () => {
  const { files, log } = await simulated();
  for (const name of ["a", "b"]) await log.append("traces", traceRequest([name]));
  const left = files.after("synced");
  const path = left.disk.paths().find((name) => name.endsWith(".spool"))!;
  left.disk.alter(path, (bytes) => bytes.subarray(0, -1));
  const opening = startHarness({
    directory: "/spool",
    files: left.after("synced"),
    logSize: 2,
    sink: nowhere,
  });
  await expect(opening).rejects.toThrow(/is torn, but the log holds its records/);
  expect(await deliverAll(left, 1)).toEqual(["a"]);
});

test("a removed cursor sends everything that is there again", async () => {
  const { files, log } = await simulated();
  for (const name of ["a", "b"]) await log.append("traces", traceRequest([name]));
  const left = files.after("synced");
  left.disk.discard("/spool/traces/cursor");
  expect(await deliverAll(left, 2)).toEqual(["a", "b"]);
});

test("files have mode 0600, folders 0700, and go away when their entries are done", async () => {
  const directory = await temporaryDirectory();
  const sink = await startHttpSink();
  const { forwarder, log } = await startHarness({
    directory: join(directory, "spool"),
    segmentBytesMax: 1000,
    sink: { kind: "http", endpoint: sink.url },
  });
  sink.otherwise = { status: 503 };
  for (let at = 0; at < 30; at++) await log.append("traces", traceRequest([`span ${at}`], 100));
  const folder = join(directory, "spool", "traces");
  const segments = async () => (await readdir(folder)).filter((name) => name.endsWith(".spool"));
  expect((await segments()).length).toBeGreaterThan(2);
  expect((await stat(folder)).mode & 0o777).toBe(0o700);
  for (const name of await readdir(folder)) {
    expect((await stat(join(folder, name))).mode & 0o777).toBe(0o600);
  }
  sink.otherwise = { status: 200 };
  await until(() => sink.names.length === 30);
  await forwarder.close(1000);
  expect(await segments()).toEqual([]);
  expect(sink.names).toEqual(Array.from({ length: 30 }, (_, at) => `span ${at}`));
  await sink.close();
});

test("a sink that lags is served from the files, in order, and memory stays bounded", async () => {
  const sink = await startHttpSink();
  const { forwarder, log } = await startHarness({
    segmentBytesMax: 2000,
    cacheBytesMax: 500,
    sink: { kind: "http", endpoint: sink.url },
  });
  sink.script = Array.from({ length: 5 }, () => ({ status: 503 }));
  const names = Array.from({ length: 100 }, (_, at) => `span ${at}`);
  for (const name of names) await log.append("traces", traceRequest([name], name.length % 7));
  await until(() => sink.names.length === 100);
  expect(sink.names).toEqual(names);
  await forwarder.close(1000);
  await sink.close();
});

test("at the bound one signal is refused before it reaches the ledger, others go on", async () => {
  const request = traceRequest(["a"]);
  const queueBytesMax = 3 * frameBytes(request.length);
  const { forwarder, log } = await simulated({ queueBytesMax });
  for (let at = 0; at < 3; at++) {
    const admission = forwarder.admit("traces", request.length);
    await log.append("traces", request);
    admission.release();
    admission.release();
  }
  const full = { code: "spool_full" };
  expect(() => forwarder.admit("traces", request.length)).toThrow(expect.objectContaining(full));
  await expect(log.append("traces", request)).rejects.toMatchObject(full);
  await expect(log.append("traces", request)).rejects.toThrow(/sending_queue\.queue_size is \d+/);
  expect(log.size).toBe(3);
  forwarder.admit("logs", request.length).release();
  await log.append("logs", request);
  expect(forwarder.status()).toMatchObject({
    traces: { queueEntries: 3, queueBytes: queueBytesMax, queueBytesMax },
    logs: { queueEntries: 1 },
  });
});

test("admissions count until they are released, and one too large request is not stuck", async () => {
  const { forwarder, log } = await simulated({ queueBytesMax: 200 });
  const first = forwarder.admit("traces", 100);
  expect(() => forwarder.admit("traces", 100)).toThrow(/is full/);
  expect(forwarder.status().traces!.isFull).toBe(true);
  first.release();
  expect(forwarder.status().traces!.isFull).toBe(false);
  const second = forwarder.admit("traces", 5000);
  await log.append("traces", traceRequest(["large"], 5000));
  second.release();
  expect(() => forwarder.admit("traces", 1)).toThrow(/is full/);
});

test("refused requests pass once the sink has taken some", async () => {
  const sink = await startHttpSink();
  sink.otherwise = { status: 503 };
  const request = traceRequest(["a"]);
  const { forwarder, log } = await startHarness({
    queueBytesMax: 2 * frameBytes(request.length),
    sink: { kind: "http", endpoint: sink.url },
  });
  await log.append("traces", request);
  await log.append("traces", request);
  await expect(log.append("traces", request)).rejects.toMatchObject({ code: "spool_full" });
  sink.otherwise = { status: 200 };
  await until(() => forwarder.status().traces!.queueEntries === 0);
  await log.append("traces", request);
  await until(() => sink.names.length === 3);
  await forwarder.close(1000);
  await sink.close();
});

test("on_full suspend: nothing is refused, and both ends are recorded with counts", async () => {
  const sink = await startHttpSink();
  sink.otherwise = { status: 503 };
  const request = traceRequest(["a"]);
  const { forwarder, log, controls } = await startHarness({
    queueBytesMax: 2 * frameBytes(request.length),
    onFull: "suspend",
    sink: { kind: "http", endpoint: sink.url },
  });
  for (let at = 0; at < 7; at++) await log.append("traces", request, 2);
  expect(forwarder.status().traces).toMatchObject({
    state: "suspended",
    queueEntries: 2,
    skipped: 5,
  });
  await until(() => controls.length === 1);
  expect(controls[0]).toMatchObject({
    kind: "forwarding_suspended",
    phase: "start",
    signal: "traces",
    first: 4,
  });
  sink.otherwise = { status: 200 };
  await until(() => controls.length === 2);
  expect(controls[1]).toMatchObject({
    phase: "end",
    entries: 5,
    bytes: 5 * request.length,
    items: 5,
    first: 4,
    end: 14,
    countsComplete: true,
  });
  await log.append("traces", request);
  await until(() => sink.names.length === 3);
  expect(forwarder.status().traces!.state).not.toBe("suspended");
  await forwarder.close(1000);
  await sink.close();
});

test("a suspension survives a crash and is ended at the next start", async () => {
  const request = traceRequest(["a"]);
  const queueBytesMax = frameBytes(request.length);
  const suspend = { queueBytesMax, onFull: "suspend" } as const;
  const { files, log } = await simulated({
    ...suspend,
    onControl: () => Promise.reject(new Error("the ledger is busy")),
  });
  for (let at = 0; at < 4; at++) await log.append("traces", request);
  const controls: ForwardControl[] = [];
  let failures = 2;
  const { forwarder } = await startHarness({
    ...suspend,
    directory: "/spool",
    files: files.after("synced"),
    logSize: 4,
    sink: nowhere,
    onControl: (control) => {
      if (failures-- > 0) return Promise.reject(new Error("the ledger recovers"));
      controls.push(control);
      return Promise.resolve();
    },
  });
  await until(() => controls.length === 2);
  expect(controls).toMatchObject([
    { phase: "start", first: 1 },
    { phase: "end", first: 1, end: 4, countsComplete: false },
  ]);
  await forwarder.close(0);
});

test("a group that is rolled back is not counted as skipped", async () => {
  const request = traceRequest(["a"]);
  const { forwarder, log } = await simulated({
    queueBytesMax: frameBytes(request.length),
    onFull: "suspend",
  });
  await log.append("traces", request);
  await forwarder.stage(1, [{ signal: "traces", bytes: request, first: 1, end: 2 }]);
  await forwarder.rollBack(1);
  expect(forwarder.status().traces!.skipped).toBe(0);
  await log.append("traces", request);
  expect(forwarder.status().traces!.skipped).toBe(1);
});

test("three signals of a group take one write and one sync each", async () => {
  const { files, log } = await simulated();
  const group = ["traces", "logs", "metrics"].map(
    (s) => [s as Signal, traceRequest(["a"]), 1] as const,
  );
  await log.appendGroup(group);
  const before = files.operations;
  await log.appendGroup([...group, ...group]);
  expect(files.operations - before).toBe(6);
});

test("where one signal cannot be staged, none is", async () => {
  const reference = await simulated();
  await reference.log.appendGroup([["traces", traceRequest(["a"]), 1]]);
  const count = reference.files.operations;
  for (let at = count + 1; at <= count + 6; at++) {
    const files = simulatedFiles({ at, kind: "error" });
    const { log } = await simulated({ files });
    await log.append("traces", traceRequest(["a"]));
    await expect(
      log.appendGroup([
        ["traces", traceRequest(["no"]), 1],
        ["logs", traceRequest(["no"]), 1],
      ]),
    ).rejects.toMatchObject({ code: "spool_failed" });
    await log.append("logs", traceRequest(["b"]));
    for (const remains of ["synced", "seen"] as const) {
      expect((await deliverAll(files.after(remains), 2)).toSorted()).toEqual(["a", "b"]);
    }
  }
});

test("used before recover or after close it says so", async () => {
  const log = new FakeLog();
  const files = simulatedFiles();
  const { forwarder } = await startHarness({
    directory: "/spool",
    files,
    fakeLog: log,
    sink: nowhere,
  });
  await forwarder.close(0);
  await expect(forwarder.stage(0, [staged("traces", "a", 0)])).rejects.toMatchObject({
    code: "closed",
  });
  // The ledger's own last records come after: nothing to forward.
  await forwarder.stage(0, []);
  forwarder.committed(1);
});
