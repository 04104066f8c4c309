/** Hostile senders of OTLP/gRPC and of HTTP/2 below it, against a sidecar of its own process. */
import { setTimeout as delay } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { callGrpc, callOn, framed, openHttp2, type RawConnection } from "../conformance/clients.ts";
import * as frames from "./http2-frames.ts";
import { harms } from "./senders.ts";
import { marker, Siege } from "./siege.ts";

const mib = 1024 * 1024;
const gzip = { "grpc-encoding": "gzip" };

let siege: Siege;

beforeAll(async () => {
  siege = await Siege.start();
});

afterAll(() => siege.lift());

async function greet(count: number): Promise<RawConnection[]> {
  const raws = await siege.connect(siege.grpc, count);
  for (const { socket } of raws) socket.write(Buffer.concat([frames.preface, frames.settingsAck]));
  return raws;
}

/** Sends frames in batches until the other end closes or `most` are sent. @returns how many. */
async function flood(
  { socket }: RawConnection,
  most: number,
  frame: (at: number) => Uint8Array,
): Promise<number> {
  let sent = 0;
  while (!socket.closed && socket.writable && sent < most) {
    const start = sent;
    const batch = Array.from({ length: 500 }, (_, at) => frame(start + at));
    sent += batch.length;
    if (!socket.write(Buffer.concat(batch))) {
      await new Promise<void>((resolve) => socket.once("drain", resolve).once("close", resolve));
    }
    await new Promise((resolve) => setImmediate(resolve));
  }
  return sent;
}

/** Odd, as the streams of clients are. */
const stream = (at: number): number => 1 + 2 * at;

describe("HTTP/2: frames without messages", () => {
  const first = (open: Buffer, then: Buffer) => (at: number) => (at === 0 ? open : then);
  const headers = frames.frame("headers", 0, 1, frames.callHeaders);
  const data = frames.frame("data", 0, 1, Buffer.from(marker));
  const floods: readonly [string, (at: number) => Uint8Array][] = [
    ["rapid reset", (at) => Buffer.concat([frames.openCall(stream(at)), frames.reset(stream(at))])],
    ["ping", () => frames.ping],
    ["settings", () => frames.settings],
    ["window updates", () => frames.windowUpdate(0)],
    ["priorities", (at) => frames.priority(stream(at % 1000))],
    ["continuations", first(headers, frames.frame("continuation", 0, 1, frames.literal("a", "b")))],
    ["empty continuations", first(headers, frames.frame("continuation", 0, 1))],
    ["empty data", first(frames.openCall(1), frames.frame("data", 0, 1))],
    ["data after the end", first(frames.frame("headers", 5, 1, frames.callHeaders), data)],
    ["resets of nothing", () => frames.reset(1)],
    ["streams beyond the bound", (at) => frames.openCall(stream(at))],
    ["unknown frames", () => Buffer.from([0, 0, 0, 0x77, 0, 0, 0, 0, 0])],
  ];

  test.for(floods)("%s, on 5 connections", async ([name, frame], context) => {
    const report = await siege.during(async () => {
      const raws = await greet(5);
      await Promise.all(raws.map((raw) => flood(raw, 1_000_000, frame)));
      // Closed by the other end, before the bound of the attack.
      await Promise.race([Promise.all(raws.map(({ closed }) => closed)), delay(5_000)]);
    });
    // Updates of windows are counted by the second, so a busy machine may send too few on some.
    expect(report.closed).toBeGreaterThanOrEqual(name === "window updates" ? 1 : 5);
    expect(harms(context, "closed", report)).toEqual([]);
  });

  test("headers without names or values, 100 a call", async (context) => {
    const empty = Buffer.concat(Array.from({ length: 100 }, () => frames.literal("", "")));
    const report = await siege.during(async () => {
      const raws = await greet(5);
      for (const { socket } of raws) {
        for (let at = 0; at < 200; at++) socket.write(frames.openCall(stream(at), empty));
      }
      await delay(500);
    });
    expect(harms(context, "refused", report)).toEqual([]);
  });

  test("a header of 4 KB, named 4,000 times in a block", async (context) => {
    const big = frames.indexed("x-big", "x".repeat(4_000));
    const block = Buffer.concat([frames.callHeaders, big, Buffer.alloc(4_000, 0xbe)]);
    const report = await siege.during(async () => {
      const raws = await greet(20);
      for (const { socket } of raws) {
        for (let at = 0; at < 20; at++) socket.write(frames.frame("headers", 4, stream(at), block));
      }
      await delay(500);
    });
    expect(harms(context, "refused at 16 KiB of headers", report)).toEqual([]);
  });

  test("1,100 connections: silent, or with calls that never get a body", async (context) => {
    const report = await siege.during(async () => {
      const raws = await siege.connect(siege.grpc, 1_100);
      raws.forEach(({ socket }, at) => {
        if (at % 2 === 1) return;
        socket.write(Buffer.concat([frames.preface, frames.settingsAck]));
        for (let call = 0; call < 4; call++) socket.write(frames.openCall(stream(call)));
      });
      await delay(3_000);
    });
    expect(report.closed).toBeGreaterThan(70);
    expect(harms(context, "the quietest are closed, the oldest calls refused", report)).toEqual([]);
  });

  test("answers that are never taken: a window of nothing", async (context) => {
    const closedWindow = frames.frame("settings", 0, 0, Buffer.from([0, 4, 0, 0, 0, 0]));
    const body = frames.frame("data", frames.END_STREAM, 1, framed(new Uint8Array()));
    const report = await siege.during(async () => {
      const raws = await greet(100);
      for (const { socket } of raws) {
        socket.write(Buffer.concat([closedWindow, frames.openCall(1), body]));
      }
      // Trailers need no window, so the end of the stream is what comes: after 10 s.
      const isReset = (raw: RawConnection): boolean =>
        raw.received().includes("\u0000\u0000\u0004\u0003");
      while (!raws.every(isReset)) await delay(100);
    });
    expect(harms(context, "reset after 10 s", report)).toEqual([]);
  }, 60_000);
});

