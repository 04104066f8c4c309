/** Tells the encoding and signal of an OTLP request body by its content. */
import type { Signal } from "../audit/otlp/schema.ts";
import { FIXED64, LENGTH_DELIMITED, VARINT, WireError, WireReader } from "../bytes/wire.ts";

const OPEN_BRACE = 0x7b;
const BYTE_ORDER_MARK = 0xef;
const SPACES: ReadonlySet<number> = new Set([0x20, 0x09, 0x0a, 0x0d]);

/** No protobuf request begins with a brace: its first tag is that of field 1. */
export function isJson(body: Uint8Array): boolean {
  const first = body.find((byte) => !SPACES.has(byte));
  return first === OPEN_BRACE || first === BYTE_ORDER_MARK;
}

/** `traces` where the content does not tell: an empty request has no signal of its own. */
export function guessSignal(body: Uint8Array): Signal {
  if (isJson(body)) {
    const member = /"resource(Spans|Logs|Metrics)"/.exec(Buffer.from(body).toString("latin1"))?.[1];
    return member === "Logs" ? "logs" : member === "Metrics" ? "metrics" : "traces";
  }
  try {
    return guessWire(new WireReader(body), 0) ?? "traces";
  } catch (error) {
    // What is wrong with the bytes is said when they are read for good.
    if (error instanceof WireError) return "traces";
    throw error;
  }
}

/** Request, Resource…, Scope… and item are at the same fields in all three signals. */
const PATH = [1, 2, 2];

function guessWire(reader: WireReader, depth: number): Signal | undefined {
  if (depth === PATH.length) return guessItem(reader);
  while (reader.next()) {
    if (reader.field !== PATH[depth] || reader.wireType !== LENGTH_DELIMITED) continue;
    const signal = guessWire(reader.message(), depth + 1);
    if (signal !== undefined) return signal;
  }
  return undefined;
}

/** By a field whose wire type only one of Span, LogRecord and Metric has. */
function guessItem(item: WireReader): Signal | undefined {
  while (item.next()) {
    const { field, wireType } = item;
    if ((field === 7 || field === 8) && wireType === FIXED64) return "traces";
    if (field === 2 && wireType === LENGTH_DELIMITED && item.stop - item.start === 8) {
      return "traces";
    }
    if ((field === 1 || field === 11) && wireType === FIXED64) return "logs";
    if (field === 2 && wireType === VARINT) return "logs";
    if (field === 7 && wireType === LENGTH_DELIMITED) return "metrics";
    if (field === 5 && wireType === LENGTH_DELIMITED) return guessField5(item.payload());
  }
  return undefined;
}

/** A span's name, a log record's body (an AnyValue) or a metric's gauge (data points). */
function guessField5(payload: Uint8Array): Signal | undefined {
  try {
    const reader = new WireReader(payload);
    let isMessage = reader.next();
    const { field, wireType } = reader;
    while (reader.next()) isMessage = true;
    if (!isMessage) return undefined;
    if (field !== 1 || wireType !== LENGTH_DELIMITED) return "logs";
    return looksLikePoint(payload) ? "metrics" : "logs";
  } catch (error) {
    if (error instanceof WireError) return "traces";
    throw error;
  }
}

function looksLikePoint(gauge: Uint8Array): boolean {
  const reader = new WireReader(gauge);
  reader.next();
  try {
    const point = reader.message();
    while (point.next()) {
      if ((point.field === 2 || point.field === 3) && point.wireType === FIXED64) return true;
    }
  } catch (error) {
    if (!(error instanceof WireError)) throw error;
  }
  return false;
}
