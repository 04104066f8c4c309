/** What senders say on a connection, and how it can be changed so that more than its head is read. */
import { gzipSync } from "node:zlib";
import { SIGNALS, type Signal } from "../../src/audit/otlp/schema.ts";
import { framed, services } from "../conformance/clients.ts";
import {
  END_HEADERS,
  END_STREAM,
  callHeaders,
  frame,
  literal,
  openCall,
} from "../faults/http2-frames.ts";
import {
  ping,
  preface,
  priority,
  reset,
  settings,
  settingsAck,
  windowUpdate,
} from "../faults/http2-frames.ts";
import type { Dice } from "../ingest-json/random-otlp.ts";
import { TOP } from "../ingest-json/otlp-proto.ts";
import { encodeOtlp, encodeOtlpJson } from "../support/otlp-writer.ts";
import { mutate } from "./mutate.ts";
import { planted, plantedIn } from "./planted.ts";

const [name] = planted;

function bodyOf(signal: Signal): Uint8Array {
  return encodeOtlp(TOP[signal], plantedIn(signal));
}

function request(lines: readonly string[], body: Uint8Array | string): Buffer {
  const head = [...lines, "host: a", `user-agent: ${name}`, "", ""].join("\r\n");
  return Buffer.concat([Buffer.from(head), Buffer.from(body)]);
}

function post(signal: Signal, body: Uint8Array | string, more: readonly string[] = []): Buffer {
  const type = typeof body === "string" ? "application/json" : "application/x-protobuf";
  const length = Buffer.byteLength(body);
  const lines = [`POST /v1/${signal} HTTP/1.1`, `content-type: ${type}`, ...more];
  return request([...lines, `content-length: ${length}`], body);
}

function chunked(body: Uint8Array, size: number): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < body.length; at += size) {
    const part = body.subarray(at, at + size);
    parts.push(
      Buffer.from(`${part.length.toString(16)}\r\n`),
      Buffer.from(part),
      Buffer.from("\r\n"),
    );
  }
  return Buffer.concat([...parts, Buffer.from("0\r\n\r\n")]);
}

const chunksFollow = [
  "POST /v1/traces HTTP/1.1",
  "content-type: application/x-protobuf",
  "transfer-encoding: chunked",
];

/** Each begins with the byte that says in how many pieces it comes. */
export function httpConversations(): Buffer[] {
  const traces = bodyOf("traces");
  const json = encodeOtlpJson(TOP.traces, plantedIn("traces"));
  const said = [
    ...SIGNALS.map((signal) => post(signal, bodyOf(signal))),
    Buffer.concat([post("traces", json), post("logs", bodyOf("logs"))]),
    post("traces", gzipSync(traces), ["content-encoding: gzip"]),
    request(chunksFollow, chunked(traces, 100)),
    request(
      [...chunksFollow, "trailer: x-late"],
      Buffer.concat([
        chunked(traces, 1_000).subarray(0, -2),
        Buffer.from(`x-late: ${name}\r\n\r\n`),
      ]),
    ),
    post("traces", traces, ["expect: 100-continue"]),
    post("traces", traces, [`authorization: Bearer ${name}`, "connection: close"]),
    post("traces", `{"resourceSpans":[{"${name}":`),
    request([`GET /${name} HTTP/1.1`], ""),
    request(["POST /v1/traces HTTP/1.0", "connection: upgrade", "upgrade: h2c"], ""),
  ];
  return said.map((bytes, at) => Buffer.concat([Buffer.from([at]), bytes]));
}

const openings = {
  logs: otherCall(services.logs),
  metrics: otherCall(services.metrics),
};

function otherCall(path: string): Uint8Array {
  return Buffer.concat([
    literal(":method", "POST"),
    literal(":scheme", "http"),
    literal(":path", path),
    literal("content-type", "application/grpc"),
    literal("grpc-timeout", "1S"),
    literal("x-who", name!),
  ]);
}

function data(stream: number, bytes: Uint8Array, flags = END_STREAM): Buffer {
  const most = 16_384;
  const parts: Buffer[] = [];
  for (let at = 0; at === 0 || at < bytes.length; at += most) {
    const isLast = at + most >= bytes.length;
    parts.push(frame("data", isLast ? flags : 0, stream, bytes.subarray(at, at + most)));
  }
  return Buffer.concat(parts);
}

