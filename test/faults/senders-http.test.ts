/** Hostile senders of OTLP/HTTP, against a sidecar of its own process. */
import { setTimeout as delay } from "node:timers/promises";
import { deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { askHttp } from "../conformance/clients.ts";
import { JSON_TYPE, PROTOBUF } from "../conformance/payloads.ts";
import { harms } from "./senders.ts";
import { marker, Siege } from "./siege.ts";

const mib = 1024 * 1024;
const line = "POST /v1/traces HTTP/1.1\r\nhost: a\r\n";
const head = `${line}content-type: application/x-protobuf\r\n`;

let siege: Siege;

beforeAll(async () => {
  siege = await Siege.start();
});

afterAll(() => siege.lift());

/** The status lines that came, in order. */
function statuses(text: string): number[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status));
}

/** Sends `text` on connections of their own and waits until each is closed by the other end. */
async function closedAfter(text: string | Buffer, count = 1): Promise<string[]> {
  const raws = await siege.connect(siege.http, count);
  for (const { socket } of raws) socket.write(text);
  return Promise.all(raws.map(({ closed }) => closed));
}

function only(answers: readonly string[], status: number): void {
  for (const answer of answers) expect(statuses(answer)).toEqual([status]);
}

describe("OTLP/HTTP: time and places", () => {
  test("1,100 connections: silent, or with half of a request", async (context) => {
    const report = await siege.during(async () => {
      const held = await siege.connect(siege.http, 1_100);
      held.forEach(({ socket }, at) => {
        if (at % 2 === 0) socket.write(`${head}content-length: 100\r\n\r\n${marker}`);
      });
      await delay(2_500);
      expect(held.filter(({ socket }) => socket.closed).length).toBeGreaterThan(70);
    });
    expect(report.closed).toBeGreaterThan(70);
    expect(harms(context, "the quietest are closed where a place is needed", report)).toEqual([]);
  });

  test("slow headers and slow bodies, a byte a second", async (context) => {
    const report = await siege.during(async () => {
      const headers = await siege.connect(siege.http, 40);
      const bodies = await siege.connect(siege.http, 40);
      for (const { socket } of headers) socket.write("POST /v1/tr");
      for (const { socket } of bodies) socket.write(`${head}transfer-encoding: chunked\r\n\r\n`);
      const drip = setInterval(() => {
        for (const { socket } of headers) if (socket.writable) socket.write("x");
        for (const { socket } of bodies) if (socket.writable) socket.write("1\r\nx\r\n");
      }, 1_000);
      only(await Promise.all(headers.map(({ closed }) => closed)), 503);
      only(await Promise.all(bodies.map(({ closed }) => closed)), 503);
      clearInterval(drip);
    });
    expect(harms(context, "503 after 10 s (headers) and 30 s (body), closed", report)).toEqual([]);
  }, 90_000);
});

