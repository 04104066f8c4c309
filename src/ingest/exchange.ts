/**
 * The way of one request, the same for both transports: authenticate, bound, read, inflate,
 * transcode, check, handle. A transport provides the request and writes the answer.
 */
import type { Signal } from "../audit/otlp/schema.ts";
import type { TelemetryRequest } from "../audit/request.ts";
import { pool } from "../bytes/pool.ts";
import type { Authentication } from "./authentication.ts";
import type { Admission, Budget } from "./budget.ts";
import { type TimeLimit, timeOver } from "./collect.ts";
import { checkWire } from "./check-wire.ts";
import type { Connection, Connections } from "./connections.ts";
import { type Deflated, type Encoding, inflateApart, inflateAtOnce, tooLarge } from "./inflate.ts";
import { Refusal, type RefusalCode } from "./refusal.ts";
import { refusalOf } from "./status.ts";
import type { Turns } from "./turns.ts";

export type Transport = "grpc" | "http";

/** Told once per request, when its outcome is known. */
export interface RequestEvent {
  /** `unknown` where the path named none. */
  readonly signal: Signal | "unknown";
  readonly transport: Transport;
  readonly code: "ok" | RefusalCode;
  /** Bytes of the body that were received, before inflation. */
  readonly bytes: number;
  /** Spans, log records or metrics; absent where the request was refused before they were counted. */
  readonly items?: number;
}

/**
 * Why a connection was closed by us: another needed its place, it did not say anything in time,
 * what it said was no HTTP, or it was frames without messages.
 */
export type ClosedReason = "place" | "silent" | "protocol" | "flood";

/** For the operator's log: never holds bytes of a body or credentials. */
export interface IngestLogEntry {
  readonly level: "debug" | "info" | "warn" | "error";
  readonly message: string;
  readonly transport?: Transport;
  readonly signal?: Signal;
  readonly code?: RefusalCode;
  readonly cause?: unknown;
}

/** What all exchanges of a receiver share. */
export interface Station {
  readonly transport: Transport;
  readonly authentication: Authentication;
  readonly connections: Connections;
  readonly budget: Budget;
  /** Work on this thread, and the inflation of large bodies on others. */
  readonly turns: Turns;
  readonly inflations: Turns;
  readonly requestBytesMax: number;
  readonly bodyTimeMsMax: number;
  readonly answerTimeMsMax: number;
  /** True from the begin of `close`. */
  draining: boolean;
  readonly handler: (request: TelemetryRequest, connection: object) => Promise<void>;
  readonly transcode: (signal: Signal, text: Uint8Array) => Uint8Array;
  readonly now: () => bigint;
  readonly log: (entry: IngestLogEntry) => void;
  readonly onRequest: (event: RequestEvent) => void;
  readonly onClosed: (reason: ClosedReason) => void;
}

export interface Received {
  readonly bytes: Uint8Array;
  readonly encoding: Encoding;
}

/** One request, with its body still unread. */
export interface Exchange {
  readonly signal: Signal;
  readonly connection: Connection;
  readonly authorization: string | undefined;
  readonly peerAddress: string;
  /** True where the sender showed a client certificate that was verified. */
  readonly certified: boolean;
  /** What the sender said it would send; 0 where it did not say. */
  readonly declaredBytes: number;
  readonly json: boolean;
  /** Milliseconds from now that the sender will wait; absent where it did not say. */
  readonly deadlineMs?: number;
  /** True where nobody waits for the answer any more. */
  isGone(): boolean;
  /** Reads the body, takes it from `admission`, at most the station's bytes and the limit's time. */
  read(admission: Admission, limit: TimeLimit): Promise<Received>;
}

/**
 * Takes one request from its headers to a durable record.
 *
 * @returns null where the request may be acknowledged, otherwise why it may not. Never rejects.
 */
export async function receive(exchange: Exchange, station: Station): Promise<Refusal | null> {
  const progress: Progress = { bytes: 0 };
  let refusal: Refusal | null = null;
  try {
    await pass(exchange, station, progress);
  } catch (error) {
    refusal = refusalOf(error);
  }
  report(exchange.signal, station, refusal, progress);
  return refusal;
}

/** Tells log and metrics about the outcome of a request. */
export function report(
  signal: Signal | "unknown",
  station: Station,
  refusal: Refusal | null,
  progress: Progress,
): void {
  const { transport } = station;
  station.onRequest({ signal, transport, code: refusal?.code ?? "ok", ...progress });
  if (refusal === null) return;
  const level = refusal.code === "unavailable" ? "error" : "debug";
  station.log({
    level,
    message: `refused a request: ${refusal.message}`,
    transport,
    ...(signal === "unknown" ? {} : { signal }),
    code: refusal.code,
    ...(refusal.cause === undefined ? {} : { cause: refusal.cause }),
  });
}

interface Progress {
  bytes: number;
  items?: number;
}