/** As those over HTTP. */
export function grpcConversations(): Buffer[] {
  const [traces, logs, metrics] = [bodyOf("traces"), bodyOf("logs"), bodyOf("metrics")];
  const zipped = literal("grpc-encoding", "gzip");
  const bad = Buffer.from(`{"resourceSpans":"${name}"}`);
  const said: readonly Buffer[][] = [
    [openCall(1), data(1, framed(traces))],
    [openCall(1, zipped), data(1, framed(gzipSync(traces), 1))],
    [
      frame("headers", END_HEADERS, 1, openings.logs),
      data(1, framed(logs)),
      frame("headers", END_HEADERS, 3, openings.metrics),
      data(3, framed(metrics)),
    ],
    [openCall(1), openCall(3), data(3, framed(traces)), data(1, framed(bad))],
    [
      openCall(1),
      data(1, framed(traces).subarray(0, 50), 0),
      reset(1),
      ping,
      openCall(3),
      data(3, framed(traces)),
    ],
    [
      settings,
      windowUpdate(0, 1_000),
      openCall(1),
      priority(1),
      windowUpdate(1),
      data(1, framed(traces)),
      ping,
    ],
    [
      frame("headers", 0, 1, callHeaders),
      frame("continuation", END_HEADERS, 1, literal("x", name!)),
      data(1, framed(traces)),
    ],
    [
      openCall(1),
      data(1, framed(traces), 0),
      frame("headers", END_HEADERS | END_STREAM, 1, literal("x-late", name!)),
    ],
    [
      frame("headers", END_HEADERS | END_STREAM, 1, literal(":method", "GET")),
      frame("goaway", 0, 0, Buffer.alloc(8)),
    ],
  ];
  return said.map((frames, at) =>
    Buffer.concat([Buffer.from([at]), preface, settingsAck, ...frames]),
  );
}

const httpWords = [
  "\r\n",
  "\r\n\r\n",
  "0\r\n\r\n",
  "fffffffff\r\n",
  "content-length: 5\r\n",
  "content-length: 99999999999999\r\n",
  "transfer-encoding: chunked\r\n",
  "transfer-encoding: gzip, chunked\r\n",
  "content-encoding: gzip\r\n",
  "expect: 100-continue\r\n",
  "connection: close\r\n",
  "upgrade: websocket\r\n",
  "content-type: application/json; charset=\r\n",
  "GET /v1/traces HTTP/1.1\r\n",
  "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
  "POST /v1/logs HTTP/9.9\r\n",
  "\u0000",
  ": \r\n",
];

/** Changes lines, or bytes. */
export function changeHttp(input: Buffer, dice: Dice, other: Buffer): Buffer {
  if (dice.roll(2) === 0) return mutate(input, dice, other);
  const lines = input.toString("latin1").split("\r\n");
  const at = dice.roll(lines.length);
  const line = lines[at]!;
  const otherLines = other.toString("latin1").split("\r\n");
  const changed = dice.pick([
    [],
    [line, line],
    [line, dice.pick(otherLines)],
    [`${dice.pick(httpWords)}${line}`],
    [line.slice(0, dice.roll(line.length + 1)) + dice.pick(httpWords)],
    [mutate(Buffer.from(line, "latin1"), dice, other).toString("latin1")],
  ]);
  return Buffer.from(lines.toSpliced(at, 1, ...changed).join("\r\n"), "latin1");
}

const headBytes = 1 + 24;

/** Frames after the preface; undefined where they are none. */
function framesOf(input: Buffer): Buffer[] | undefined {
  const frames: Buffer[] = [];
  let at = headBytes;
  while (at + 9 <= input.length) {
    const end = at + 9 + input.readUIntBE(at, 3);
    frames.push(input.subarray(at, end));
    at = end;
  }
  return frames.length === 0 ? undefined : frames;
}

function withPayload(head: Buffer, payload: Uint8Array): Buffer {
  const changed = Buffer.from(head.subarray(0, 9));
  changed.writeUIntBE(payload.length, 0, 3);
  return Buffer.concat([changed, payload]);
}

function randomBytes(dice: Dice, count: number): Buffer {
  return Buffer.from(Array.from({ length: count }, () => dice.roll(256)));
}

/** A frame of any type, with flags, stream and payload of its own. */
function anyFrame(dice: Dice): Buffer {
  const head = Buffer.alloc(9);
  head[3] = dice.roll(12);
  head[4] = dice.roll(64);
  head.writeUInt32BE(dice.pick([0, 1, 2, 3, 5, 2 ** 31 - 1]), 5);
  return withPayload(head, randomBytes(dice, dice.pick([0, 4, 5, 6, 8, 12, 60])));
}

/** One byte of the head of a frame, or its length. */
function changedHead(one: Buffer, dice: Dice): Buffer {
  const changed = Buffer.from(one);
  if (changed.length >= 9) changed[dice.roll(9)] = dice.pick([0, 1, 3, 4, 5, 8, 127, 255]);
  return changed;
}

/** Changes frames, or bytes. */
export function changeGrpc(input: Buffer, dice: Dice, other: Buffer): Buffer {
  const frames = framesOf(input);
  if (frames === undefined || dice.roll(4) === 0) return mutate(input, dice, other);
  let all = frames;
  for (let left = 1 + dice.roll(4); left > 0 && all.length > 0; left--) {
    const at = dice.roll(all.length);
    const one = all[at]!;
    const changed = dice.pick([
      [],
      [one, one],
      [one, anyFrame(dice)],
      [one, dice.pick(framesOf(other) ?? [one])],
      [changedHead(one, dice)],
      [withPayload(Buffer.concat([one, Buffer.alloc(9)]), mutate(one.subarray(9), dice, other))],
      [one.subarray(0, dice.roll(one.length + 1))],
    ]);
    all = all.toSpliced(at, 1, ...changed);
    if (dice.roll(4) === 0) all = dice.roll(2) === 0 ? all.toReversed() : all;
  }
  return Buffer.concat([input.subarray(0, headBytes), ...all]).subarray(0, 64 * 1024);
}