describe("OTLP/gRPC: messages", () => {
  const hello = Buffer.from(marker);
  const lies: readonly [string, Buffer, Record<string, string>, number, number?][] = [
    ["a length beyond the body", framed(hello, 0, 1_000), {}, 3],
    ["a length within the body", framed(hello, 0, 3), {}, 3],
    ["a length of 4 GiB", framed(hello, 0, 0xffff_ffff), {}, 8],
    ["two messages", Buffer.concat([framed(hello), framed(hello)]), {}, 3],
    ["half a prefix", framed(hello).subarray(0, 3), {}, 3],
    ["compressed, not how", framed(hello, 1), {}, 3],
    ["compressed as identity", framed(hello, 1), { "grpc-encoding": "identity" }, 3],
    ["compressed, and is not", framed(hello, 1), gzip, 3],
    ["a flag of 255", framed(hello, 255), {}, 3],
    ["a timeout of nothing", framed(hello), { "grpc-timeout": "0n" }, 4, 3],
    ["a timeout that is none", framed(hello), { "grpc-timeout": "-1S" }, 3],
    [
      "a timeout of 99,999,999 hours, no protobuf",
      framed(hello),
      { "grpc-timeout": "99999999H" },
      3,
    ],
  ];

  test.for(lies)("50 times %s", async ([, body, headers, code, other], context) => {
    const report = await siege.during(async () => {
      const session = openHttp2(siege.grpc);
      const calls = Array.from({ length: 50 }, () => callOn(session, { body, headers }));
      for (const answer of await Promise.all(calls)) expect([code, other]).toContain(answer.code);
      session.destroy();
    });
    expect(harms(context, `grpc-status ${code}`, report)).toEqual([]);
  });

  test.for([
    ["gzip", (zeros: Buffer) => gzipSync(zeros), [8, 14]],
    ["gzip of gzip", (zeros: Buffer) => gzipSync(gzipSync(zeros)), [3]],
  ] as const)("16 bombs of 256 MiB: %s", async ([, make, codes], context) => {
    const body = framed(make(Buffer.alloc(256 * mib)), 1);
    const report = await siege.during(async () => {
      const calls = Array.from({ length: 16 }, () => callGrpc(siege.grpc, { body, headers: gzip }));
      for (const { code } of await Promise.all(calls)) expect(codes).toContain(code);
    });
    expect(harms(context, `grpc-status ${codes[0]}`, report)).toEqual([]);
  });

  test("trailers of a sender, and what comes after them", async (context) => {
    const more = frames.frame("data", 0, 1, hello);
    const open = Buffer.concat([
      frames.openCall(1),
      frames.frame("data", 0, 1, framed(new Uint8Array())),
    ]);
    const trailers = (flags: number): Buffer =>
      frames.frame("headers", flags, 1, frames.literal("x-trailer", marker));
    const report = await siege.during(async () => {
      const [ended, after, unended] = await greet(3);
      ended!.socket.write(Buffer.concat([open, trailers(frames.END_HEADERS | frames.END_STREAM)]));
      after!.socket.write(
        Buffer.concat([open, trailers(frames.END_HEADERS | frames.END_STREAM), more, more]),
      );
      unended!.socket.write(Buffer.concat([open, trailers(frames.END_HEADERS), more]));
      await delay(300);
    });
    expect(harms(context, "an answer; a reset where they are no end", report)).toEqual([]);
  });

  test("300 resets in the middle of a message", async (context) => {
    const report = await siege.during(async () => {
      const raws = await greet(300);
      const half = frames.frame("data", 0, 1, framed(hello, 0, 100_000));
      for (const { socket } of raws) socket.write(Buffer.concat([frames.openCall(1), half]));
      await delay(200);
      for (const { socket } of raws) socket.resetAndDestroy();
    });
    expect(harms(context, "nothing", report)).toEqual([]);
  });
});
