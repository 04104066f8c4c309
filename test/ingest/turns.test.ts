/** Whose turn it is: fair among senders, bounded in time, with looks at the network between. */
import { expect, test } from "vitest";
import { Refusal } from "../../src/ingest/refusal.ts";
import { type Held, type Sender, type TurnBounds, Turns } from "../../src/ingest/turns.ts";

/** A clock that only work moves. */
class Work {
  ms = 0;
  readonly turns: Turns;
  /** Who was worked for, in order. */
  readonly order: string[] = [];
  readonly refused: string[] = [];

  constructor(bounds: Partial<TurnBounds> = {}) {
    this.turns = new Turns({ queueTimeMsMax: 1_000, workSliceMs: 5, ...bounds }, () => this.ms);
  }

  /** One request that occupies the thread for `ms`. */
  async send(name: string, sender: Sender, ms: number, held = nothing): Promise<void> {
    try {
      const turn = await this.turns.take(sender, held);
      this.ms += ms;
      this.order.push(name);
      turn.end();
    } catch (error) {
      if (!(error instanceof Refusal) || error.code !== "overloaded") throw error;
      this.refused.push(name);
    }
  }
}

const nothing: Held = { bytes: 0, release: () => undefined };
const sender = (): Sender => ({ served: 0 });

test("a sender of little is not behind the queue of one that sends much", async () => {
  const work = new Work();
  const greedy = sender();
  const sent = Array.from({ length: 20 }, (_, at) => work.send(`greedy ${at}`, greedy, 20));
  await new Promise((resolve) => setImmediate(resolve));
  const done = work.order.length;
  sent.push(work.send("small", sender(), 1));
  await Promise.all(sent);
  expect(work.order).toHaveLength(21);
  expect(work.order.indexOf("small")).toBeLessThanOrEqual(done + 1);
});

test("64 connections of one cannot starve four of others", async () => {
  const work = new Work();
  const connections = Array.from({ length: 64 }, sender);
  const small = Array.from({ length: 4 }, sender);
  const all = connections.flatMap((one, at) => [
    work.send(`greedy ${at}`, one, 5),
    work.send(`greedy ${at}`, one, 5),
  ]);
  // Each has had a turn when the small ones come.
  while (work.order.length < 64) await new Promise((resolve) => setImmediate(resolve));
  all.push(...small.map((one, at) => work.send(`small ${at}`, one, 1)));
  await Promise.all(all);
  const next = work.order.slice(64, 64 + 8).filter((name) => name.startsWith("small"));
  expect(next).toHaveLength(4);
  expect(work.refused).toEqual([]);
});

test("what waits too long is refused, and what would wait too long is refused at the door", async () => {
  const work = new Work();
  const greedy = sender();
  const bytes = 300_000;
  const held: Held = { bytes, release: () => undefined };
  const sent = Array.from({ length: 7 }, (_, at) => work.send(`${at}`, greedy, 300, held));
  while (work.ms < 600) await new Promise((resolve) => setImmediate(resolve));
  // Two are done, a millisecond a kilobyte; the others need 1,500 ms of the 1,000 that are allowed.
  const refusal = expect.objectContaining({ code: "overloaded" }) as Error;
  expect(() => work.turns.check(greedy, bytes)).toThrow(refusal);
  expect(() => work.turns.check(sender(), bytes)).not.toThrow();
  await Promise.all(sent);
  expect(work.order).toEqual(["0", "1", "2", "3"]);
  expect(work.refused).toEqual(["4", "5", "6"]);
  expect(work.turns.waiting).toBe(0);
});

test("a burst may wait for long, a queue that stands is kept short, and one that passed is none", async () => {
  const work = new Work({ standingTimeMsMax: 200 });
  const held: Held = { bytes: 10_000, release: () => undefined };
  const waitedMs: number[] = [];
  const sent: Promise<void>[] = [];
  let atTheDoor = 0;
  let late = 0;
  /** Milliseconds that the work of one takes. */
  const costMs = 10;
  const request = async (): Promise<void> => {
    const since = work.ms;
    const one = sender();
    let isIn = false;
    try {
      work.turns.check(one, held.bytes);
      isIn = true;
      const turn = await work.turns.take(one, held);
      waitedMs.push(work.ms - since);
      work.ms += costMs;
      turn.end();
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (isIn) late++;
      else atTheDoor++;
    }
  };
  /** So many come while as many milliseconds of work are done. */
  const during = async (requests: number, ms: number): Promise<void> => {
    const end = work.ms + ms;
    const begin = work.ms;
    for (let come = 0; work.ms < end;) {
      const due = Math.floor(((work.ms - begin) / ms) * requests) + 1;
      for (; come < Math.min(due, requests); come++) sent.push(request());
      const before = work.ms;
      await new Promise((resolve) => setImmediate(resolve));
      // Nobody waits: time passes.
      if (work.ms === before) work.ms += 1;
    }
  };
  await during(1, 20);
  // A burst of 70 at once, 700 ms of work: all are done.
  waitedMs.length = 0;
  sent.push(...Array.from({ length: 70 }, request));
  await Promise.all(sent);
  expect(waitedMs).toHaveLength(70);
  expect(Math.max(...waitedMs)).toBeGreaterThan(600);
  // Twice what can be done, for long.
  await during(600, 3_000);
  waitedMs.length = 0;
  [atTheDoor, late] = [0, 0];
  await during(600, 3_000);
  expect(atTheDoor).toBeGreaterThan(9 * late);
  expect(waitedMs.length).toBeGreaterThan(280);
  expect(Math.max(...waitedMs)).toBeLessThanOrEqual(200);
  await Promise.all(sent);
  // It passed: a burst may wait again.
  await during(1, 20);
  waitedMs.length = 0;
  await Promise.all(Array.from({ length: 70 }, request));
  expect(waitedMs).toHaveLength(70);
});