/** A request on its way, once there is room for it. */
interface Visit {
  readonly exchange: Exchange;
  readonly station: Station;
  readonly admission: Admission;
  readonly authenticated: boolean;
  readonly progress: Progress;
  /** A bound of time, or what is left of the sender's own. */
  readonly within: (ms: number, code: TimeLimit["code"]) => TimeLimit;
}

async function pass(exchange: Exchange, station: Station, progress: Progress): Promise<void> {
  const started = performance.now();
  const within = (ms: number, code: TimeLimit["code"]): TimeLimit => {
    const left = (exchange.deadlineMs ?? Infinity) - (performance.now() - started);
    return left < ms ? { ms: Math.max(0, left), code: "deadline_exceeded" } : { ms, code };
  };
  const authenticated = authenticate(exchange, station);
  const admission = bound(exchange, station);
  try {
    const body = await exchange.read(admission, within(station.bodyTimeMsMax, "body_timeout"));
    progress.bytes = body.bytes.length;
    await record(body, { exchange, station, admission, authenticated, progress, within });
  } finally {
    admission.release();
  }
}

/** Resolves when what the body holds is durable. */
async function record(body: Received, visit: Visit): Promise<void> {
  const { exchange, station, admission, within } = visit;
  const arrived = performance.now();
  station.connections.begin(exchange.connection);
  try {
    const handled = await handOn(body, visit);
    // Nothing to record: the collector answers success as well, without asking its pipeline.
    if (handled === null) return;
    // It holds its memory until it is settled, answered or not.
    admission.keep(handled.durable);
    const left = station.answerTimeMsMax - (performance.now() - arrived);
    await timely(handled.durable, within(Math.max(0, left), "answer_timeout"));
  } finally {
    station.connections.end(exchange.connection);
  }
}

/** All that occupies the thread, in a turn. @returns null where the body holds nothing. */
async function handOn(
  body: Received,
  { exchange, station, admission, authenticated, progress }: Visit,
): Promise<{ readonly durable: Promise<void> } | null> {
  const { connection } = exchange;
  let turn = await station.turns.take(connection, admission);
  try {
    // Work for nobody would keep those waiting who are still there.
    if (exchange.isGone()) throw new Refusal("aborted", "the sender went away");
    const deflated = { ...body, bytesMax: station.requestBytesMax, admission };
    let inflated = inflateAtOnce(deflated);
    if (inflated === null) {
      turn.end();
      inflated = await inflateLarge(deflated, connection, station);
      turn = await station.turns.take(connection, admission);
    }
    if (inflated !== body.bytes) pool.release(body.bytes);
    const bytes = transcode(inflated, exchange, station, admission);
    progress.items = checkWire(exchange.signal, bytes);
    if (bytes.length === 0) return null;
    const peer = { address: exchange.peerAddress, authenticated };
    const request = { signal: exchange.signal, bytes, peer, receivedUnixNano: station.now() };
    // Before they are handed on: they may be given back as soon as that.
    const { length } = bytes;
    const durable = hand(request, exchange.connection, station);
    station.turns.settle(length, durable);
    return { durable };
  } finally {
    turn.end();
  }
}

/** One at a time: the threads that inflate are the threads that write to the disk. */
async function inflateLarge(
  deflated: Deflated,
  connection: Connection,
  { inflations }: Station,
): Promise<Uint8Array> {
  const turn = await inflations.take(connection, deflated.admission);
  try {
    return await inflateApart(deflated);
  } finally {
    turn.end();
  }
}

/** @returns whether the sender proved who it is. @throws Refusal `unauthenticated` */
function authenticate(exchange: Exchange, station: Station): boolean {
  return station.authentication.check(exchange.authorization) || exchange.certified;
}

function bound(exchange: Exchange, station: Station): Admission {
  if (station.draining) throw new Refusal("draining", "the receiver is shutting down");
  if (exchange.declaredBytes > station.requestBytesMax) {
    throw tooLarge(`has more than ${station.requestBytesMax} bytes`);
  }
  station.turns.check(exchange.connection, exchange.declaredBytes);
  return station.budget.admit(exchange.connection, exchange.declaredBytes);
}

function transcode(
  bytes: Uint8Array,
  exchange: Exchange,
  station: Station,
  admission: Admission,
): Uint8Array {
  if (!exchange.json || bytes.length === 0) return bytes;
  const transcoded = station.transcode(exchange.signal, bytes);
  admission.take(transcoded.length);
  admission.give(bytes.length);
  pool.release(bytes);
  return transcoded;
}

async function hand(
  request: TelemetryRequest,
  connection: object,
  station: Station,
): Promise<void> {
  await station.handler(request, connection);
}

/** Settles with `work`, or rejects when the limit is over while the work goes on. */
function timely(work: Promise<void>, limit: TimeLimit): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(timeOver(limit)), limit.ms);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}
