import { expect, test } from "vitest";

import { LedgerClock, type Clock } from "../../../src/ledger/clock.ts";
import { checkLog } from "../check-log.ts";
import { batch, open, recordsOnDisk, temporaryPlace } from "./support.ts";

const second = 1_000_000_000n;
const start = 1_700_000_000n * second;

/** A host whose two clocks are set by hand. */
class HandClock implements Clock {
  wall = start;
  monotonic = 5n;
  wallUnixNano = (): bigint => this.wall;
  monotonicNano = (): bigint => this.monotonic;

  pass(seconds: bigint, wallSeconds: bigint = seconds): void {
    this.monotonic += seconds * second;
    this.wall += wallSeconds * second;
  }
}

test("follows the monotonic clock and is drawn towards the wall clock", () => {
  const host = new HandClock();
  const clock = new LedgerClock(host, 0n);
  expect(clock.now()).toBe(start);
  host.pass(10n);
  expect(clock.now()).toBe(start + 10n * second);
  host.wall += second / 2n;
  host.pass(10n);
  expect(clock.now()).toBe(host.wall);
  host.wall -= second / 2n;
  host.monotonic += second / 2n;
  // Half pace while the wall clock is behind.
  expect(clock.now() - start).toBe(20n * second + (second * 3n) / 4n);
  expect(clock.takeStep()).toBeUndefined();
});

test("a leap forward is followed at once and told", () => {
  const host = new HandClock();
  const clock = new LedgerClock(host, 0n);
  host.pass(1n, 3600n);
  expect(clock.now()).toBe(host.wall);
  expect(clock.takeStep()).toEqual({ ledgerUnixNano: start + second, wallUnixNano: host.wall });
  expect(clock.takeStep()).toBeUndefined();
});

test("a leap back is told once and never followed backwards", () => {
  const host = new HandClock();
  const clock = new LedgerClock(host, 0n);
  host.wall -= 60n * second;
  let last = clock.now();
  expect(clock.takeStep()).toMatchObject({ wallUnixNano: host.wall });
  for (let at = 0; at < 200; at++) {
    host.pass(1n);
    const now = clock.now();
    expect(now).toBeGreaterThan(last);
    last = now;
    expect(clock.takeStep()).toBeUndefined();
  }
  expect(last).toBe(host.wall);
});

test("a step of the wall clock towards the time of the ledger is told too", () => {
  const host = new HandClock();
  const clock = new LedgerClock(host, 0n);
  const steps = [-3600n, 1800n, 1750n, -2n].map((seconds) => {
    host.pass(1n, 1n + seconds);
    const now = clock.now();
    return { now, step: clock.takeStep(), wall: host.wall };
  });
  expect(steps.map(({ step }) => step?.wallUnixNano)).toEqual(steps.map(({ wall }) => wall));
  const times = steps.map(({ now }) => now);
  expect(times).toEqual(times.toSorted((left, right) => Number(left - right)));
  host.pass(1n);
  clock.now();
  expect(clock.takeStep()).toBeUndefined();
});

test("small steps are told when they come to over a second, and none twice", () => {
  for (const direction of [1n, -1n]) {
    const host = new HandClock();
    const clock = new LedgerClock(host, 0n);
    const told = Array.from({ length: 8 }, () => {
      host.wall += (direction * second * 3n) / 10n;
      clock.now();
      return clock.takeStep() !== undefined;
    });
    expect(told).toEqual([false, false, false, true, false, false, false, true]);
  }
});

test("drift is no step, however long nobody asks", () => {
  for (const partsPerMillion of [500n, -500n]) {
    const host = new HandClock();
    const clock = new LedgerClock(host, 0n);
    for (const seconds of [1n, 60n, 86_400n, 3600n, 1_000_000n]) {
      host.pass(seconds);
      host.wall += (seconds * second * partsPerMillion) / 1_000_000n;
      clock.now();
      // What it comes to is over a second: time follows it, and nobody set the clock.
      expect(clock.takeStep()).toBeUndefined();
    }
  }
});

test("is never before the newest record of the log", () => {
  const host = new HandClock();
  const clock = new LedgerClock(host, start + 100n * second);
  expect(clock.now()).toBe(start + 100n * second);
  expect(clock.takeStep()).toMatchObject({ wallUnixNano: start });
});

test("a step of the clock makes a record, and times never go back along the log", async () => {
  const host = new HandClock();
  const place = await temporaryPlace();
  const first = await open(place, { clock: host });
  host.pass(1n, 7200n);
  await first.append(batch([{ name: "a" }]));
  await first.close();
  host.pass(1n, -3600n);
  const again = await open(place, { clock: host });
  await again.append(batch([{ name: "b" }]));
  await again.close();
  await checkLog(place.directory, place.keys);
  const records = await recordsOnDisk(place.directory);
  const kinds = records.map(({ head }) => head.kind);
  expect(kinds.filter((kind) => kind === "clock_stepped").length).toBe(2);
  const times = records.map(({ head }) => BigInt(head.time));
  expect(times).toEqual(times.toSorted((left, right) => Number(left - right)));
});