describe("OTLP/HTTP: headers", () => {
  test("headers without an end", async (context) => {
    const report = await siege.during(async () => {
      const raws = await siege.connect(siege.http, 20);
      for (const { socket } of raws) {
        socket.write(line);
        for (let count = 0; count < 2_000; count++) socket.write(`x-${count}: ${marker}\r\n`);
      }
      const answers = await Promise.all(raws.map(({ closed }) => closed));
      // Who still sends when it is closed may not see the answer.
      for (const answer of answers) expect([400, undefined]).toContain(statuses(answer)[0]);
    });
    expect(harms(context, "400 at 16 KiB, closed", report)).toEqual([]);
  });

  test("3,000 tiny headers in each of 100 requests", async (context) => {
    const tiny = `${head}${"a:\r\n".repeat(3_000)}content-length: 0\r\n\r\n`;
    const report = await siege.during(async () => {
      const raws = await siege.connect(siege.http, 10);
      for (const { socket } of raws) socket.write(tiny.repeat(10));
      await Promise.all(raws.map((raw) => raw.until(/^HTTP\/1\.1 (?:200|400) /)));
    });
    expect(harms(context, "200, where they fit into 16 KiB", report)).toEqual([]);
  });

  test.each([
    ["two lengths", `${head}content-length: 4\r\ncontent-length: 0\r\n\r\n`],
    [
      "length and chunks",
      `${head}content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    ["an unknown transfer coding", `${head}transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n`],
    ["a space before the colon", `${head}transfer-encoding : chunked\r\n\r\n0\r\n\r\n`],
    ["a sign in the length", `${head}content-length: +0\r\n\r\n`],
    ["a length in hexadecimal", `${head}content-length: 0x0\r\n\r\n`],
    ["a length of 2^64", `${head}content-length: 18446744073709551616\r\n\r\n`],
    ["a folded header", `${head}x: a\r\n b\r\ncontent-length: 0\r\n\r\n`],
    ["a NUL in a header", `${head}x: a\u0000b\r\ncontent-length: 0\r\n\r\n`],
    ["a bare line feed", `${head}x: a\ncontent-length: 0\r\n\r\n`],
    ["no host", "POST /v1/traces HTTP/1.1\r\ncontent-length: 0\r\n\r\n"],
    ["no HTTP", `${marker}\r\n\r\n`],
    ["TLS", Buffer.from("16030100c8010000c40303", "hex")],
  ])("a request to be smuggled behind: %s", async (_, first) => {
    const smuggled = `${head}content-length: 0\r\n\r\n`;
    const [answer] = await closedAfter(Buffer.concat([Buffer.from(first), Buffer.from(smuggled)]));
    // One answer, and the end: what came behind was never taken for a request.
    expect(statuses(answer!)).toEqual([400]);
  });
});

describe("OTLP/HTTP: bodies", () => {
  const zeros = Buffer.alloc(256 * mib);
  const bombs: readonly [string, string, () => Buffer, readonly number[]][] = [
    ["gzip", "gzip", () => gzipSync(zeros), [413, 503]],
    ["deflate", "deflate", () => deflateSync(zeros), [413, 503]],
    ["zstd", "zstd", () => zstdCompressSync(zeros), [413, 503]],
    ["gzip of gzip", "gzip", () => gzipSync(gzipSync(zeros)), [400]],
    ["gzip, said twice", "gzip, gzip", () => gzipSync(gzipSync(zeros)), [415]],
  ];

  test.for(bombs)("16 bombs of 256 MiB: %s", async ([, encoding, make, allowed], context) => {
    const body = make();
    const headers = { ...PROTOBUF, "content-encoding": encoding };
    const report = await siege.during(async () => {
      const sent = Array.from({ length: 16 }, () => askHttp(siege.http, { headers, body }));
      for (const { status } of await Promise.all(sent)) expect(allowed).toContain(status);
    });
    expect(harms(context, `${allowed[0]}`, report)).toEqual([]);
  });

  test("10,000 levels of JSON and of protobuf", async (context) => {
    const open = '{"kvlistValue":{"values":[{"key":"a","value":';
    const deep = [
      `{"resourceSpans":[{"resource":{"attributes":[{"key":"a","value":${open.repeat(10_000)}`,
      `{"x":${"[".repeat(10_000)}`,
      `{"x":${'{"y":'.repeat(10_000)}`,
    ];
    const report = await siege.during(async () => {
      for (const body of deep) {
        expect((await askHttp(siege.http, { headers: JSON_TYPE, body })).status).toBe(400);
      }
      const nested = nestedProtobuf(10_000);
      const groups = Buffer.alloc(10_000, 0x7b);
      for (const body of [nested, groups]) {
        expect((await askHttp(siege.http, { headers: PROTOBUF, body })).status).toBe(400);
      }
    });
    expect(harms(context, "400", report)).toEqual([]);
  });

  test("lengths and numbers of protobuf that lie", async (context) => {
    const bodies = [
      "0affffffff0f",
      "0affffffffffffffffff01",
      `0a${"80".repeat(20)}01`,
      `08${"ff".repeat(1000)}`,
      "0a80808080808080808000",
      "0a04120210ff",
    ].map((hex) => Buffer.from(hex, "hex"));
    const report = await siege.during(async () => {
      for (const body of bodies) {
        expect((await askHttp(siege.http, { headers: PROTOBUF, body })).status).toBe(400);
      }
    });
    expect(harms(context, "400", report)).toEqual([]);
  });

  test("300 resets in the middle of a body", async (context) => {
    const report = await siege.during(async () => {
      const raws = await siege.connect(siege.http, 300);
      for (const { socket } of raws) socket.write(`${head}content-length: 100000\r\n\r\n${marker}`);
      await delay(200);
      for (const { socket } of raws) socket.resetAndDestroy();
    });
    expect(harms(context, "nothing", report)).toEqual([]);
  });

  test("2,000 requests in one write", async (context) => {
    const one = `${line}content-type: application/json\r\ncontent-length: 2\r\n\r\n{}`;
    const report = await siege.during(async () => {
      const [raw] = await siege.connect(siege.http);
      raw!.socket.write(one.repeat(2_000));
      while (statuses(raw!.received()).length < 2_000) await delay(20);
      for (const status of statuses(raw!.received())) expect([200, 503]).toContain(status);
    });
    expect(harms(context, "as many answers, 503 beyond what there is room for", report)).toEqual(
      [],
    );
  });

  const chunked = `${head}transfer-encoding: chunked\r\n\r\n`;
  // Closed in the middle of a request, with an answer or without.
  const chunks: readonly [string, string, readonly (number | undefined)[]][] = [
    ["a size that is no number", `${chunked}zz\r\n`, [400, undefined]],
    ["a size of 2^64", `${chunked}10000000000000000\r\n`, [400, undefined]],
    ["a negative size", `${chunked}-1\r\n`, [400, undefined]],
    [
      "extensions of 100 KB",
      `${chunked}1;${"a=b;".repeat(25_000)}\r\nx\r\n`,
      [400, 413, undefined],
    ],
    [
      "trailers of 100 KB",
      `${chunked}0\r\n${"a: b\r\n".repeat(17_000)}\r\n`,
      [400, 431, undefined],
    ],
    [
      "more than was announced",
      `${head}content-length: 1\r\n\r\n\u000axyz\r\n\r\n`,
      [400, undefined],
    ],
  ];

  test.for(chunks)("chunks: %s", async ([, text, allowed], context) => {
    const report = await siege.during(async () => {
      for (const answer of await closedAfter(text, 10)) {
        expect(allowed).toContain(statuses(answer).at(-1));
      }
    });
    expect(harms(context, "closed", report)).toEqual([]);
  });

  test("100,000 chunks of one byte, on 10 connections", async (context) => {
    const report = await siege.during(async () => {
      const raws = await siege.connect(siege.http, 10);
      for (const { socket } of raws)
        socket.write(`${chunked}${"1\r\nx\r\n".repeat(10_000)}0\r\n\r\n`);
      await Promise.all(raws.map((raw) => raw.until(/^HTTP\/1\.1 (?:200|503) /)));
    });
    expect(harms(context, "200: unknown fields", report)).toEqual([]);
  });
});

/** A span's attribute in lists of lists. */
function nestedProtobuf(levels: number): Buffer {
  // From the inside out, written backwards: prefixes would be copied at every level.
  const parts: Buffer[] = [];
  let size = 0;
  for (let level = 0; level < levels; level++) {
    for (const field of [1, 5]) {
      const prefix = prefixOf(field, size);
      parts.push(prefix);
      size += prefix.length;
    }
  }
  for (const field of [2, 9, 2, 2, 1]) {
    const prefix = prefixOf(field, size);
    parts.push(prefix);
    size += prefix.length;
  }
  return Buffer.concat(parts.toReversed());
}

function prefixOf(field: number, size: number): Buffer {
  const bytes = [field * 8 + 2];
  let rest = size;
  for (; rest >= 128; rest >>>= 7) bytes.push((rest & 127) | 128);
  bytes.push(rest);
  return Buffer.from(bytes);
}
