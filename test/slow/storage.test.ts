/** What fails below the sidecar: disks, folders, power, copies from yesterday, and the bucket. */
import { createHash } from "node:crypto";
import {
  chmodSync,
  closeSync,
  cpSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { expect, onTestFinished, test } from "vitest";
import { spanseal } from "../cli/command.ts";
import type { Ended } from "../cli/command.ts";
import { startHttpSink } from "../forward/http-sink-server.ts";
import { startSidecar, temporaryFolder } from "../service/sidecar-process.ts";
import type { SidecarProcess, StartOptions } from "../service/sidecar-process.ts";
import {
  eventually,
  expectVerified,
  filesBelow,
  ledgerOf,
  metricsOf,
  newestSegment,
  readinessOf,
  readinessWith,
  recordsIn,
  recordsOf,
  tearLastLine,
} from "../system/observation.ts";
import {
  asOrdinaryUser,
  giveToOrdinaryUser,
  mountSmallDisk,
  noOrdinaryUser,
  noSmallDisk,
} from "./hostile-storage.ts";
import { oneCall, postTo, send } from "../system/telemetry.ts";

for (const reason of [noSmallDisk, noOrdinaryUser]) {
  if (reason !== undefined) console.warn(`a test of storage.test.ts is left out: ${reason}`);
}

async function sendCalls(sidecar: SidecarProcess, from: number, count: number): Promise<void> {
  for (let id = from; id < from + count; id++) {
    expect(await send(sidecar, oneCall({ id }))).toBe(200);
  }
}

/** The names of the recorded calls, in order. */
async function callsIn(ledger: string): Promise<string[]> {
  return (await recordsIn(ledger, "action")).map(({ body }) => body.trace.name);
}

const names = (from: number, count: number): string[] =>
  Array.from({ length: count }, (_, at) => `call ${from + at}`);

async function expectRefused(sidecar: SidecarProcess, id: number): Promise<void> {
  const refused = await postTo(sidecar, "traces", oneCall({ id }));
  expect(refused.status).toBe(503);
  expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
  // What is wrong with the disk is nobody's business on the wire.
  expect(await refused.text()).not.toMatch(/ENOSPC|EACCES|segments/);
}

/** Takes all the room that is left. */
function fillDisk(path: string): void {
  const file = openSync(path, "w");
  const block = Buffer.alloc(4096, 1);
  const fill = (): void => {
    for (;;) writeSync(file, block);
  };
  expect(fill).toThrow("ENOSPC");
  closeSync(file);
}

test.skipIf(noSmallDisk !== undefined).for([false, true])(
  "disk full: refused while it is, goes on by itself afterwards (with a sink: %s)",
  async (withSink) => {
    const cwd = temporaryFolder();
    mountSmallDisk(join(cwd, "spanseal-data"), "4m");
    const sink = await startHttpSink();
    onTestFinished(() => sink.close());
    const config = withSink ? { exporters: { otlp_http: { endpoint: sink.url } } } : {};
    const sidecar = await startSidecar({ cwd, config });
    await sendCalls(sidecar, 0, 3);
    const filler = join(cwd, "spanseal-data", "filler");
    fillDisk(filler);
    // The block that the last record is in may have room for some more.
    let extra = 900;
    await eventually(async () => {
      expect(await send(sidecar, oneCall({ id: extra++ }))).toBe(503);
    });
    await expectRefused(sidecar, 800);
    const full = await readinessWith(sidecar, 503);
    expect(full.reasons).toMatch(/the ledger is recovering: cannot make records durable.*ENOSPC/);
    expect((await sidecar.operations("/healthz")).status).toBe(200);
    rmSync(filler);
    await readinessWith(sidecar, 200);
    await sendCalls(sidecar, 3, 3);
    const calls = await callsIn(ledgerOf(sidecar));
    expect(calls.filter((name) => name.length === "call 0".length)).toEqual(names(0, 6));
    await eventually(() => expect(new Set(sink.names)).toEqual(new Set(withSink ? calls : [])));
    // The spool is written before the log; the last block may have room for one of them.
    const kinds = withSink ? ["storage_failed", "recovered"] : ["recovered"];
    const failures = (await recordsOf(sidecar)).filter(({ kind }) => kinds.includes(kind));
    expect(failures[0]?.body.reason).toMatch(/ENOSPC/);
    expect(await sidecar.stop()).toBe(0);
    await expectVerified(cwd);
    const again = await startSidecar({ cwd, config });
    expect(again.stderr()).not.toContain("unclean");
    expect(await again.stop()).toBe(0);
  },
);

test.skipIf(noSmallDisk !== undefined)(
  "the spool's own disk full: refused, and one record says why",
  async () => {
    const sink = await startHttpSink();
    onTestFinished(() => sink.close());
    const config = { exporters: { otlp_http: { endpoint: sink.url } } };
    const first = await startSidecar({ config });
    expect(await first.stop()).toBe(0);
    const { cwd } = first;
    const spool = join(ledgerOf(first), "spool");
    mountSmallDisk(spool, "1m");
    const sidecar = await startSidecar({ cwd, config });
    await sendCalls(sidecar, 0, 2);
    await eventually(() => expect(sink.names).toEqual(names(0, 2)));
    const filler = join(spool, "traces", "filler");
    fillDisk(filler);
    const bulky = oneCall({ id: 2, members: { "gen_ai.tool.call.result": "long ".repeat(9000) } });
    for (let attempt = 0; attempt < 3; attempt++) {
      expect(await send(sidecar, bulky)).toBe(503);
      // As long as nothing can be written there: it does not flap from one request to the next.
      const full = await readinessWith(sidecar, 503);
      expect(full.reasons).toMatch(/the ledger is recovering: .*ENOSPC/);
      await delay(500);
    }
    rmSync(filler);
    await readinessWith(sidecar, 200);
    expect(await send(sidecar, bulky)).toBe(200);
    await eventually(() => expect(sink.names).toEqual(names(0, 3)));
    const failed = await recordsOf(sidecar, "storage_failed");
    expect(failed.map(({ body }) => body)).toMatchObject([
      { code: "ENOSPC", operation: "spool", reason: expect.stringMatching(/ENOSPC/) as string },
    ]);
    expect(await recordsOf(sidecar, "recovered")).toEqual([]);
    expect(await sidecar.stop()).toBe(0);
    expect(await callsIn(ledgerOf(sidecar))).toEqual(names(0, 3));
    await expectVerified(cwd);
  },
);

test.skipIf(noOrdinaryUser !== undefined)(
  "permission lost on the segments: refused while it is, goes on by itself afterwards",
  async () => {
    const cwd = temporaryFolder();
    giveToOrdinaryUser(cwd);
    const options: StartOptions = {
      cwd,
      config: { ledger: { segment: { max_size: "1MiB" } } },
      env: asOrdinaryUser,
    };
    const sidecar = await startSidecar(options);
    const segments = join(ledgerOf(sidecar), "segments");
    const bulky = (id: number): Uint8Array =>
      oneCall({ id, members: { "gen_ai.tool.call.result": "long ".repeat(90_000) } });
    for (const id of [0, 1]) expect(await send(sidecar, bulky(id))).toBe(200);
    chmodSync(segments, 0o500);
    // The open segment is still written; the next one cannot be begun.
    expect(await send(sidecar, bulky(2))).toBe(503);
    await expectRefused(sidecar, 3);
    const lost = await readinessWith(sidecar, 503);
    expect(lost.reasons).toMatch(/the ledger is recovering: cannot make records durable.*EACCES/);
    chmodSync(segments, 0o700);
    await readinessWith(sidecar, 200);
    expect(await send(sidecar, bulky(2))).toBe(200);
    const [recovered] = await recordsOf(sidecar, "recovered");
    expect(recovered!.body.reason).toMatch(/EACCES|permission/);

    // A crash in the same state is mended by the next start.
    chmodSync(segments, 0o500);
    expect(await send(sidecar, bulky(3))).toBe(200);
    expect(await send(sidecar, bulky(4))).toBe(503);
    await sidecar.stop("SIGKILL");
    chmodSync(segments, 0o700);
    const again = await startSidecar(options);
    expect(await send(again, bulky(4))).toBe(200);
    expect(await again.stop()).toBe(0);
    expect(await callsIn(ledgerOf(sidecar))).toEqual(names(0, 5));
    await expectVerified(cwd);
  },
);

/** `serve` on a ledger that it must not go on with. */
async function refusedStart(cwd: string): Promise<Ended> {
  const before = digestOf(join(cwd, "spanseal-data/ledger/segments"));
  const ended = await spanseal(["serve", "--config", "spanseal.yaml"], { cwd });
  expect(ended.stderr).toMatch(/^error: .*\nhint: .*/m);
  expect(ended.code).toBe(3);
  // The evidence is left as it was found.
  expect(digestOf(join(cwd, "spanseal-data/ledger/segments"))).toEqual(before);
  return ended;
}

function digestOf(folder: string): string[] {
  return filesBelow(folder).map(
    ({ path, bytes }) => `${path} ${createHash("sha256").update(bytes).digest("hex")}`,
  );
}

/** Cuts whole lines off the end. */
function cutLines(ledger: string, count: number): void {
  const path = newestSegment(ledger);
  const lines = readFileSync(path, "latin1").split("\n").slice(0, -1);
  truncateSync(path, lines.slice(0, -count).join("\n").length + 1);
}

test("a log shorter than its spool is refused", async () => {
  const sink = await startHttpSink();
  await sink.close();
  const config = { exporters: { otlp_http: { endpoint: sink.url } } };
  const sidecar = await startSidecar({ config });
  await sendCalls(sidecar, 0, 5);
  await sidecar.stop("SIGKILL");
  cutLines(ledgerOf(sidecar), 2);
  const { stderr } = await refusedStart(sidecar.cwd);
  expect(stderr).toMatch(/has \d+ whole records, spool .* knows \d+: it was cut/m);
  expect(stderr).toMatch(/^hint: restore the newest copy/m);
});

test("a log shorter than its own state is refused", async () => {
  const sidecar = await startSidecar();
  await sendCalls(sidecar, 0, 5);
  await spanseal(["publish", "--config", "spanseal.yaml"], { cwd: sidecar.cwd });
  await sidecar.stop("SIGKILL");
  rmSync(join(sidecar.cwd, "spanseal-data/bucket"), { recursive: true });
  cutLines(ledgerOf(sidecar), 2);
  const { stderr } = await refusedStart(sidecar.cwd);
  expect(stderr).toMatch(/has \d+ bytes, \d+ were durable/);
  expect(stderr).toMatch(/^hint: restore the newest copy/m);
});

test("yesterday's copy of a ledger is refused, because the bucket knows more", async () => {
  const sidecar = await startSidecar();
  await sendCalls(sidecar, 0, 3);
  expect(await sidecar.stop()).toBe(0);
  const ledger = ledgerOf(sidecar);
  const yesterday = `${ledger}-yesterday`;
  cpSync(ledger, yesterday, { recursive: true });
  const again = await startSidecar({ cwd: sidecar.cwd });
  await sendCalls(again, 3, 3);
  expect(await again.stop()).toBe(0);
  renameSync(ledger, `${ledger}-today`);
  renameSync(yesterday, ledger);
  const { stderr } = await refusedStart(sidecar.cwd);
  expect(stderr).toMatch(/has \d+ whole records, bucket .* knows \d+/);
  expect(stderr).toMatch(/^hint: restore the newest copy/m);
});

test("a torn last line is set aside, and the record about it says what and when", async () => {
  const sidecar = await startSidecar();
  await sendCalls(sidecar, 0, 3);
  await sidecar.stop("SIGKILL");
  const ledger = ledgerOf(sidecar);
  const size = (await recordsIn(ledger)).length;
  const path = newestSegment(ledger);
  const whole = statSync(path).size;
  const torn = tearLastLine(ledger);
  const half = readFileSync(path).subarray(whole);
  expect(half).toHaveLength(torn);
  const before = BigInt(Date.now()) * 1_000_000n;
  const again = await startSidecar({ cwd: sidecar.cwd });
  const [recovered] = await recordsOf(again, "recovered");
  expect(recovered!.body).toMatchObject({
    boot: 2,
    discarded_bytes: torn,
    discarded_digest: createHash("sha256").update(half).digest("hex"),
    known_committed: 0,
    recovery_point: size,
    unproven_first: size,
    unproven_end: null,
    reason: expect.stringMatching(/last line is incomplete/) as string,
  });
  expect(BigInt(recovered!.body.time)).toBeGreaterThanOrEqual(before);
  const aside = filesBelow(join(ledger, "quarantine"));
  expect(aside.map(({ bytes }) => bytes)).toEqual([half]);
  await sendCalls(again, 3, 1);
  expect(await again.stop()).toBe(0);
  expect(await callsIn(ledger)).toEqual(names(0, 4));
  const { recoveries } = await expectVerified(sidecar.cwd);
  expect(recoveries).toHaveLength(1);
});

test("damage in an earlier group is nobody's to repair: refused", async () => {
  const sidecar = await startSidecar();
  await sendCalls(sidecar, 0, 5);
  await sidecar.stop("SIGKILL");
  const path = newestSegment(ledgerOf(sidecar));
  const bytes = readFileSync(path);
  const at = bytes.indexOf("call 2");
  bytes.write("cell", at);
  writeFileSync(path, bytes);
  const { stderr } = await refusedStart(sidecar.cwd);
  expect(stderr).toMatch(/is damaged at byte \d+/);
  expect(stderr).toMatch(/^hint: run "spanseal verify", keep a copy, and restore from a backup/m);
  const verified = await spanseal(["verify", "--config", "spanseal.yaml"], { cwd: sidecar.cwd });
  expect(verified.code).toBe(1);
});

const hidden = (bucket: string): string => `${bucket}-hidden`;

/** The bucket is gone, and a file is in its place. */
function hideBucket(bucket: string): void {
  renameSync(bucket, hidden(bucket));
  writeFileSync(bucket, "");
}

function bringBack(bucket: string): void {
  rmSync(bucket);
  renameSync(hidden(bucket), bucket);
}

test("an unreachable bucket holds nothing up, and gets every root when it is back", async () => {
  const config = { publish: { interval: "1s" } };
  const sidecar = await startSidecar({ config });
  const { cwd } = sidecar;
  const bucket = join(cwd, "spanseal-data/bucket");
  await sendCalls(sidecar, 0, 3);
  await spanseal(["publish", "--config", "spanseal.yaml"], { cwd });
  hideBucket(bucket);
  await sendCalls(sidecar, 3, 3);
  await eventually(async () => {
    const { code, warnings } = await readinessOf(sidecar);
    expect([code, warnings]).toEqual([200, expect.stringContaining("publishing is tried again")]);
  });
  const lagging = await metricsOf(sidecar);
  expect(lagging.get("spanseal_root_lag_records")).toBeGreaterThanOrEqual(3);
  expect(lagging.get("spanseal_root_lag_seconds")).toBeGreaterThan(0);
  const { stderr, code } = await spanseal(["publish", "--config", "spanseal.yaml"], { cwd });
  expect([code, stderr]).toEqual([1, expect.stringContaining("bucket")]);
  bringBack(bucket);
  const published = lagging.get("spanseal_published_records")!;
  await eventually(async () => {
    const metrics = await metricsOf(sidecar);
    expect(metrics.get("spanseal_published_records")).toBeGreaterThan(published + 3);
    expect((await readinessOf(sidecar)).warnings).toBe("");
  });
  expect(await sidecar.stop()).toBe(0);
  await expectVerified(cwd, "--bucket", bucket);
});

test("a bucket that is away at the end gets the last root at the next start", async () => {
  const sidecar = await startSidecar();
  const { cwd } = sidecar;
  const bucket = join(cwd, "spanseal-data/bucket");
  await spanseal(["publish", "--config", "spanseal.yaml"], { cwd });
  hideBucket(bucket);
  await sendCalls(sidecar, 0, 3);
  expect(await sidecar.stop()).toBe(0);
  const size = (await recordsOf(sidecar)).length;
  const again = await startSidecar({ cwd });
  expect(again.stderr()).toContain("the bucket cannot be asked");
  bringBack(bucket);
  await eventually(async () =>
    expect((await metricsOf(again)).get("spanseal_published_records")).toBeGreaterThanOrEqual(size),
  );
  const origin = readdirSync(join(bucket, "spanseal.local"))[0]!;
  const roots = readdirSync(join(bucket, "spanseal.local", origin, "checkpoints"));
  expect(roots).toContain(String(size));
  expect(await again.stop()).toBe(0);
});

test("publish.max_lag refuses until the bucket is back", async () => {
  const config = { publish: { interval: "1s", max_lag: "2s" } };
  const sidecar = await startSidecar({ config });
  const bucket = join(sidecar.cwd, "spanseal-data/bucket");
  await spanseal(["publish", "--config", "spanseal.yaml"], { cwd: sidecar.cwd });
  hideBucket(bucket);
  await sendCalls(sidecar, 0, 1);
  const { reasons } = await readinessWith(sidecar, 503);
  expect(reasons).toContain("behind by more than publish.max_lag");
  await expectRefused(sidecar, 1);
  bringBack(bucket);
  await readinessWith(sidecar, 200);
  await sendCalls(sidecar, 1, 1);
  expect(await sidecar.stop()).toBe(0);
  expect(await callsIn(ledgerOf(sidecar))).toEqual(names(0, 2));
});

test("a request that is sent again is recorded once, whatever lies between", async () => {
  const sidecar = await startSidecar();
  const { cwd } = sidecar;
  const ledger = ledgerOf(sidecar);
  const requests = [0, 1, 2].map((id) => oneCall({ id }));
  const sendAll = async (to: SidecarProcess): Promise<void> => {
    for (const request of requests) expect(await send(to, request)).toBe(200);
  };
  await sendAll(sidecar);
  await sendAll(sidecar);
  const repeated = 'spanseal_records_total{result="repeated"}';
  expect((await metricsOf(sidecar)).get(repeated)).toBe(3);
  await spanseal(["publish", "--config", "spanseal.yaml"], { cwd });
  expect(await sidecar.stop("SIGKILL")).toBe(null);
  const afterCrash = await startSidecar({ cwd });
  await sendAll(afterCrash);
  expect((await metricsOf(afterCrash)).get(repeated)).toBe(3);
  expect(await afterCrash.stop()).toBe(0);
  const afterStop = await startSidecar({ cwd });
  await sendAll(afterStop);
  expect(await callsIn(ledger)).toEqual(names(0, 3));

  // The same span with other content is no repeat: both stand, and the second names the first.
  const other = oneCall({ id: 1, members: { "gen_ai.tool.call.result": "another" } });
  expect(await send(afterStop, other)).toBe(200);
  expect((await metricsOf(afterStop)).get('spanseal_records_total{result="conflict"}')).toBe(1);
  const actions = await recordsIn(ledger, "action");
  expect(actions).toHaveLength(4);
  expect(actions[3]!.id).toBe(actions[1]!.id);
  expect(actions.map(({ conflictOf }) => conflictOf !== undefined)).toEqual([
    false,
    false,
    false,
    true,
  ]);
  expect(await afterStop.stop()).toBe(0);
  await expectVerified(cwd);
});