test("the network is looked at between slices of work", async () => {
  const work = new Work();
  const doneAtLook: number[] = [];
  const all = Array.from({ length: 12 }, () => work.send("x", sender(), 2));
  while (work.order.length < 12) {
    await new Promise((resolve) => setImmediate(resolve));
    doneAtLook.push(work.order.length);
  }
  await Promise.all(all);
  // Three times 2 ms are over 5 ms.
  expect(doneAtLook.every((done, at) => done - (doneAtLook[at - 1] ?? 0) <= 6)).toBe(true);
  expect(doneAtLook.length).toBeGreaterThan(1);
});

test("a turn that waits for other threads does not keep others for ever", async () => {
  const turns = new Turns({ queueTimeMsMax: 300, workSliceMs: 5 });
  const held = await turns.take(sender(), nothing);
  await expect(turns.take(sender(), nothing)).rejects.toMatchObject({ code: "overloaded" });
  held.end();
  (await turns.take(sender(), nothing)).end();
});

test("of two that had as much, the one that wants little comes first", async () => {
  const work = new Work();
  const big: Held = { bytes: 1_000_000, release: () => undefined };
  const done: string[] = [];
  const send = async (name: string, held: Held, ms: number): Promise<void> => {
    const turn = await work.turns.take(sender(), held);
    work.ms += ms;
    done.push(name);
    turn.end();
  };
  const all = Array.from({ length: 5 }, (_, at) => send(`big ${at}`, big, 20));
  all.push(send("small", { bytes: 1_000, release: () => undefined }, 1));
  await Promise.all(all);
  expect(done.indexOf("small")).toBeLessThanOrEqual(1);
});

test("where there is no room, the newest of whoever holds most gives way", async () => {
  const turns = new Turns({ queueTimeMsMax: 1_000, workSliceMs: 5 });
  const [greedy, small, newcomer] = [sender(), sender(), sender()];
  const given: string[] = [];
  const refused: string[] = [];
  const wait = (name: string, one: Sender, bytes: number): void => {
    const held = { bytes, release: () => void given.push(name) };
    turns.take(one, held).then(
      (turn) => turn.end(),
      () => refused.push(name),
    );
  };
  const full = new Refusal("overloaded", "full");
  expect(turns.makeRoom(newcomer, full)).toBe(false);
  const busy = await turns.take(sender(), nothing);
  wait("small", small, 300);
  for (const name of ["a", "b", "c"]) wait(name, greedy, 100);
  expect(turns.makeRoom(greedy, full)).toBe(false);
  expect(turns.makeRoom(newcomer, full)).toBe(true);
  expect(turns.makeRoom(small, full)).toBe(true);
  expect(given).toEqual(["c", "b"]);
  await new Promise((resolve) => setImmediate(resolve));
  expect(refused).toEqual(["c", "b"]);
  busy.end();
});

test("where the work is done elsewhere, several have a turn, and what all of them took counts", async () => {
  const turns = new Turns({ queueTimeMsMax: 1_000, workSliceMs: Infinity, atOnce: 2 });
  const greedy = sender();
  const [first, second] = await Promise.all([turns.take(greedy), turns.take(greedy)]);
  const order: string[] = [];
  const wait = async (name: string, one: Sender): Promise<void> => {
    const turn = await turns.take(one);
    order.push(name);
    turn.end();
  };
  const waiting = [wait("greedy", greedy), wait("small", sender())];
  await new Promise((resolve) => setTimeout(resolve, 20));
  expect(order).toEqual([]);
  first.end();
  second.end();
  await Promise.all(waiting);
  expect(order).toEqual(["small", "greedy"]);
  expect(greedy.served).toBeGreaterThan(2 * 15);
});
